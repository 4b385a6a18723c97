//! Two simulated sites with protector on both, as processes of their own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::programs::binary;
use crate::tenant::Tenant;
use crate::user::{Answer, Seen, User};

/// Everything that a test looks at. It ends with the test.
pub struct Stack {
    child: Child,
    /// What `protector-dev stack` says of itself.
    pub about: Value,
    pub directory: PathBuf,
    http: reqwest::Client,
    seen: Seen,
}

impl Stack {
    /// Sites that know each other; the projects `demo` are mapped.
    pub async fn start() -> Self {
        Self::with(&[], &[]).await
    }

    /// With more arguments and environment.
    pub async fn with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let name = std::thread::current()
            .name()
            .unwrap_or("unnamed")
            .replace("::", "-");
        let name = format!("{name}-{}", std::process::id());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.run/tests");
        std::fs::create_dir_all(&root).expect("a place for tests");
        let directory = root.join(&name);
        let log = std::fs::File::create(root.join(format!("{name}.log"))).expect("a log");
        let mut child = Command::new(binary("protector-dev"))
            .args(["stack", "--no-build", "--until-eof", "--dir"])
            .arg(&directory)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("protector-dev starts");
        let output = child.stdout.take().expect("a pipe");
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        })
        .await
        .expect("a line")
        .expect("a line");
        let about = serde_json::from_str(&line).unwrap_or_else(|_| {
            let log = std::fs::read_to_string(root.join(format!("{name}.log"))).unwrap_or_default();
            panic!("the stack did not start:\n{log}")
        });
        let http = reqwest::Client::builder()
            .user_agent("protector-tests")
            .timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self {
            child,
            about,
            directory,
            http,
            seen: Arc::new(Mutex::default()),
        }
    }

    /// What the stack says of a site.
    #[must_use]
    pub fn site(&self, name: &str) -> &Value {
        let sites = self.about["sites"].as_array().expect("sites");
        let found = sites.iter().find(|site| site["name"] == name);
        found.unwrap_or_else(|| panic!("no site {name}"))
    }

    /// The URL of a site's protector, without version.
    #[must_use]
    pub fn root(&self, site: &str) -> &str {
        self.site(site)["protector"]["url"].as_str().expect("a URL")
    }

    /// The UUID that a site gives as its own.
    pub async fn id(&self, site: &str) -> String {
        let document = self.anonymous("GET", &format!("{}/", self.root(site))).await;
        text(&document.expect(200), "/site/id")
    }

    /// The text of a service's log.
    #[must_use]
    pub fn log(&self, site: &str, program: &str) -> String {
        let path = self
            .directory
            .join(site)
            .join("log")
            .join(format!("{program}.log"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The ids of all requests that this test has sent to any service.
    #[must_use]
    pub fn sent(&self) -> Vec<String> {
        self.seen.lock().expect("a lock").clone()
    }

    /// A call without a token.
    pub async fn anonymous(&self, method: &str, url: &str) -> Answer {
        crate::user::send(&self.http, &self.seen, method, url, &[], &Value::Null).await
    }

    /// Sign a user in: `demo`, `admin` or `protector`.
    pub async fn user(&self, site: &str, user: &str) -> User {
        let about = self.site(site);
        let accounts = about["accounts"].as_array().expect("accounts");
        let account = accounts.iter().find(|account| account["user"] == user);
        let account = account.unwrap_or_else(|| panic!("{site} has no user {user}"));
        let auth_url = about["auth_url"].as_str().expect("a URL");
        User::sign_in(&self.http, &self.seen, site, auth_url, account).await
    }

    /// The tenant `demo` on both sites.
    pub async fn tenant(&self) -> Tenant {
        Tenant {
            a: self.user("site-a", "demo").await,
            b: self.user("site-b", "demo").await,
            ids: [self.id("site-a").await, self.id("site-b").await],
        }
    }

    /// Call the control interface of the simulated sites.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let root = self.about["control"].as_str().expect("a control interface");
        self.steer(method, &format!("{root}/control/sites/{path}"), body)
            .await
    }

    /// Call the control interface of the simulated arrays.
    pub async fn arrays(&self, method: &str, path: &str, body: Value) -> Value {
        let root = self.about["arrays_control"]
            .as_str()
            .expect("a control interface");
        self.steer(method, &format!("{root}/control/{path}"), body).await
    }

    async fn steer(&self, method: &str, url: &str, body: Value) -> Value {
        // These aren't requests to a service; nobody counts them.
        let uncounted = Seen::default();
        crate::user::send(&self.http, &uncounted, method, url, &[], &body)
            .await
            .success()
    }

    /// Boot a server of a user of `site-a`; gives its id.
    pub async fn boot(&self, name: &str, disks: usize) -> String {
        self.boot_as("site-a", name, disks, "demo", crate::VOLUME_TYPE)
            .await
    }

    pub async fn boot_as(&self, site: &str, name: &str, disks: usize, user: &str, kind: &str) -> String {
        let body = json!({"name": name, "disks": disks, "user": user, "volume_type": kind});
        let made = self.control("POST", &format!("{site}/servers"), body).await;
        text(&made, "/id")
    }

    /// Where a server's disks are: `device`, `volume_id`, `array`, `array_volume`.
    pub async fn disks(&self, site: &str, server: &str) -> Vec<Value> {
        let path = format!("{site}/servers/{server}/disks");
        let answer = self.control("GET", &path, Value::Null).await;
        answer["disks"].as_array().expect("disks").clone()
    }

    /// Write to a disk as the guest would.
    pub async fn write(&self, site: &str, server: &str, device: &str, marker: &str) {
        let path = format!("{site}/servers/{server}/disks/{}", short(device));
        self.control("POST", &path, json!({ "marker": marker })).await;
    }

    /// What the guest reads from a disk.
    pub async fn read(&self, site: &str, server: &str, device: &str) -> Vec<String> {
        let path = format!("{site}/servers/{server}/disks/{}", short(device));
        let answer = self.control("GET", &path, Value::Null).await;
        let markers = answer["markers"].as_array().expect("markers");
        markers
            .iter()
            .map(|marker| marker.as_str().expect("a marker").to_owned())
            .collect()
    }

    /// The calls that a cloud has had.
    pub async fn calls(&self, site: &str, method: &str, path: &str) -> Vec<Value> {
        let query = format!("{site}/calls?method={method}&path={path}");
        let answer = self.control("GET", &query, Value::Null).await;
        answer["calls"].as_array().expect("calls").clone()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The end of its input is the end of the stack.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        // What is left of a failure is for whoever looks for its reason.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.directory);
            let _ = std::fs::remove_file(self.directory.with_extension("log"));
        }
    }
}

/// Ask until the answer is what is wanted.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match ask().await {
            Ok(found) => return found,
            Err(last) if Instant::now() > until => panic!("{what} does not happen: {last}"),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

pub(crate) fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("no {pointer} in {value}"))
        .to_owned()
}

fn short(device: &str) -> &str {
    device.trim_start_matches("/dev/")
}
