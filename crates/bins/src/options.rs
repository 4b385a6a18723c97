//! Every option of `protector.conf`, declared once.

use protector_oslo::config::{Declaration, Opt, Schema};
use protector_oslo::{healthcheck, logging, policy, token};
use protector_workflows::ImportAs;
use secrecy::SecretString;

pub const STATE_PATH: Opt<String> = Opt::string("DEFAULT", "state_path")
    .default("/var/lib/protector")
    .help("Where the service keeps its own files.");
pub const REGION_NAME: Opt<Option<String>> =
    Opt::string("DEFAULT", "region_name").help("This site's region, where its Keystone has several.");
pub const TRANSPORT_URL: Opt<Option<SecretString>> = Opt::secret("DEFAULT", "transport_url")
    .help("This site's RabbitMQ, as rabbit://user:password@host:port/vhost, or with several user:password@host:port separated by commas. Without one the engine finds its work by looking at the database.")
    .deprecated(&[("oslo_messaging_rabbit", "transport_url")]);

pub const BIND_HOST: Opt<String> = Opt::host("api", "bind_host")
    .default("0.0.0.0")
    .help("The address to listen on.");
pub const BIND_PORT: Opt<u16> = Opt::port("api", "bind_port")
    .default("8788")
    .help("The port to listen on; Keystone's endpoints name it.");
pub const WORKERS: Opt<i64> = Opt::integer("api", "workers")
    .default("4")
    .min(1)
    .max(256)
    .help("Worker threads of the API process.");

pub const CONNECTION: Opt<Option<SecretString>> = Opt::secret("database", "connection")
    .help("This site's own database: mysql+pymysql://USER:PASSWORD@HOST/DATABASE for MariaDB (charset, unix_socket, ssl_ca, ssl_cert and ssl_key may follow a question mark), or a file such as sqlite:////var/lib/protector/protector.db. Without it that file below state_path.");

pub const RABBIT_HOST: Opt<Option<String>> = Opt::string("oslo_messaging_rabbit", "rabbit_host")
    .help("Older way to name the broker, where there is no transport_url.");
pub const RABBIT_PORT: Opt<Option<u16>> =
    Opt::port("oslo_messaging_rabbit", "rabbit_port").help("Older way to name the broker's port.");
pub const RABBIT_USERID: Opt<Option<String>> =
    Opt::string("oslo_messaging_rabbit", "rabbit_userid").help("Older way to name the broker's user.");
pub const RABBIT_PASSWORD: Opt<Option<SecretString>> =
    Opt::secret("oslo_messaging_rabbit", "rabbit_password").help("Older way to give the broker's password.");
pub const RABBIT_VHOST: Opt<Option<String>> = Opt::string("oslo_messaging_rabbit", "rabbit_virtual_host")
    .help("Older way to name the broker's virtual host; it is / if nothing is said.");
pub const RABBIT_SSL: Opt<bool> = Opt::boolean("oslo_messaging_rabbit", "ssl")
    .default("False")
    .help("TLS to the broker. Not spoken yet: with True, api and engine refuse to start.")
    .deprecated(&[("oslo_messaging_rabbit", "rabbit_use_ssl")]);

pub const TRUST_ROLES: Opt<Vec<String>> = Opt::list("service_credentials", "default_trust_roles")
    .default("member,_member_")
    .help("Roles that a tenant's trust hands to this service, as far as the tenant has them.");

pub const STORAGE_DRIVER: Opt<String> = Opt::string("storage", "driver")
    .default("pure")
    .choices(&["pure"])
    .help("How arrays are spoken to.");
pub const STORAGE_CAFILE: Opt<Option<String>> =
    Opt::string("storage", "cafile").help("PEM file by which arrays are verified, instead of the system's.");
pub const STORAGE_VERIFY: Opt<bool> = Opt::boolean("storage", "verify_tls")
    .default("true")
    .help("Verify the arrays' certificates.");
pub const STORAGE_MIN_INTERVAL: Opt<i64> = Opt::integer("storage", "min_interval_seconds")
    .default("300")
    .min(1)
    .help("The shortest replication interval that the arrays take.");

pub const GROUP_TYPE: Opt<String> = Opt::string("cinder", "group_type")
    .default("protector-consistency-group")
    .help("The group type of the Cinder groups; `protector-manage cinder group-type` makes it.");

pub const IMPORT_AS: Opt<String> = Opt::string("cinder", "import_as")
    .default("service")
    .choices(ImportAs::WORDS)
    .help("As whom Cinder of the target site takes a replicated volume over. `service`: the service user imports it and hands it to the tenant by a volume transfer; works with Cinder's stock policy, and needs room for the volumes on their way in the quota of the service's project. `tenant`: the tenant imports it by his trust; needs \"volume_extension:volume_manage\": \"rule:admin_or_owner\" in /etc/cinder/policy.yaml of both sites, which lets every member of any project take over any volume of the array. The service list is read, and volumes are released, by the service user either way.");

pub const ALLOWED_NETWORKS: Opt<Vec<String>> = Opt::list("security", "allowed_networks")
    .default("")
    .help("Networks that are refused by default and may be spoken to all the same: 127.0.0.0/8 for a demo or a lab.");
pub const CAFILE: Opt<Option<String>> = Opt::string("security", "cafile")
    .help("PEM file by which OpenStack endpoints are verified, instead of the system's.");

pub const KEY_REPOSITORY: Opt<String> = Opt::string("secrets", "key_repository")
    .default("$state_path/keys")
    .help("The folder of the keys that secrets are sealed with; `protector-manage db sync` makes it.");

pub const PRIVILEGED_NETWORKS: Opt<Vec<String>> = Opt::list("neutron", "privileged_networks")
    .default("")
    .help("Networks of other projects (names or ids) on which the service may make ports for tenants.");

pub const LEASE: Opt<i64> = Opt::integer("engine", "lease_seconds")
    .default("30")
    .min(1)
    .max(3600)
    .help("How long an engine that fell silent keeps its work before another one takes it over.");
pub const LEASE_MS: Opt<Option<i64>> = Opt::integer("engine", "lease_ms")
    .min(200)
    .max(3_600_000)
    .help("The same in milliseconds, for tests; it wins over lease_seconds.");
pub const STEPS_AT_ONCE: Opt<i64> = Opt::integer("engine", "steps_at_once")
    .default("256")
    .min(1)
    .max(1000)
    .help("How many steps of one operation run at once.");
pub const POLL: Opt<i64> = Opt::integer("engine", "poll_interval_ms")
    .default("1000")
    .min(50)
    .max(60000)
    .help("How often the engine looks for work and at slow things.");
pub const CALL_TIMEOUT: Opt<i64> = Opt::integer("engine", "call_timeout_seconds")
    .default("60")
    .min(2)
    .max(600)
    .help("How long one call to a cloud or an array may take.");
pub const RECEIPT_TIMEOUT: Opt<i64> = Opt::integer("engine", "receipt_timeout_seconds")
    .default("120")
    .min(1)
    .help("How long a planned operation waits for the other site's receipt before it gives up, with nothing changed.");

pub const FACTS_AGE: Opt<i64> = Opt::integer("engine", "facts_interval_seconds")
    .default("600")
    .min(10)
    .max(86400)
    .help("How often it is read anew what the servers of the groups look like, for the day when their cloud is dead.");

pub const FENCING_INTERVAL: Opt<i64> = Opt::integer("engine", "fencing_interval_ms")
    .default("10000")
    .min(100)
    .max(60_000)
    .help(
        "How often the engine tries to stop and lock the servers of a site that a group was taken from. Three times that lie \
         between two looks whether the other site has taken a group from this one.",
    );

pub const IMPORTS_AT_ONCE: Opt<i64> = Opt::integer("engine", "imports_at_once")
    .default("4")
    .min(1)
    .max(1000)
    .help("How many volumes of one operation Cinder is asked to take over at a time. The service project's quota counts them meanwhile.");
pub const SERVERS_AT_ONCE: Opt<i64> = Opt::integer("engine", "servers_at_once")
    .default("16")
    .min(1)
    .max(1000)
    .help("How many servers of one operation are stopped, or booted, at a time.");

pub const SITE_CAFILE: Opt<Option<String>> = Opt::string("site:*", "cafile")
    .help("PEM file by which the OpenStack endpoints of that site are verified, instead of [security] cafile or the system's.");
pub const SITE_USERNAME: Opt<Option<String>> = Opt::string("site:*", "username")
    .help("The other site's protector user, where it isn't given with `openstack protector site set`.");
pub const SITE_PASSWORD: Opt<Option<SecretString>> = Opt::secret("site:*", "password").help("Its password.");
pub const SITE_PROJECT: Opt<String> = Opt::string("site:*", "project_name")
    .default("service")
    .help("Its project.");
pub const SITE_USER_DOMAIN: Opt<String> = Opt::string("site:*", "user_domain_name")
    .default("Default")
    .help("The user's domain.");
pub const SITE_PROJECT_DOMAIN: Opt<String> = Opt::string("site:*", "project_domain_name")
    .default("Default")
    .help("The project's domain.");

const OWN: &[Declaration] = &[
    *STATE_PATH.declaration(),
    *REGION_NAME.declaration(),
    *TRANSPORT_URL.declaration(),
    *BIND_HOST.declaration(),
    *BIND_PORT.declaration(),
    *WORKERS.declaration(),
    *CONNECTION.declaration(),
    *RABBIT_HOST.declaration(),
    *RABBIT_PORT.declaration(),
    *RABBIT_USERID.declaration(),
    *RABBIT_PASSWORD.declaration(),
    *RABBIT_VHOST.declaration(),
    *RABBIT_SSL.declaration(),
    *TRUST_ROLES.declaration(),
    *STORAGE_DRIVER.declaration(),
    *STORAGE_CAFILE.declaration(),
    *STORAGE_VERIFY.declaration(),
    *STORAGE_MIN_INTERVAL.declaration(),
    *GROUP_TYPE.declaration(),
    *IMPORT_AS.declaration(),
    *ALLOWED_NETWORKS.declaration(),
    *CAFILE.declaration(),
    *KEY_REPOSITORY.declaration(),
    *PRIVILEGED_NETWORKS.declaration(),
    *LEASE.declaration(),
    *LEASE_MS.declaration(),
    *STEPS_AT_ONCE.declaration(),
    *POLL.declaration(),
    *CALL_TIMEOUT.declaration(),
    *RECEIPT_TIMEOUT.declaration(),
    *FACTS_AGE.declaration(),
    *FENCING_INTERVAL.declaration(),
    *IMPORTS_AT_ONCE.declaration(),
    *SERVERS_AT_ONCE.declaration(),
    *SITE_CAFILE.declaration(),
    *SITE_USERNAME.declaration(),
    *SITE_PASSWORD.declaration(),
    *SITE_PROJECT.declaration(),
    *SITE_USER_DOMAIN.declaration(),
    *SITE_PROJECT_DOMAIN.declaration(),
];

/// All options of all three programs: they read the same file.
pub fn schema() -> Schema {
    Schema::new()
        .with_all(logging::OPTIONS)
        .with_all(OWN)
        .with_all(token::OPTIONS)
        .with_all(policy::OPTIONS)
        .with_all(healthcheck::OPTIONS)
}
