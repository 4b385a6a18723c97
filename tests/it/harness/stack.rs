//! Two sites with protector on both, as an operator sets them up.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use super::pair::Pair;
use super::programs::{Program, run};
use super::session::{Login, Session, send};
use super::simulation::Simulation;

const PATIENCE: Duration = Duration::from_secs(30);

/// A port below those that the system gives to outgoing connections, so that none of these takes it meanwhile.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = 20_000;
    let first = u16::try_from(std::process::id() * 16 % u32::from(span))?;
    for _ in 0..span {
        let port = 12_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % span;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}

/// A configuration file.
pub struct Conf {
    pub auth_url: String,
    pub password: String,
    pub port: u16,
    /// What stands at its end.
    pub more: String,
}

impl Conf {
    /// Write it to `protector.conf` in a directory.
    pub fn write(&self, directory: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(directory)?;
        let Self {
            auth_url,
            password,
            port,
            more,
        } = self;
        let own = directory.display();
        let above = directory.parent().unwrap_or(directory).display();
        let text = format!(
            "[DEFAULT]\nstate_path = {own}/state\nlog_dir = {own}/log\n\n\
             [api]\nbind_host = 127.0.0.1\nbind_port = {port}\n\n\
             [keystone_authtoken]\nauth_url = {auth_url}\nwww_authenticate_uri = {auth_url}\n\
             username = protector\npassword = {password}\nproject_name = service\n\n\
             [security]\nallowed_networks = 127.0.0.0/8\n\n\
             [storage]\ncafile = {above}/arrays.pem\n\n\
             [engine]\npoll_interval_ms = 100\nlease_seconds = 2\n\n{more}"
        );
        let path = directory.join("protector.conf");
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

/// What sites to run, and how protector is configured there.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Options of the simulated sites, such as `--one-keystone`.
    pub sites: &'a [&'a str],
    /// What stands at the end of both sites' configuration, `site-a` first.
    pub more: [&'a str; 2],
    /// Whether each site is told the authorities of the other.
    pub trusting: bool,
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            sites: &[],
            more: ["", ""],
            trusting: true,
        }
    }
}

/// One site and protector on it.
pub struct Site {
    pub name: String,
    pub auth_url: String,
    pub region: String,
    /// Who is there: the simulation's own list.
    accounts: Value,
    /// Protector's, such as `http://127.0.0.1:8788`.
    pub root: String,
    pub array_url: String,
    pub engine: Option<Program>,
    api: Option<Program>,
    pub directory: PathBuf,
    conf: PathBuf,
    http: Client,
}

impl Site {
    /// Sign in as `admin`, `protector` or `demo`, whatever these are called here.
    pub async fn sign_in(&self, part: &str) -> Result<Session> {
        self.enter(&self.login(part)?).await
    }

    pub async fn sign_in_as(&self, user: &str, password: &str, project: &str) -> Result<Session> {
        let login = Login {
            user: user.to_owned(),
            password: password.to_owned(),
            project: project.to_owned(),
            domain: "Default".to_owned(),
        };
        self.enter(&login).await
    }

    async fn enter(&self, login: &Login) -> Result<Session> {
        Session::sign_in(&self.http, &self.root, &self.auth_url, &self.region, login).await
    }

    /// How `admin`, `protector` or `demo` sign in here.
    pub fn login(&self, part: &str) -> Result<Login> {
        account(&self.accounts, part)
    }

    /// What protector says of itself: id and public key.
    pub async fn identity(&self) -> Result<Value> {
        let answer = send(&self.http, Method::GET, &format!("{}/", self.root), &[], None).await?;
        Ok(answer.body["site"].clone())
    }

    pub fn start_engine(&mut self) -> Result<()> {
        self.engine = Some(self.program("protector-engine")?);
        Ok(())
    }

    /// An engine whose output goes to a file of its own, with these variables in its environment.
    pub fn engine_with(&self, log: &Path, variables: &[(&str, &str)]) -> Result<Program> {
        let conf = self.conf.to_string_lossy();
        Program::start_with("protector-engine", &["--config-file", &conf], log, variables)
    }

    /// An api with these variables in its environment.
    pub fn api_with(&self, variables: &[(&str, &str)]) -> Result<Program> {
        let conf = self.conf.to_string_lossy();
        let log = self.directory.join("protector-api.out");
        Program::start_with("protector-api", &["--config-file", &conf], &log, variables)
    }

    /// Start its api alone.
    pub async fn start_api(&mut self) -> Result<()> {
        self.api = Some(self.program("protector-api")?);
        self.answers().await
    }

    /// End its api alone.
    pub async fn kill_api(&mut self) -> Result<()> {
        match self.api.take() {
            Some(api) => api.kill().await,
            None => Ok(()),
        }
    }

    /// End its api and engine.
    pub async fn stop(&mut self) -> Result<()> {
        for program in [self.engine.take(), self.api.take()].into_iter().flatten() {
            program.kill().await?;
        }
        Ok(())
    }

    /// End api and engine and start them again: what they had in memory only is gone.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    /// Kill its api, as a power cut would, and start it again.
    pub async fn restart_api(&mut self) -> Result<()> {
        if let Some(api) = self.api.take() {
            api.kill().await?;
        }
        self.start_api().await
    }

    /// The same with its engine.
    pub async fn restart_engine(&mut self) -> Result<()> {
        if let Some(engine) = self.engine.take() {
            engine.kill().await?;
        }
        self.start_engine()
    }

    /// Start its api and engine again.
    pub async fn start(&mut self) -> Result<()> {
        self.start_engine()?;
        self.start_api().await
    }

    /// Its database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state().join("protector.db")
    }

    /// Run one of its programs to its end, and what it said.
    pub async fn says(&self, program: &str, before: &[&str]) -> Result<(bool, String)> {
        let conf = self.conf.to_string_lossy();
        let mut arguments = before.to_vec();
        arguments.extend(["--config-file", &conf]);
        let output = run(program, &arguments).await?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), text))
    }

    /// The processes of its api and engine.
    pub fn pids(&self) -> Result<Vec<u32>> {
        [&self.api, &self.engine]
            .into_iter()
            .flatten()
            .map(Program::pid)
            .collect()
    }

    /// Where its services keep what is theirs.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn program(&self, name: &str) -> Result<Program> {
        let conf = self.conf.to_string_lossy();
        let log = self.directory.join(format!("{name}.out"));
        Program::start(name, &["--config-file", &conf], &log)
    }

    async fn manage(&self, what: &[&str]) -> Result<()> {
        let conf = self.conf.to_string_lossy();
        let mut arguments = what.to_vec();
        arguments.extend(["--config-file", &conf]);
        let output = run("protector-manage", &arguments).await?;
        ensure!(
            output.status.success(),
            "protector-manage {}: {}",
            what.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    async fn answers(&mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        let url = format!("{}/", self.root);
        while let Err(error) = send(&self.http, Method::GET, &url, &[], None).await {
            if let Some(api) = &mut self.api {
                let place = self.directory.display();
                ensure!(
                    api.runs()?,
                    "protector-api at {} has ended; see {place}",
                    self.name
                );
            }
            if Instant::now() > end {
                return Err(error.context(format!("protector at {} doesn't answer", self.name)));
            }
            sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }
}

fn account(accounts: &Value, part: &str) -> Result<Login> {
    let mut all = accounts.as_array().into_iter().flatten();
    let found = all.find(|account| account["part"] == part);
    let found = found.with_context(|| format!("nobody is {part}"))?;
    let at = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Ok(Login {
        user: at("user"),
        password: at("password"),
        project: at("project"),
        domain: at("domain"),
    })
}

/// All of it. Dropping it ends everything; what was written stays if the test panicked.
pub struct Stack {
    // In this order: the services go before the clouds they talk to.
    pub a: Site,
    pub b: Site,
    pub simulation: Simulation,
    pub http: Client,
    _sites: Child,
    directory: Option<TempDir>,
}

impl Drop for Stack {
    fn drop(&mut self) {
        let keep = std::thread::panicking() || std::env::var_os("PROTECTOR_KEEP").is_some();
        if let Some(directory) = self.directory.take().filter(|_| keep) {
            eprintln!("logs and databases: {}", directory.keep().display());
        }
    }
}

impl Stack {
    /// Two sites that know each other, with the tenant `demo` of the one as that of the other.
    pub async fn start() -> Result<Self> {
        let stack = Self::unregistered().await?;
        stack.register().await?;
        Ok(stack)
    }

    /// As [`Stack::start`], with more at the end of both sites' configuration.
    pub async fn configured(more: &str) -> Result<Self> {
        Self::configured_apart([more, more]).await
    }

    /// As [`Stack::configured`], with something else at `site-a` than at `site-b`.
    pub async fn configured_apart(more: [&str; 2]) -> Result<Self> {
        Self::planned(Plan {
            more,
            ..Plan::default()
        })
        .await
    }

    /// Two sites of another kind that know each other.
    pub async fn planned(plan: Plan<'_>) -> Result<Self> {
        let stack = Self::strangers(plan).await?;
        stack.register().await?;
        Ok(stack)
    }

    /// Two sites with protector on both that don't know each other yet.
    pub async fn unregistered() -> Result<Self> {
        Self::strangers(Plan::default()).await
    }

    /// The same of another kind.
    pub async fn strangers(plan: Plan<'_>) -> Result<Self> {
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.run/black-box");
        std::fs::create_dir_all(&above)?;
        let directory = TempDir::new_in(above.canonicalize()?)?;
        let path = directory.path();
        let own = path.to_string_lossy();
        let mut arguments = vec!["sites", "--arrays-tls", "--dir", &own];
        arguments.extend(plan.sites);
        let mut sites = Program::piped("protector-dev", &arguments, &path.join("sites.log"))?;
        let mut line = String::new();
        let output = sites.stdout.take().context("no standard output")?;
        timeout(PATIENCE, BufReader::new(output).read_line(&mut line))
            .await
            .context("the simulated sites don't start")??;
        let ready: Value =
            serde_json::from_str(&line).with_context(|| format!("the sites' first line: {line}"))?;
        let described = ready["sites"].as_array().context("no sites")?;
        let http = client(described)?;
        let at = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
        let simulation = Simulation {
            http: http.clone(),
            sites: at("control"),
            arrays: at("arrays_control"),
        };
        let certificates: Vec<&str> = described
            .iter()
            .filter_map(|site| site["array"]["certificate"].as_str())
            .collect();
        std::fs::write(path.join("arrays.pem"), certificates.join("\n"))?;
        let trusted = authorities(described, path, plan.trusting)?;
        let more = [0, 1].map(|site| format!("{}{}", trusted[site], plan.more[site]));
        let (a, b) = tokio::try_join!(
            protector(&described[0], path, &more[0], &http, &simulation),
            protector(&described[1], path, &more[1], &http, &simulation)
        )?;
        Ok(Self {
            a,
            b,
            simulation,
            http,
            _sites: sites,
            directory: Some(directory),
        })
    }

    /// What an administrator of both sites does once.
    pub async fn register(&self) -> Result<()> {
        for book in [&self.a, &self.b] {
            let admin = book.sign_in("admin").await?;
            for site in [&self.a, &self.b] {
                let body = self.site_body(book, site).await?;
                admin.admin(Method::POST, "/sites", Some(&body)).await?.ok(201)?;
            }
        }
        if self.a.auth_url == self.b.auth_url {
            // In one Keystone a project is itself at both sites.
            return Ok(());
        }
        let (here, there) = (self.a.sign_in("demo").await?, self.b.sign_in("demo").await?);
        let id = uuid::Uuid::new_v4().to_string();
        for (site, local, other, remote) in [
            (&self.a, &here, &self.b, &there),
            (&self.b, &there, &self.a, &here),
        ] {
            let body = json!({"tenant_mapping": {
                "id": id, "local_tenant": local.project, "remote_site": other.identity().await?["id"],
                "remote_tenant": remote.project, "description": ""
            }});
            let admin = site.sign_in("admin").await?;
            let answer = admin.call(Method::POST, "/tenant-mappings", Some(&body)).await?;
            answer.ok(201)?;
        }
        Ok(())
    }

    /// How a site is written into the address book of one of the two; a site doesn't need its own credentials, nor those
    /// of another region of its Keystone.
    pub async fn site_body(&self, book: &Site, site: &Site) -> Result<Value> {
        let identity = site.identity().await?;
        let kind = match site.name.as_str() {
            "site-a" => "primary",
            _ => "secondary",
        };
        let mut body = json!({"site": {
            "id": identity["id"], "name": site.name, "description": "", "site_type": kind, "auth_url": site.auth_url,
            "region_name": site.region, "public_key": identity["public_key"]
        }});
        if site.auth_url != book.auth_url {
            let service = site.login("protector")?;
            body["site"]["service_username"] = json!(service.user);
            body["site"]["service_password"] = json!(service.password);
            body["site"]["service_project"] = json!(service.project);
            body["site"]["service_user_domain"] = json!(service.domain);
            body["site"]["service_project_domain"] = json!(service.domain);
        }
        Ok(body)
    }

    /// The other site's own place, seen from this one.
    #[must_use]
    pub fn state_of_the_other(&self, site: &Site) -> PathBuf {
        if site.name == self.a.name {
            self.b.state()
        } else {
            self.a.state()
        }
    }

    /// Site-a takes every connection and never says a word.
    pub async fn silence_site_a(&mut self) -> Result<()> {
        self.a.stop().await?;
        let silent = json!({"hang": true});
        self.simulation
            .site(Method::PUT, "site-a/faults", Some(&silent))
            .await?;
        self.simulation
            .array(Method::PATCH, "fa-a/faults", Some(&silent))
            .await?;
        Ok(())
    }

    /// Everything of site-a is gone at once: its protector, its cloud, its array.
    pub async fn lose_site_a(&mut self) -> Result<()> {
        self.a.stop().await?;
        let down = json!({"down": true});
        self.simulation
            .site(Method::PUT, "site-a/faults", Some(&down))
            .await?;
        let off = json!({"powered": false});
        self.simulation.array(Method::PATCH, "fa-a", Some(&off)).await?;
        Ok(())
    }

    /// Cloud and array of site-a are back as they were; its protector isn't yet.
    pub async fn return_site_a(&self) -> Result<()> {
        let up = json!({"down": false});
        self.simulation
            .site(Method::PUT, "site-a/faults", Some(&up))
            .await?;
        let on = json!({"powered": true});
        self.simulation.array(Method::PATCH, "fa-a", Some(&on)).await?;
        Ok(())
    }

    /// Time goes by on the arrays.
    pub async fn advance(&self, time: Duration) -> Result<()> {
        let later = json!({"advance_millis": u64::try_from(time.as_millis())?});
        let url = format!("{}/control/time", self.simulation.arrays_control());
        let answer = self.http.post(&url).json(&later).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    /// A user at both sites, `site-a` first.
    pub async fn pair(&self, user: &str) -> Result<Pair> {
        let (here, there) = tokio::try_join!(self.a.sign_in(user), self.b.sign_in(user))?;
        Ok(Pair { here, there })
    }
}

/// A client that takes the word of the simulated authorities.
fn client(described: &[Value]) -> Result<Client> {
    let mut builder = Client::builder().no_proxy().timeout(Duration::from_secs(60));
    for pem in described.iter().filter_map(|site| site["authority"].as_str()) {
        builder = builder.tls_certs_merge([Certificate::from_pem(pem.as_bytes())?]);
    }
    Ok(builder.build()?)
}

/// What each site's configuration says of authorities; they lie in files of `directory`.
fn authorities(described: &[Value], directory: &Path, trusting: bool) -> Result<[String; 2]> {
    let mut said = [String::new(), String::new()];
    for (number, site) in described.iter().enumerate() {
        let Some(pem) = site["authority"].as_str() else {
            continue;
        };
        let name = site["name"].as_str().unwrap_or_default();
        let path = directory.join(format!("{name}-ca.pem"));
        std::fs::write(&path, pem)?;
        let cafile = format!("cafile = {}\n", path.display());
        said[number].push_str(&format!("[keystone_authtoken]\n{cafile}[security]\n{cafile}"));
        if trusting {
            said[1 - number].push_str(&format!("[site:{name}]\n{cafile}"));
        }
    }
    Ok(said)
}

async fn protector(
    described: &Value,
    above: &Path,
    more: &str,
    http: &Client,
    simulation: &Simulation,
) -> Result<Site> {
    let at = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, auth_url) = (at(&described["name"]), at(&described["auth_url"]));
    let region = at(&described["region"]);
    let directory = above.join(&name);
    let port = free_port()?;
    let conf = Conf {
        auth_url: auth_url.clone(),
        password: account(&described["accounts"], "protector")?.password,
        port,
        more: format!("[DEFAULT]\nregion_name = {region}\n{more}"),
    };
    let conf = conf.write(&directory)?;
    let behind = json!({"service": format!("127.0.0.1:{port}")});
    let front = simulation
        .site(Method::POST, &format!("{name}/fronts"), Some(&behind))
        .await?;
    let mut site = Site {
        array_url: at(&described["array"]["url"]),
        root: at(&front["url"]),
        name,
        auth_url,
        region,
        accounts: described["accounts"].clone(),
        engine: None,
        api: None,
        directory,
        conf,
        http: http.clone(),
    };
    site.manage(&["db", "sync"]).await?;
    site.manage(&["cinder", "group-type"]).await?;
    let endpoint = json!({
        "type": "protector", "name": "protector", "url": format!("{}/v1/%(tenant_id)s", site.root)
    });
    let path = format!("{}/endpoints", site.name);
    simulation.site(Method::POST, &path, Some(&endpoint)).await?;
    site.api = Some(site.program("protector-api")?);
    site.start_engine()?;
    site.answers().await?;
    Ok(site)
}

impl Stack {
    /// No program has stumbled over what it met.
    pub fn nobody_panicked(&self) -> Result<()> {
        for site in [&self.a, &self.b] {
            for program in ["protector-api", "protector-engine"] {
                let said = std::fs::read_to_string(site.directory.join(format!("{program}.out")))?;
                let line = said.lines().find(|line| line.contains("panicked at"));
                ensure!(line.is_none(), "{program} at {}: {line:?}", site.name);
            }
        }
        Ok(())
    }
}
