//! Two simulated sites, and a group of many protected servers in the database of `site-a`: written there directly,
//! because protecting ten thousand servers one by one is not what is measured.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use protector_arrays::DriverConfig;
use protector_domain::*;
use protector_openstack::{AddressPolicy, ClientConfig, OpenStackClient};
use protector_ports::array::{ArrayAccess, ArrayPair, GroupSpec};
use protector_ports::cloud::{Access, Actor, Credentials, NewTrust};
use protector_ports::store::Along;
use protector_ports::{Array, Clock, Cloud, SealError, Sealer, Store, SystemClock};
use protector_saga::NewSaga;
use protector_secrets::KeyRing;
use protector_sim::array::{FabricConfig, LinkConfig};
use protector_sim::cloud::{Delays, Settings, SiteSpec, Sites};
use protector_sim::http::{Action, CallLog, Rule};
use protector_store::{SqlStore, sqlite_dsn};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use crate::engine::program;
use crate::profile::{R1, scaled, scaled_millis};

const ARRAY_GROUP: &str = "shop-pg";

/// The engine's own key ring.
struct Ring(KeyRing);

impl Sealer for Ring {
    fn seal(&self, plain: &SecretString, aad: &str) -> Result<String, SealError> {
        let sealed = self.0.seal(plain, aad);
        sealed.map_err(|error| SealError(error.to_string()))
    }

    fn open(&self, sealed: &str, aad: &str) -> Result<SecretString, SealError> {
        let opened = self.0.open(sealed, aad);
        opened.map_err(|error| SealError(error.to_string()))
    }
}

pub struct World {
    pub conf: PathBuf,
    pub directory: TempDir,
    sites: Sites,
    store: SqlStore,
    cloud: OpenStackClient,
    array: Arc<dyn Array>,
    here: SiteId,
    there: SiteId,
    group: GroupId,
}

impl World {
    /// Quick clouds, so that the set-up doesn't take long.
    pub async fn with(servers: usize, volumes_each: usize, scale: f64) -> Result<Self> {
        let site = |name: &str, array: &str, peer: &str| {
            let spec = SiteSpec {
                prefix: 16,
                ..SiteSpec::new(name, array, Some(peer))
            };
            (spec, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        };
        let arrays = FabricConfig {
            strict: false,
            ..FabricConfig::default()
        };
        let specs = vec![site("site-a", "fa-a", "fa-b"), site("site-b", "fa-b", "fa-a")];
        let sites = Sites::start(specs, arrays, None, CallLog::default()).await?;
        let directory = tempfile::tempdir()?;
        let conf = configure(&sites, directory.path(), scale)?;
        let state = directory.path().join("state");
        let ring = KeyRing::load(&state.join("keys")).context("the engine's keys")?;
        let store = SqlStore::connect(&sqlite_dsn(&state.join("protector.db")), Arc::new(Ring(ring))).await?;
        let cloud = OpenStackClient::new(ClientConfig {
            addresses: AddressPolicy { allow_loopback: true },
            ..ClientConfig::default()
        })?;
        let array = protector_arrays::driver(
            "pure",
            DriverConfig {
                allow_loopback: true,
                announce_poll: Duration::from_millis(50),
                ..DriverConfig::default()
            },
        )?;
        let here = store.local_site_id().await?;
        let world = Self {
            conf,
            directory,
            sites,
            store,
            cloud,
            array,
            here,
            there: SiteId(Uuid::new_v4()),
            group: GroupId(Uuid::new_v4()),
        };
        world.protect(servers, volumes_each).await?;
        Ok(world)
    }

    /// From now on the clouds are as slow as the profile says, at this scale.
    pub fn slow_down(&self, scale: f64) -> Result<()> {
        let delays = Delays {
            build: scaled_millis(R1.boot, scale),
            stop: 0,
            start: 0,
            delete: 0,
            volume: scaled_millis(R1.manage, scale),
            group: 0,
            builds_at_once: R1.boots,
            manages_at_once: R1.manages,
        };
        for cloud in self.sites.clouds() {
            cloud.set(Settings {
                delays: Some(delays.clone()),
                ..Settings::default()
            });
            cloud.faults().set_latency(scaled(R1.cloud, scale));
        }
        for array in ["fa-a", "fa-b"] {
            let faults = self.sites.fabric().faults(array);
            let faults = faults.map_err(|error| anyhow::anyhow!("{array}: {error}"))?;
            faults.set_latency(scaled(R1.array, scale));
        }
        Ok(())
    }

    /// Neutron refuses the last port of all: its address was free at the preflight, and is no more.
    pub fn take_last_address(&self, servers: usize) -> Result<()> {
        let refusal = json!({"NeutronError": {
            "type": "IpAddressAlreadyAllocated", "message": "IP address is already allocated.", "detail": "",
        }});
        let rule = Rule::on("POST", "/v2.0/ports$")
            .nth(servers as u64)
            .act(Action::status(409, refusal));
        let target = self.sites.cloud("site-b").context("no such site")?;
        target.faults().add(rule)?;
        Ok(())
    }

    pub fn call_logs(&self) -> Vec<CallLog> {
        let mut logs: Vec<CallLog> = self
            .sites
            .clouds()
            .iter()
            .take(1)
            .map(|cloud| cloud.calls())
            .collect();
        logs.push(self.sites.fabric().calls());
        logs
    }

    pub async fn operation(&self, id: OperationId) -> Result<Operation> {
        self.store.operation(id).await?.context("the operation is gone")
    }

    /// The end of what the engine said.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.directory.path().join("engine.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn credentials(&self, site: &str, user: &str) -> Result<Credentials> {
        let cloud = self.sites.cloud(site).context("no such site")?;
        let account = cloud.spec().account(user).context("no such account")?.clone();
        Ok(Credentials {
            username: account.user,
            password: account.password,
            project_name: account.project,
            user_domain_name: "Default".to_owned(),
            project_domain_name: "Default".to_owned(),
        })
    }

    /// A user of a site by his own password.
    fn user(&self, site: &str, user: &str) -> Result<Access> {
        Ok(Access {
            site: if site == "site-a" { self.here } else { self.there },
            site_name: site.to_owned(),
            auth_url: self.sites.cloud(site).context("no such site")?.auth_url(),
            region: None,
            actor: Actor::Service(self.credentials(site, user)?),
            timeout: Duration::from_secs(30),
        })
    }

    async fn trust(&self, site: &str) -> Result<SecretString> {
        let demo = self.user(site, "demo")?;
        let trustor = self.cloud.owner(&demo).await?;
        let trustee = self.cloud.owner(&self.user(site, "protector")?).await?;
        let trust = NewTrust {
            trustor: trustor.user_id,
            trustee: trustee.user_id,
            project: trustor.project_id,
            roles: vec!["member".to_owned()],
            expires_at: None,
        };
        Ok(self.cloud.create_trust(&demo, &trust).await?)
    }

    fn arrays(&self) -> Result<ArrayPair> {
        let access = |name: &str| -> Result<ArrayAccess> {
            Ok(ArrayAccess {
                url: self.sites.arrays().url(name).context("no such array")?,
                token: SecretString::from(format!("{name}-token")),
                timeout: Duration::from_secs(60),
            })
        };
        Ok(ArrayPair {
            source: access("fa-a")?,
            target: access("fa-b")?,
            lost_source: None,
        })
    }

    async fn register_sites(&self) -> Result<()> {
        let now = SystemClock.now();
        for (id, name) in [(self.here, "site-a"), (self.there, "site-b")] {
            let site = Site {
                id,
                name: name.to_owned(),
                description: String::new(),
                site_type: SiteType::Primary,
                auth_url: self.sites.cloud(name).context("no such site")?.auth_url(),
                region_name: None,
                public_key: None,
                status: SiteStatus::Active,
                status_reason: None,
                created_at: now,
                updated_at: now,
            };
            let credentials = self.credentials(name, "protector")?;
            let credentials = (name == "site-b").then_some(&credentials);
            self.store.insert_site(&site, credentials).await?;
        }
        Ok(())
    }

    async fn volume_type(&self, site: &str) -> Result<VolumeTypeRef> {
        let name = "replicated-ssd";
        let types = self.cloud.volume_types(&self.user(site, "demo")?).await?;
        let found = types.into_iter().find(|kind| kind.name == name);
        Ok(VolumeTypeRef {
            id: found.context("no such volume type")?.id,
            name: name.to_owned(),
        })
    }

    /// The Cinder group of `site-b`, where the new volumes go.
    async fn volume_group(&self, kind: &VolumeTypeId) -> Result<VolumeGroupId> {
        let specs = [(
            "consistent_group_snapshot_enabled".to_owned(),
            "<is> True".to_owned(),
        )];
        let (admin, demo) = (self.user("site-b", "admin")?, self.user("site-b", "demo")?);
        self.cloud
            .create_group_type(&admin, "shop", &specs.into())
            .await?;
        let made = self.cloud.create_volume_group(&demo, "shop", "", "shop", kind);
        Ok(made.await?)
    }

    fn boot(&self, number: usize, volumes_each: usize) -> Result<Member> {
        let site = self.sites.cloud("site-a").context("no such site")?;
        let name = format!("vm-{number}");
        let server = site.boot(&name, volumes_each)?;
        let volumes = site
            .disks(&server)?
            .into_iter()
            .enumerate()
            .map(|(at, disk)| {
                Ok(MemberVolume {
                    volume_id: VolumeId::new(&disk.volume_id)?,
                    array_name: disk.array_volume,
                    device: disk.device,
                    boot: at == 0,
                    size_gb: 1 + at as u64,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Member {
            id: MemberId(Uuid::new_v4()),
            instance_id: ServerId::new(server)?,
            instance_name: name,
            left: Default::default(),
            volumes,
        })
    }

    async fn protect(&self, servers: usize, volumes_each: usize) -> Result<()> {
        let plenty = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), -1)).collect();
        for cloud in self.sites.clouds() {
            cloud.set(Settings {
                delays: Some(Delays {
                    build: 0,
                    volume: 0,
                    group: 0,
                    ..Delays::default()
                }),
                compute_quotas: plenty(&["instances", "cores", "ram"]),
                volume_quotas: plenty(&["volumes", "gigabytes"]),
                network_quotas: plenty(&["port"]),
                ..Settings::default()
            });
        }
        let linked = |up: bool| {
            let changed = self
                .sites
                .fabric()
                .change_links(None, |link: &mut LinkConfig| link.up = up);
            changed.map_err(|error| anyhow::anyhow!("the link: {error}"))
        };
        let at_once = |link: &mut LinkConfig| {
            link.transfer_millis = 0;
            link.bytes_per_second = 0;
            link.start_millis = 0;
            link.announce_millis = 0;
        };
        let changed = self.sites.fabric().change_links(None, at_once);
        changed.map_err(|error| anyhow::anyhow!("the link: {error}"))?;
        self.register_sites().await?;
        // Else the arrays tell each other of their growing group with each volume.
        linked(false)?;
        let members: Vec<Member> = (0..servers)
            .map(|number| self.boot(number, volumes_each))
            .collect::<Result<_>>()?;
        linked(true)?;
        let names: Vec<String> = members
            .iter()
            .flat_map(|member| &member.volumes)
            .map(|volume| volume.array_name.clone())
            .collect();
        let pair = self.arrays()?;
        let spec = GroupSpec {
            name: ARRAY_GROUP.to_owned(),
            interval_seconds: 300,
        };
        self.array.ensure_group(&pair, &spec, &names).await?;
        self.array.add_volumes(&pair.source, ARRAY_GROUP, &names).await?;
        let group = self.described(members).await?;
        let along = Along {
            trusts: vec![
                (self.here, self.trust("site-a").await?),
                (self.there, self.trust("site-b").await?),
            ],
            array_tokens: vec![(self.here, pair.source.token), (self.there, pair.target.token)],
            ..Along::default()
        };
        self.store.insert_group(&group, along).await?;
        Ok(())
    }

    async fn described(&self, members: Vec<Member>) -> Result<Group> {
        let now = SystemClock.now();
        let (here, there) = (self.here, self.there);
        let (type_a, type_b) = (
            self.volume_type("site-a").await?,
            self.volume_type("site-b").await?,
        );
        let volume_group = self.volume_group(&type_b.id).await?;
        let side = |site_id, access: ArrayAccess| ArraySide {
            site_id,
            url: access.url,
            token_secret: None,
        };
        let pair = self.arrays()?;
        let reference = |id, name: &str| SiteRef {
            id,
            name: name.to_owned(),
        };
        let project_a = self.cloud.owner(&self.user("site-a", "demo")?).await?.project_id;
        let project_b = self.cloud.owner(&self.user("site-b", "demo")?).await?.project_id;
        Ok(Group {
            document: Document {
                group_id: self.group,
                stamp: Stamp::FIRST,
                name: "shop".to_owned(),
                description: String::new(),
                replication_type: ReplicationType::Async,
                primary_site: reference(here, "site-a"),
                secondary_site: reference(there, "site-b"),
                current_primary_site_id: here,
                projects: [(here, project_a), (there, project_b)].into(),
                volume_types: [(here, type_a), (there, type_b)].into(),
                members,
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
            member_states: Default::default(),
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
        })
    }

    /// Order a planned failover, with the other site's receipt.
    pub async fn order(&self) -> Result<OperationId> {
        let group = self.store.group(self.group).await?;
        let mut group = group.context("the group is gone")?;
        let (id, now) = (OperationId(Uuid::new_v4()), SystemClock.now());
        let epoch = group.document.stamp.epoch + 1;
        group.document.open(Intent {
            operation_id: id,
            kind: OperationKind::Failover,
            reserved_epoch: epoch,
            state: IntentState::Open,
            adopts: None,
        });
        group.set_status(GroupStatus::FailingOver, None)?;
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
        let (kind, version, params) = work.into_parts()?;
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
        self.store.update_group(&group, along).await?;
        Ok(id)
    }
}

/// The engine's configuration, its database and its keys.
fn configure(sites: &Sites, directory: &Path, scale: f64) -> Result<PathBuf> {
    let cloud = sites.cloud("site-a").context("no such site")?;
    let account = cloud
        .spec()
        .account("protector")
        .context("no such account")?
        .clone();
    let poll = scaled_millis(R1.poll, scale).max(50);
    let text = format!(
        "[DEFAULT]\nstate_path = {state}\n\n\
         [keystone_authtoken]\nauth_url = {auth}\nwww_authenticate_uri = {auth}\n\
         username = protector\npassword = {password}\nproject_name = service\n\n\
         [security]\nallowed_networks = 127.0.0.0/8\n\n\
         [secrets]\nkey_repository = {state}/keys\n\n\
         [engine]\npoll_interval_ms = {poll}\nimports_at_once = {imports}\nservers_at_once = {servers}\n",
        state = directory.join("state").display(),
        auth = cloud.auth_url(),
        password = account.password.expose_secret(),
        // More than the clouds do at a time: what waits there keeps them busy.
        imports = R1.manages * 2,
        servers = R1.boots + R1.boots / 2,
    );
    let conf = directory.join("protector.conf");
    std::fs::write(&conf, text)?;
    let synced = Command::new(program("protector-manage")?)
        .arg("--config-file")
        .arg(&conf)
        .args(["db", "sync"])
        .output()?;
    ensure!(
        synced.status.success(),
        "protector-manage db sync: {}{}",
        String::from_utf8_lossy(&synced.stdout),
        String::from_utf8_lossy(&synced.stderr)
    );
    Ok(conf)
}
