//! What a simulated cloud holds when it starts.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::compute;
use super::fault::Service;
use super::fixtures::member;
use super::identity::{Assignment, Identity};
use super::policy::Caller;
use super::table::Table;
use super::volume::REPLICATION_GROUP;
use super::world::{World, hex, uuid};
use super::{Delays, Release};

/// A user with a role in a project.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who it is at every site, whatever the name: `admin`, `protector`, or `demo`, the tenant.
    pub part: String,
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: SecretString,
    /// The project's name.
    pub project: String,
    /// The name of the domain of both.
    pub domain: String,
    /// The role's name.
    pub role: String,
}

/// How a site is set up.
#[derive(Clone, Debug)]
pub struct SiteSpec {
    /// The site's name.
    pub name: String,
    /// The region of its endpoints.
    pub region: String,
    /// The array its volumes live on.
    pub array: String,
    /// Where volumes of replicated types are sent.
    pub peer_array: Option<String>,
    /// The third byte of its tenant network, so that two sites differ.
    pub subnet: u8,
    /// How long the prefix of the tenant's subnet is; a shorter one has room for more servers.
    pub prefix: u8,
    /// Its users.
    pub accounts: Vec<Account>,
    /// Whether its endpoints speak HTTPS, with a certificate of an authority that nobody knows.
    pub tls: bool,
    /// Whose ways it follows.
    pub release: Release,
    /// How long its work takes.
    pub delays: Delays,
}

impl SiteSpec {
    /// A site with an admin, protector's user and a tenant; the password of `demo` at `site-a` is `site-a-demo`.
    #[must_use]
    pub fn new(name: &str, array: &str, peer_array: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            region: "RegionOne".to_owned(),
            array: array.to_owned(),
            peer_array: peer_array.map(str::to_owned),
            subnet: if name.ends_with('b') { 2 } else { 1 },
            prefix: 24,
            accounts: accounts(name),
            tls: false,
            release: Release::default(),
            delays: Delays::default(),
        }
    }

    /// Another region of the same Keystone: its people are those of the first one.
    #[must_use]
    pub fn beside(self, first: &SiteSpec) -> Self {
        Self {
            region: "RegionTwo".to_owned(),
            accounts: first.accounts.clone(),
            ..self
        }
    }

    /// The tenant has other names than elsewhere: user, project and domain.
    #[must_use]
    pub fn with_tenant(mut self, user: &str, project: &str, domain: &str) -> Self {
        for account in self.accounts.iter_mut().filter(|account| account.part == "demo") {
            account.user = user.to_owned();
            account.project = project.to_owned();
            account.domain = domain.to_owned();
        }
        self
    }

    /// The account of who plays that part.
    #[must_use]
    pub fn account(&self, part: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.part == part)
    }
}

/// Who is at every new site; passwords begin with the site's name.
fn accounts(site: &str) -> Vec<Account> {
    let people = [
        ("admin", "admin", "admin"),
        ("protector", "service", "admin"),
        ("demo", "demo", "member"),
    ];
    let account = |(user, project, role): (&str, &str, &str)| Account {
        part: user.to_owned(),
        user: user.to_owned(),
        password: SecretString::from(format!("{site}-{user}")),
        project: project.to_owned(),
        domain: "Default".to_owned(),
        role: role.to_owned(),
    };
    people.into_iter().map(account).collect()
}

/// Fill a new cloud.
pub(super) fn seed(world: &mut World, spec: &SiteSpec) {
    world.delays = spec.delays.clone();
    identity(&mut world.identity, spec);
    compute_and_volume(world, spec);
    if spec.peer_array.is_some()
        && let Err(reason) = world.backend.ensure_group(REPLICATION_GROUP, true)
    {
        tracing::warn!(reason, "the driver can't set its replication up");
    }
    let admin = world.admin();
    let tenant_user = spec.account("demo").map(|account| account.user.as_str());
    if let Some(demo) = tenant_user.and_then(|user| member(world, user)) {
        // Room for a workload. Everybody else, the service project too, has what a new cloud gives.
        let room = [
            ("volumes", 100_000),
            ("gigabytes", 10_000_000),
            ("snapshots", 1000),
            ("groups", 100),
        ];
        let room = room.map(|(name, limit)| (name.to_owned(), limit));
        let project = demo.project_id.clone().unwrap_or_default();
        world.volume.project_quotas.insert(project, room.into());
        tenant(world, &admin, &demo, spec);
    }
}

impl World {
    /// A caller who may do everything, in the project `admin`.
    pub(super) fn admin(&self) -> Caller {
        let project = self
            .identity
            .projects
            .find("admin")
            .and_then(|project| project["id"].as_str());
        let user = self
            .identity
            .users
            .find("admin")
            .and_then(|user| user["id"].as_str());
        Caller {
            user_id: user.unwrap_or_default().to_owned(),
            project_id: project.map(str::to_owned),
            roles: vec!["admin".to_owned(), "member".to_owned(), "reader".to_owned()],
            admin: true,
            delegated: false,
        }
    }

    fn post(&mut self, caller: &Caller, service: Service, path: &str, what: &str, body: Value) -> Value {
        match self.internal(caller, service, "POST", path, json!({what: body})) {
            Ok(answer) => answer[what].clone(),
            Err(fault) => {
                tracing::error!(path, message = fault.message, "a fixture can't be made");
                Value::Null
            }
        }
    }
}

fn record(what: &str, mut wanted: Value) -> (String, Value) {
    let id = wanted["id"].as_str().map_or_else(hex, str::to_owned);
    wanted["id"] = json!(id);
    (id, super::identity::record(what, "/identity/v3", wanted))
}

fn identity(identity: &mut Identity, spec: &SiteSpec) {
    identity.token_seconds = 3600;
    let domain = json!({"id": "default", "name": "Default", "description": "The default domain"});
    ensure(&mut identity.domains, "domain", domain);
    ensure(&mut identity.regions, "region", json!({"id": spec.region}));
    for role in ["admin", "creator", "manager", "member", "reader", "service"] {
        ensure(&mut identity.roles, "role", json!({"name": role}));
    }
    for account in &spec.accounts {
        let domain = ensure(&mut identity.domains, "domain", json!({"name": account.domain}));
        let project = json!({"name": account.project, "domain_id": domain});
        let project = ensure(&mut identity.projects, "project", project);
        let user = json!({"name": account.user, "domain_id": domain});
        let user = ensure(&mut identity.users, "user", user);
        identity
            .secrets
            .insert(user.clone(), account.password.expose_secret().to_owned());
        let role = ensure(&mut identity.roles, "role", json!({"name": account.role}));
        let assignment = Assignment { user, project, role };
        if !identity.assignments.contains(&assignment) {
            identity.assignments.push(assignment);
        }
    }
}

/// The id of what has these fields; it is made if it isn't there. Of several regions the first has made most of it.
fn ensure(table: &mut Table<Value>, what: &str, wanted: Value) -> String {
    let fields: Vec<&str> = ["id", "name", "domain_id"]
        .into_iter()
        .filter(|field| !wanted[field].is_null())
        .collect();
    let known = table
        .iter()
        .find(|item| fields.iter().all(|field| item[field] == wanted[field]));
    if let Some(id) = known.and_then(|item| item["id"].as_str()) {
        return id.to_owned();
    }
    let (id, made) = record(what, wanted);
    table.add(made);
    id
}

fn compute_and_volume(world: &mut World, spec: &SiteSpec) {
    world.compute.host = format!("{}-compute-1", spec.name);
    world.compute.zones = vec!["nova".to_owned()];
    for (name, vcpus, ram, disk) in [
        ("m1.tiny", 1, 512, 1),
        ("m1.small", 1, 2048, 20),
        ("m1.medium", 2, 4096, 40),
    ] {
        let flavor = json!({"name": name, "vcpus": vcpus, "ram": ram, "disk": disk});
        world.compute.flavors.add(compute::flavor_record(&flavor));
    }
    world.volume.host = format!("{}-controller@pure", spec.name);
    world.volume.backend_name = "pure".to_owned();
    let types = [
        ("__DEFAULT__", json!({})),
        (
            "replicated-ssd",
            json!({"replication_enabled": "<is> True", "replication_type": "<in> async", "volume_backend_name": "pure"}),
        ),
        ("plain", json!({"volume_backend_name": "pure"})),
    ];
    for (name, specs) in types {
        world.volume.types.add(json!({
            "id": uuid(), "name": name, "description": null, "is_public": true, "extra_specs": specs
        }));
    }
    let stamp = world.stamp();
    let owner = world.admin().project_id;
    let id = uuid();
    world.images.add(json!({
        "id": id, "name": "cirros", "status": "active", "visibility": "public", "owner": owner, "tags": [],
        "protected": false, "min_disk": 1, "min_ram": 0, "disk_format": "qcow2", "container_format": "bare",
        "os_hidden": false, "size": 21_692_416, "virtual_size": 117_440_512, "hw_disk_bus": "virtio",
        "checksum": "87617e24a5e30cb3b87fef4b7ff7b8ae", "os_type": "linux", "created_at": stamp, "updated_at": stamp,
        "self": format!("/v2/images/{id}"), "file": format!("/v2/images/{id}/file"), "schema": "/v2/schemas/image"
    }));
}

fn tenant(world: &mut World, admin: &Caller, demo: &Caller, spec: &SiteSpec) {
    let neutron = Service::Network;
    let net = world.post(demo, neutron, "networks", "network", json!({"name": "demo-net"}));
    let subnet = json!({
        "name": "demo-subnet", "network_id": net["id"], "cidr": format!("10.{}.0.0/{}", spec.subnet, spec.prefix), "ip_version": 4
    });
    world.post(demo, neutron, "subnets", "subnet", subnet);
    let drill = world.post(demo, neutron, "networks", "network", json!({"name": "drill-net"}));
    let subnet = json!({
        "name": "drill-subnet", "network_id": drill["id"], "cidr": format!("10.{}.0.0/24", spec.subnet), "ip_version": 4
    });
    world.post(demo, neutron, "subnets", "subnet", subnet);
    let shared = json!({"name": "shared-net", "shared": true});
    let shared = world.post(admin, neutron, "networks", "network", shared);
    let subnet = json!({
        "name": "shared-subnet", "network_id": shared["id"], "cidr": format!("172.16.{}.0/24", spec.subnet), "ip_version": 4
    });
    world.post(admin, neutron, "subnets", "subnet", subnet);
    let public = json!({"name": "public", "router:external": true});
    let public = world.post(admin, neutron, "networks", "network", public);
    let subnet = json!({
        "name": "public-subnet", "network_id": public["id"], "cidr": "203.0.113.0/24", "ip_version": 4, "enable_dhcp": false
    });
    world.post(admin, neutron, "subnets", "subnet", subnet);
    let group = world.post(
        demo,
        neutron,
        "security-groups",
        "security_group",
        json!({"name": "web"}),
    );
    for port in [22, 80] {
        let rule = json!({
            "security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
            "port_range_min": port, "port_range_max": port, "remote_ip_prefix": "0.0.0.0/0"
        });
        world.post(demo, neutron, "security-group-rules", "security_group_rule", rule);
    }
    let key = json!({"name": "demo-key", "type": "ssh", "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemo demo"});
    world.post(demo, Service::Compute, "os-keypairs", "keypair", key);
}

/// Add a service with its three endpoints to the catalog, or give it another URL.
pub(super) fn register(world: &mut World, kind: &str, name: &str, url: &str) {
    let region = world.region.clone();
    let identity = &mut world.identity;
    let known = identity.services.iter().find(|service| service["type"] == kind);
    let service = match known.and_then(|service| service["id"].as_str()) {
        Some(id) => id.to_owned(),
        None => {
            let (id, made) = record("service", json!({"type": kind, "name": name}));
            identity.services.add(made);
            id
        }
    };
    identity.endpoints.retain(|endpoint| {
        endpoint["service_id"] != service.as_str() || endpoint["region_id"] != region.as_str()
    });
    for interface in ["public", "internal", "admin"] {
        let endpoint =
            json!({"service_id": service, "interface": interface, "region_id": region, "url": url});
        identity.endpoints.add(record("endpoint", endpoint).1);
    }
}
