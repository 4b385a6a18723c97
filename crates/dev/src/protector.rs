//! Protector at one site: its configuration, its database, its two services.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use protector_relay::{Login, Session};
use protector_sim::cloud::{Cloud, Sites};
use secrecy::ExposeSecret;

use crate::children::{self, Program};
use crate::keystone;
use crate::programs::Programs;
use crate::sites::authority_file;

/// How long the API may take until it answers.
const START: Duration = Duration::from_secs(20);

/// How often it is started until it has found a port of its own.
const STARTS: u32 = 3;

/// The files by which a site's protector verifies whom it talks to.
pub(crate) struct Trusted {
    arrays: PathBuf,
    /// Of its own cloud, where that needs one.
    own: Option<PathBuf>,
    /// Of other clouds, by their names.
    others: Vec<(String, PathBuf)>,
}

impl Trusted {
    pub(crate) fn by(cloud: &Cloud, sites: &Sites, directory: &Path, arrays: &Path) -> Result<Self> {
        let mut others = Vec::new();
        for other in sites.clouds().iter().filter(|other| other.name() != cloud.name()) {
            if let Some(path) = authority_file(other, directory)? {
                others.push((other.name().to_owned(), path));
            }
        }
        Ok(Self {
            arrays: std::path::absolute(arrays)?,
            own: authority_file(cloud, directory)?,
            others,
        })
    }
}

/// A site's services. They run until [`Protector::stop`], or until this is dropped.
pub(crate) struct Protector {
    /// The cloud it runs on.
    pub(crate) site: String,
    pub(crate) root: String,
    pub(crate) directory: PathBuf,
    api: Program,
    engine: Program,
}

impl Protector {
    /// Set protector up on a cloud and start it; it answers when this returns.
    pub(crate) async fn start(
        cloud: &Cloud,
        programs: &Programs,
        http: &reqwest::Client,
        directory: &Path,
        trusted: &Trusted,
    ) -> Result<Self> {
        let log = directory.join("log");
        std::fs::create_dir_all(&log).with_context(|| format!("can't make {}", log.display()))?;
        let config = directory.join("protector.conf");
        let write = |port: u16| -> Result<()> {
            std::fs::write(&config, configuration(cloud, directory, trusted, port)?)
                .with_context(|| format!("can't write {}", config.display()))
        };
        write(free_port()?)?;
        let file = ["--config-file", &config.to_string_lossy()].map(str::to_owned);
        let with = |rest: &'static [&'static str]| -> Vec<&str> {
            file.iter()
                .map(String::as_str)
                .chain(rest.iter().copied())
                .collect()
        };
        let manage = programs.path("protector-manage");
        let said = children::run(&manage, &with(&["db", "sync"]), &log.join("db-sync.log")).await?;
        let kind = with(&["cinder", "group-type"]);
        children::run(&manage, &kind, &log.join("group-type.log")).await?;

        let program = |name: &str| {
            let log = log.join(format!("{name}.log"));
            Program::start(&programs.path(name), &with(&[]), &log)
        };
        let mut attempt = 1;
        let (root, address, api) = loop {
            let port = free_port()?;
            write(port)?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let root = format!("http://127.0.0.1:{port}");
            let mut api = program("protector-api")?;
            match answers(&mut api, http, &root, &said).await {
                Ok(()) => break (root, address, api),
                // Somebody else may have taken the port in the meantime.
                Err(error) if attempt == STARTS => return Err(error),
                Err(_) => attempt += 1,
            }
        };
        let admin = Session::sign_in(http, login(cloud, "admin")?).await?;
        let public = cloud
            .front(address)
            .await
            .context("nothing can stand in front of the API")?;
        keystone::register(&admin, &cloud.spec().region, &public).await?;
        Ok(Self {
            site: cloud.name().to_owned(),
            root,
            directory: directory.to_owned(),
            api,
            engine: program("protector-engine")?,
        })
    }

    /// An error if one of the services has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.api.check()?;
        self.engine.check()
    }

    /// The process ids of API and engine.
    pub(crate) fn pids(&self) -> [Option<u32>; 2] {
        [self.api.pid(), self.engine.pid()]
    }

    /// End both services at once.
    pub(crate) async fn kill(self) -> Result<()> {
        tokio::try_join!(self.api.kill(), self.engine.kill())?;
        Ok(())
    }

    pub(crate) async fn stop(self) {
        tokio::join!(self.api.stop(), self.engine.stop());
    }
}

/// Wait until the API answers, as the site that `protector-manage db sync` has named.
async fn answers(api: &mut Program, http: &reqwest::Client, root: &str, named: &str) -> Result<()> {
    let until = Instant::now() + START;
    loop {
        api.check()?;
        if let Ok(answer) = http.get(format!("{root}/")).send().await
            && let Ok(document) = answer.json::<serde_json::Value>().await
        {
            let id = document["site"]["id"].as_str().unwrap_or("nobody");
            if named.contains(id) {
                return Ok(());
            }
            bail!("at {root} answers another one than was started: {id}");
        }
        if Instant::now() > until {
            bail!("protector-api does not answer at {root}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How that user signs in at that cloud.
pub(crate) fn login(cloud: &Cloud, user: &str) -> Result<Login> {
    let account = cloud
        .spec()
        .account(user)
        .with_context(|| format!("{} has no user {user}", cloud.name()))?;
    Ok(Login::new(
        cloud.name(),
        &cloud.auth_url(),
        &account.user,
        account.password.clone(),
        &account.project,
    )
    .in_domain(&account.domain)
    .in_region(&cloud.spec().region))
}

/// Everything on this machine, and quick: a demo's servers stop in a moment.
fn configuration(cloud: &Cloud, directory: &Path, trusted: &Trusted, port: u16) -> Result<String> {
    let account = cloud
        .spec()
        .account("protector")
        .context("the cloud has no user protector")?;
    let state = std::path::absolute(directory)?;
    let state = state.display();
    let own = match &trusted.own {
        Some(path) => format!("cafile = {}", path.display()),
        None => String::new(),
    };
    let mut others = String::new();
    for (site, path) in &trusted.others {
        write!(others, "\n[site:{site}]\ncafile = {}\n", path.display())?;
    }
    Ok(format!(
        "\
[DEFAULT]
state_path = {state}
region_name = {region}

[api]
bind_host = 127.0.0.1
bind_port = {port}
workers = 2

[database]
connection = sqlite:///{state}/protector.db

[keystone_authtoken]
auth_url = {auth_url}
username = {user}
password = {password}
project_name = {project}
user_domain_name = {domain}
project_domain_name = {domain}
{own}

[storage]
cafile = {cafile}

[security]
# Clouds and arrays of this demo are on this machine; elsewhere loopback stays refused.
allowed_networks = 127.0.0.0/8
{own}

[engine]
poll_interval_ms = 200
{others}",
        region = cloud.spec().region,
        auth_url = cloud.auth_url(),
        user = account.user,
        password = account.password.expose_secret(),
        project = account.project,
        domain = account.domain,
        cafile = trusted.arrays.display(),
    ))
}

/// A port that nobody listens on now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}
