//! Two simulated sites, the database of `site-a`, and engines that come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protector_arrays::DriverConfig;
use protector_domain::*;
use protector_openstack::{AddressPolicy, ClientConfig, OpenStackClient};
use protector_ports::array::{ArrayAccess, ArrayPair, GroupSpec};
use protector_ports::cloud::{Access, Actor, Credentials, NewTrust};
use protector_ports::store::Along;
use protector_ports::{Array, Clock, Cloud, Directory, SealError, Sealer, Store, SystemClock};
use protector_saga::driver::Options as DriverOptions;
use protector_saga::{Driver, Engine, Journal, NewSaga, Owner};
use protector_sim::cloud::{Delays, Settings, Sites};
use protector_sim::http::{Call, CallFilter};
use protector_store::{NewIdentity, SqlStore, migrate, sqlite_dsn};
use protector_workflows::{ImportAs, Options, Workflows};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const ARRAY_GROUP: &str = "shop-pg";
const POLL: Duration = Duration::from_millis(50);
const LEASE: Duration = Duration::from_secs(1);

/// How long the clouds' work takes, in milliseconds.
pub const DELAYS: Delays = Delays {
    build: 60,
    stop: 40,
    start: 40,
    delete: 40,
    volume: 200,
    group: 40,
    builds_at_once: 0,
    manages_at_once: 0,
};

struct InClear;

impl Sealer for InClear {
    fn seal(&self, plain: &SecretString, _: &str) -> Result<String, SealError> {
        Ok(plain.expose_secret().to_owned())
    }

    fn open(&self, sealed: &str, _: &str) -> Result<SecretString, SealError> {
        Ok(SecretString::from(sealed))
    }
}

/// A group `shop` at `site-a` with one server of two disks, protected and replicated.
pub struct Lab {
    pub sites: Sites,
    pub store: Arc<SqlStore>,
    pub cloud: Arc<dyn Cloud>,
    array: Arc<dyn Array>,
    here: SiteId,
    there: SiteId,
    pub group: GroupId,
    _directory: TempDir,
}

/// An engine at work; dropped, it dies on the spot.
pub struct Running(tokio::task::JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Lab {
    pub async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let sites = Sites::start_default().await.unwrap();
        for site in sites.clouds() {
            site.set(Settings {
                delays: Some(DELAYS),
                ..Settings::default()
            });
        }
        let directory = tempfile::tempdir().unwrap();
        let dsn = sqlite_dsn(&directory.path().join("protector.db"));
        let identity = NewIdentity {
            id: None,
            public_key: None,
        };
        let here = migrate(&dsn, &identity).await.unwrap().site_id;
        let store = Arc::new(SqlStore::connect(&dsn, Arc::new(InClear)).await.unwrap());
        let cloud = OpenStackClient::new(ClientConfig {
            addresses: AddressPolicy { allow_loopback: true },
            ..ClientConfig::default()
        });
        let array = protector_arrays::driver(
            "pure",
            DriverConfig {
                allow_loopback: true,
                announce_poll: POLL,
                ..DriverConfig::default()
            },
        );
        let mut lab = Self {
            sites,
            store,
            cloud: Arc::new(cloud.unwrap()),
            array: array.unwrap(),
            here,
            there: SiteId(Uuid::new_v4()),
            group: GroupId(Uuid::new_v4()),
            _directory: directory,
        };
        lab.protect().await;
        lab
    }

    fn credentials(&self, site: &str, user: &str) -> Credentials {
        let account = self
            .sites
            .cloud(site)
            .unwrap()
            .spec()
            .account(user)
            .unwrap()
            .clone();
        Credentials {
            username: account.user,
            password: account.password,
            project_name: account.project,
            user_domain_name: "Default".to_owned(),
            project_domain_name: "Default".to_owned(),
        }
    }

    /// A user of a site by his own password.
    pub fn user(&self, site: &str, user: &str) -> Access {
        Access {
            site: if site == "site-a" { self.here } else { self.there },
            site_name: site.to_owned(),
            auth_url: self.sites.cloud(site).unwrap().auth_url(),
            region: None,
            actor: Actor::Service(self.credentials(site, user)),
            timeout: Duration::from_secs(10),
        }
    }

    async fn project(&self, site: &str, user: &str) -> ProjectId {
        self.cloud.owner(&self.user(site, user)).await.unwrap().project_id
    }

    async fn trust(&self, site: &str) -> SecretString {
        self.trust_by(site, &self.user(site, "demo")).await
    }

    async fn trust_by(&self, site: &str, demo: &Access) -> SecretString {
        let trustor = self.cloud.owner(demo).await.unwrap();
        let trustee = self.cloud.owner(&self.user(site, "protector")).await.unwrap();
        let trust = NewTrust {
            trustor: trustor.user_id,
            trustee: trustee.user_id,
            project: trustor.project_id,
            roles: vec!["member".to_owned()],
            expires_at: None,
        };
        self.cloud.create_trust(demo, &trust).await.unwrap()
    }

    /// From now on it is the administrator of `site-b`, a member of the tenant's project too, whose trust serves.
    pub async fn trust_of_the_administrator(&self) {
        let demo = self.project("site-b", "demo").await;
        let mut admin = self.user("site-b", "admin");
        let user = self.cloud.owner(&admin).await.unwrap().user_id;
        let mut credentials = self.credentials("site-b", "admin");
        let root = self.sites.cloud("site-b").unwrap().auth_url();
        let http = reqwest::Client::new();
        let auth = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": "admin", "domain": {"name": "Default"}, "password": credentials.password.expose_secret()
            }}},
            "scope": {"project": {"name": credentials.project_name, "domain": {"name": "Default"}}}
        }});
        let token = http
            .post(format!("{root}/auth/tokens"))
            .json(&auth)
            .send()
            .await
            .unwrap();
        let token = token.headers()["x-subject-token"].clone();
        let roles = http
            .get(format!("{root}/roles?name=member"))
            .header("x-auth-token", &token);
        let roles: Value = roles.send().await.unwrap().json().await.unwrap();
        let role = roles["roles"][0]["id"].as_str().unwrap();
        let path = format!("{root}/projects/{demo}/users/{user}/roles/{role}");
        let granted = http
            .put(path)
            .header("x-auth-token", &token)
            .send()
            .await
            .unwrap();
        assert_eq!(granted.status(), 204);
        credentials.project_name = "demo".to_owned();
        admin.actor = Actor::Service(credentials);
        let trusts = vec![(self.there, self.trust_by("site-b", &admin).await)];
        let group = self.store.group(self.group).await.unwrap().unwrap();
        let along = Along {
            trusts,
            ..Along::default()
        };
        self.store.update_group(&group, along).await.unwrap();
    }

    fn arrays(&self) -> ArrayPair {
        let access = |name: &str| ArrayAccess {
            url: self.sites.arrays().url(name).unwrap(),
            token: SecretString::from(format!("{name}-token")),
            timeout: Duration::from_secs(10),
        };
        ArrayPair {
            source: access("fa-a"),
            target: access("fa-b"),
            lost_source: None,
        }
    }

    async fn register_sites(&self) {
        let now = SystemClock.now();
        for (id, name) in [(self.here, "site-a"), (self.there, "site-b")] {
            let site = Site {
                id,
                name: name.to_owned(),
                description: String::new(),
                site_type: SiteType::Primary,
                auth_url: self.sites.cloud(name).unwrap().auth_url(),
                region_name: None,
                public_key: None,
                status: SiteStatus::Active,
                status_reason: None,
                created_at: now,
                updated_at: now,
            };
            let credentials = (name == "site-b").then(|| self.credentials(name, "protector"));
            self.store.insert_site(&site, credentials.as_ref()).await.unwrap();
        }
    }

    /// The Cinder group of `site-b`, where the new volumes go.
    async fn volume_group(&self, kind: &VolumeTypeId) -> VolumeGroupId {
        let specs = [(
            "consistent_group_snapshot_enabled".to_owned(),
            "<is> True".to_owned(),
        )];
        let (admin, demo) = (self.user("site-b", "admin"), self.user("site-b", "demo"));
        self.cloud
            .create_group_type(&admin, "shop", &specs.into())
            .await
            .unwrap();
        self.cloud
            .create_volume_group(&demo, "shop", "", "shop", kind)
            .await
            .unwrap()
    }

    async fn volume_type(&self, site: &str) -> VolumeTypeRef {
        let name = "replicated-ssd";
        let types = self.cloud.volume_types(&self.user(site, "demo")).await.unwrap();
        let id = types.into_iter().find(|kind| kind.name == name).unwrap().id;
        VolumeTypeRef {
            id,
            name: name.to_owned(),
        }
    }

    async fn protect(&mut self) {
        self.register_sites().await;
        let site = self.sites.cloud("site-a").unwrap();
        let server = site.boot("db", 2).unwrap();
        let disks = site.disks("db").unwrap();
        let volumes: Vec<MemberVolume> = disks
            .iter()
            .enumerate()
            .map(|(at, disk)| MemberVolume {
                volume_id: VolumeId::new(&disk.volume_id).unwrap(),
                array_name: disk.array_volume.clone(),
                device: disk.device.clone(),
                boot: at == 0,
                size_gb: 1 + at as u64,
            })
            .collect();
        let names: Vec<String> = volumes.iter().map(|volume| volume.array_name.clone()).collect();
        let (pair, spec) = (
            self.arrays(),
            GroupSpec {
                name: ARRAY_GROUP.to_owned(),
                interval_seconds: 300,
            },
        );
        self.array.ensure_group(&pair, &spec, &names).await.unwrap();
        self.array
            .add_volumes(&pair.source, ARRAY_GROUP, &names)
            .await
            .unwrap();
        let member = Member {
            id: MemberId(Uuid::new_v4()),
            instance_id: ServerId::new(server).unwrap(),
            instance_name: "db".to_owned(),
            left: Default::default(),
            volumes,
        };
        let group = self.described(member).await;
        let trusts = vec![
            (self.here, self.trust("site-a").await),
            (self.there, self.trust("site-b").await),
        ];
        let array_tokens = vec![(self.here, pair.source.token), (self.there, pair.target.token)];
        let along = Along {
            trusts,
            array_tokens,
            ..Along::default()
        };
        self.store.insert_group(&group, along).await.unwrap();
    }

    async fn described(&self, member: Member) -> Group {
        let now = SystemClock.now();
        let (here, there) = (self.here, self.there);
        let (type_a, type_b) = (self.volume_type("site-a").await, self.volume_type("site-b").await);
        let volume_group = self.volume_group(&type_b.id).await;
        let side = |site_id, access: ArrayAccess| ArraySide {
            site_id,
            url: access.url,
            token_secret: None,
        };
        let pair = self.arrays();
        let reference = |id, name: &str| SiteRef {
            id,
            name: name.to_owned(),
        };
        Group {
            document: Document {
                group_id: self.group,
                stamp: Stamp::FIRST,
                name: "shop".to_owned(),
                description: String::new(),
                replication_type: ReplicationType::Async,
                primary_site: reference(here, "site-a"),
                secondary_site: reference(there, "site-b"),
                current_primary_site_id: here,
                projects: [
                    (here, self.project("site-a", "demo").await),
                    (there, self.project("site-b", "demo").await),
                ]
                .into(),
                volume_types: [(here, type_a), (there, type_b)].into(),
                members: vec![member],
                mappings: Mappings::default(),
                policy: Some(Policy {
                    id: PolicyId(Uuid::new_v4()),
                    primary: side(here, pair.source),
                    secondary: side(there, pair.target),
                    pure_pg_name: ARRAY_GROUP.to_owned(),
                    replication_interval_seconds: Some(300),
                    rpo_minutes: None,
                }),
                intents: Vec::new(),
                failover_count: 0,
                modified_at: now,
            },
            status: GroupStatus::Active,
            status_reason: None,
            member_states: BTreeMap::new(),
            consistency_group: ConsistencyGroup {
                id: ConsistencyGroupId(Uuid::new_v4()),
                status: ConsistencyGroupStatus::Active,
                backend_name: None,
                volume_groups: [(there, volume_group)].into(),
            },
            policy_status: Some(PolicyStatus::Active),
            policy_reason: None,
            array_group_made: true,
            sync: SyncState {
                status: SyncStatus::Synced,
                peer: Some(Stamp::FIRST),
                last_sync_at: Some(now),
            },
            created_at: now,
            updated_at: now,
            revision: 0,
        }
    }

    /// Order a planned failover, with the other site's receipt.
    pub async fn order(&self) -> OperationId {
        let mut group = self.store.group(self.group).await.unwrap().unwrap();
        let (id, now) = (OperationId(Uuid::new_v4()), SystemClock.now());
        let epoch = group.document.stamp.epoch + 1;
        group.document.open(Intent {
            operation_id: id,
            kind: OperationKind::Failover,
            reserved_epoch: epoch,
            state: IntentState::Open,
            adopts: None,
        });
        group.set_status(GroupStatus::FailingOver, None).unwrap();
        group.sync.status = SyncStatus::Synced;
        group.sync.peer = Some(group.document.stamp);
        let operation = Operation {
            id,
            group_id: self.group,
            project_id: group.document.projects[&self.here].clone(),
            operation_type: OperationKind::Failover,
            status: OperationStatus::Pending,
            outcome: None,
            waiting_for: None,
            progress: 0,
            current_step: None,
            source_site_id: self.here,
            target_site_id: self.there,
            created_at: now,
            started_at: None,
            completed_at: None,
            error_message: None,
            steps_completed: Vec::new(),
            steps_failed: Vec::new(),
            steps: Vec::new(),
            result_data: json!({}),
        };
        let work = Work::PlannedFailover(FailoverOrder {
            operation: id,
            group: self.group,
            source: self.here,
            target: self.there,
            members: group.document.members.clone(),
            array_group: ARRAY_GROUP.to_owned(),
            replication_interval_seconds: 300,
            mappings: Mappings::default(),
            epoch,
            adopts: None,
        });
        let (kind, version, params) = work.into_parts().unwrap();
        let saga = NewSaga {
            id: SagaId(id.0),
            kind,
            version,
            subject: self.group.to_string(),
            params: params.into(),
        };
        let along = Along {
            saga: Some(saga),
            operation: Some(&operation),
            ..Along::default()
        };
        self.store.update_group(&group, along).await.unwrap();
        id
    }

    /// An engine of `site-a`.
    pub fn engine(&self, import_as: ImportAs) -> Running {
        let store: Arc<dyn Store> = self.store.clone();
        let directory = Directory::new(
            store.clone(),
            self.cloud.clone(),
            self.here,
            self.credentials("site-a", "protector"),
            BTreeMap::new(),
            Duration::from_secs(10),
        );
        let options = Options {
            import_as,
            poll: POLL,
            ..Options::default()
        };
        let workflows = Workflows::new(
            store,
            self.cloud.clone(),
            self.array.clone(),
            Arc::new(SystemClock),
            directory,
            options,
        );
        let journal: Arc<dyn Journal> = self.store.clone();
        let driver = Driver::new(
            journal,
            Owner(Uuid::new_v4().to_string()),
            DriverOptions {
                lease: LEASE,
                poll: POLL,
                ..DriverOptions::default()
            },
        );
        let engine = Engine::new(driver, Arc::new(workflows));
        Running(tokio::spawn(engine.run(CancellationToken::new())))
    }

    pub async fn operation(&self, id: OperationId) -> Operation {
        self.store.operation(id).await.unwrap().unwrap()
    }

    /// Until it has ended, and the group is free again.
    pub async fn ended(&self, id: OperationId) -> Operation {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let now = self.operation(id).await;
            if now.status.is_final() && self.store.live_saga(self.group).await.unwrap().is_none() {
                return now;
            }
            assert!(Instant::now() < until, "the operation doesn't end: {now:#?}");
            sleep(POLL).await;
        }
    }

    /// One failover from its order to its end.
    pub async fn failover(&self, import_as: ImportAs) -> Operation {
        let id = self.order().await;
        let _engine = self.engine(import_as);
        self.ended(id).await
    }

    /// The calls that `site-b` has had.
    pub fn calls(&self, method: &str, path: &str) -> Vec<Call> {
        let filter = CallFilter {
            service: Some("site-b".to_owned()),
            method: Some(method.to_owned()),
            path: Some(path.to_owned()),
            ..CallFilter::default()
        };
        self.sites.cloud("site-b").unwrap().calls().calls(&filter)
    }

    /// Until `site-b` has answered such a call.
    pub async fn called(&self, method: &str, path: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.calls(method, path).is_empty() {
            assert!(Instant::now() < until, "no {method} {path}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Change how `site-b` behaves.
    pub fn set(&self, settings: Settings) {
        self.sites.cloud("site-b").unwrap().set(settings);
    }
}
