//! What every site's services are: versions, registration, configuration, independence.

use std::path::Path;
use std::time::Duration;

use protector_tests::{Stack, run};
use serde_json::{Value, json};

#[tokio::test]
async fn a1_version_document_without_token() {
    let stack = Stack::start().await;
    let root = stack.root("site-a").to_owned();
    for path in ["/", "/v1", "/v1/0123456789abcdef0123456789abcdef"] {
        let answer = stack.anonymous("GET", &format!("{root}{path}")).await;
        assert!(
            answer
                .header("x-openstack-request-id")
                .is_some_and(|id| id.starts_with("req-"))
        );
        let document = answer.expect(200);
        let version = &document["versions"][0];
        assert_eq!(version["id"], "v1.0");
        assert_eq!(version["status"], "CURRENT");
        assert_eq!(version["min_version"], "1.0");
        assert_eq!(version["links"][0]["rel"], "self");
        let href = version["links"][0]["href"].as_str().unwrap();
        assert!(href.starts_with(&root), "{href}");
        uuid::Uuid::parse_str(document["site"]["id"].as_str().unwrap()).unwrap();
    }
    assert_ne!(stack.id("site-a").await, stack.id("site-b").await);

    let path = "/v1/0123456789abcdef0123456789abcdef/protection-groups";
    let answer = stack.anonymous("GET", &format!("{root}{path}")).await;
    assert_eq!(answer.status, 401);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Keystone uri="), "{challenge}");
}

#[tokio::test]
async fn p11_registration() {
    let stack = Stack::start().await;
    let admin = stack.user("site-a", "admin").await;
    let services = admin
        .cloud("identity", "GET", "/services?type=protector", Value::Null)
        .await
        .expect(200);
    let services = services["services"].as_array().unwrap();
    assert_eq!(services.len(), 1, "{services:?}");
    assert_eq!(services[0]["name"], "protector");
    let path = format!("/endpoints?service_id={}", services[0]["id"].as_str().unwrap());
    let endpoints = admin
        .cloud("identity", "GET", &path, Value::Null)
        .await
        .expect(200);
    let endpoints = endpoints["endpoints"].as_array().unwrap();
    let mut interfaces: Vec<&str> = endpoints
        .iter()
        .map(|endpoint| endpoint["interface"].as_str().unwrap())
        .collect();
    interfaces.sort_unstable();
    assert_eq!(interfaces, ["admin", "internal", "public"]);
    for endpoint in endpoints {
        let url = endpoint["url"].as_str().unwrap();
        assert!(url.ends_with("/v1/%(tenant_id)s"), "{url}");
    }
    // The catalog of a tenant's token leads to the tenant's own URL, and that answers.
    let tenant = stack.user("site-a", "demo").await;
    assert!(tenant.endpoint("protector").ends_with(&tenant.project));
    tenant
        .api("GET", "/protection-groups", Value::Null)
        .await
        .expect(200);
}

#[tokio::test]
async fn p11_service_user_has_role_admin_in_project_service() {
    let stack = Stack::start().await;
    for site in ["site-a", "site-b"] {
        let config = stack.directory.join(site).join("protector.conf");
        let config = std::fs::read_to_string(config).unwrap();
        assert!(config.contains("project_name = service") && config.contains("username = protector"));
        // No other account is known to the services, and everything that they do works with it.
        assert_eq!(config.matches("password").count(), 1, "{config}");
        let service = stack.user(site, "protector").await;
        let roles = service
            .cloud("identity", "GET", "/auth/projects", Value::Null)
            .await
            .expect(200);
        let names: Vec<&str> = roles["projects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|project| project["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["service"]);
    }
}

/// A configuration that would do, but for its database.
fn configuration(directory: &Path, connection: &str) -> std::path::PathBuf {
    std::fs::create_dir_all(directory).unwrap();
    let file = directory.join("protector.conf");
    let text = format!(
        "[DEFAULT]\nstate_path = {0}\n[database]\nconnection = {connection}\n\
         [keystone_authtoken]\nauth_url = http://127.0.0.1:9/v3\nusername = u\npassword = p\nproject_name = service\n\
         [api]\nbind_host = 127.0.0.1\nbind_port = 9\n",
        directory.display()
    );
    std::fs::write(&file, text).unwrap();
    file
}

const PROGRAMS: [(&str, &[&str]); 3] = [
    ("protector-api", &[]),
    ("protector-engine", &[]),
    ("protector-manage", &["db", "sync"]),
];

/// A directory of this test's own, which goes with it.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("../.run/tests/{name}-{}", std::process::id());
        Self(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[tokio::test]
async fn p12_wrong_dsn_names_host_and_database_never_the_password() {
    let scratch = Scratch::new("p12-wrong-dsn");
    let directory = &scratch.0;
    let connection = "mysql+pymysql://protector:s3cr/et@x@db.example.org:3306/protector_db?charset=utf8";
    let file = configuration(directory, connection);
    // The keys are there, so that nothing but the database is wrong.
    let good = configuration(
        &directory.join("good"),
        &format!("sqlite:///{}/good/p.db", directory.display()),
    );
    assert!(run("protector-manage", &["db", "sync"], &good).await.success);
    let _ = std::fs::rename(directory.join("good/keys"), directory.join("keys"));
    for (program, arguments) in PROGRAMS {
        let ended = run(program, arguments, &file).await;
        assert!(!ended.success, "{program} runs on a database that isn't there");
        assert!(
            ended.after < Duration::from_secs(10),
            "{program}: {:?}",
            ended.after
        );
        let said = &ended.output;
        assert!(
            said.contains("db.example.org") && said.contains("protector_db"),
            "{program}: {said}"
        );
        for secret in ["s3cr", "et@x"] {
            assert!(!said.contains(secret), "{program}: {said}");
        }
    }
}

#[tokio::test]
async fn p12_database_file_that_cannot_be_opened_is_named() {
    let scratch = Scratch::new("p12-no-file");
    let directory = &scratch.0;
    let good = configuration(directory, &format!("sqlite:///{}/p.db", directory.display()));
    assert!(run("protector-manage", &["db", "sync"], &good).await.success);
    let file = configuration(
        directory,
        &format!("sqlite:///{}/nowhere/p.db", directory.display()),
    );
    for (program, arguments) in PROGRAMS {
        let ended = run(program, arguments, &file).await;
        assert!(!ended.success, "{program} runs without a database");
        assert!(
            ended.after < Duration::from_secs(10),
            "{program}: {:?}",
            ended.after
        );
        assert!(
            ended.output.contains("nowhere/p.db"),
            "{program}: {}",
            ended.output
        );
    }
}

/// Whatever reached either API during a whole life of a group was sent by this test.
#[tokio::test]
async fn p1_services_never_call_the_peer_protector() {
    let stack = Stack::start().await;
    let before = ["site-a", "site-b"].map(|site| stack.log(site, "protector-api").len());
    let tenant = stack.tenant().await;
    let shop = tenant.shop(&stack, &[("web-0", 1)]).await;
    let operation = tenant.failover(&shop.group, crate::failover::mappings()).await;
    let ended = tenant.ended(&operation).await;
    assert_eq!(ended["outcome"], "completed", "{ended}");

    let sent = stack.sent();
    for (site, before) in ["site-a", "site-b"].into_iter().zip(before) {
        let log = stack.log(site, "protector-api");
        let served: Vec<&str> = log[before..]
            .lines()
            .filter(|line| line.contains(" status: ") && !line.contains("/healthcheck"))
            .collect();
        assert!(served.len() > 10, "the log of {site} has no requests:\n{log}");
        for line in served {
            assert!(
                sent.iter().any(|id| line.contains(id.as_str())),
                "{site} was called by somebody else: {line}"
            );
        }
    }
}

#[tokio::test]
async fn p1_each_site_has_its_own_services_and_database() {
    let stack = Stack::start().await;
    let mut keys = Vec::new();
    for site in ["site-a", "site-b"] {
        let about = &stack.site(site)["protector"];
        let own = stack.directory.join(site);
        assert!(own.join("protector.db").exists());
        for pid in ["api_pid", "engine_pid"] {
            let command = std::fs::read(format!("/proc/{}/cmdline", about[pid])).unwrap();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            assert!(command.contains(own.to_str().unwrap()), "{command}");
        }
        keys.push(std::fs::read(own.join("keys/site.key")).unwrap());
    }
    assert_ne!(keys[0], keys[1]);
    let ask = json!({"nonce": {}});
    // A token of the other site's Keystone is nothing here.
    let foreign = stack.user("site-b", "demo").await;
    let url = format!(
        "{}/v1/{}/protection-groups",
        stack.root("site-a"),
        foreign.project
    );
    assert_eq!(foreign.send("GET", &url, &[], &ask).await.status, 401);
}
