//! Two simulated sites with protector on both, known to each other: what the demo, the tests and curious people
//! start from.
//!
//! Programs that use a pair take `stack`, which says in one line of JSON where everything is; `up` says it to people.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use protector_relay::{Pair, Registration, ServiceUser, Session, Site, http_client_trusting};
use protector_sim::cloud::{Cloud, Sites, SitesOptions};
use serde_json::{Value, json};

use crate::programs::Programs;
use crate::protector::{Protector, Trusted, login};
use crate::sites;

/// How a site is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Its connections are refused.
    Dark,
    /// It takes connections and never answers, as behind a network that swallows everything.
    Silent,
}

/// What sites to run, where and from which programs.
#[derive(Args)]
pub(crate) struct Place {
    #[command(flatten)]
    pub(crate) sites: SitesOptions,
    /// Where configuration, databases and logs go; what a former run left there is removed
    #[arg(long, value_name = "DIR", default_value = ".run/stack")]
    pub(crate) dir: PathBuf,
    /// Take protector's programs as they are instead of building them first
    #[arg(long)]
    no_build: bool,
}

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// End when standard input ends, so that nothing outlives the program that has started this one
    #[arg(long)]
    until_eof: bool,
    /// Leave the sites unregistered and the tenants unmapped
    #[arg(long)]
    unregistered: bool,
}

/// Serve until Ctrl-C. All addresses are printed as one line of JSON as soon as everything answers.
pub(crate) async fn run(options: Options) -> Result<()> {
    let ready = |stack: &Stack| {
        sites::say(&stack.describe());
        tracing::info!(
            "two sites with protector; try: OS_CLIENT_CONFIG_FILE={} openstack --os-cloud site-a server list",
            stack.clouds_yaml.display()
        );
    };
    serve(&options.place, !options.unregistered, options.until_eof, ready).await
}

/// Run a pair until the end is wanted, or until one of its services has ended. `ready` hears when everything answers.
pub(crate) async fn serve(
    place: &Place,
    registered: bool,
    until_eof: bool,
    ready: impl FnOnce(&Stack),
) -> Result<()> {
    let mut end = std::pin::pin!(end(until_eof));
    let work = async {
        let programs = Programs::ready(!place.no_build).await?;
        let stack = Stack::start(&place.sites, &programs, &place.dir).await?;
        if registered {
            stack.register().await?;
        }
        anyhow::Ok(stack)
    };
    let mut stack = tokio::select! {
        // Dropping what has been started ends it.
        ended = &mut end => return ended,
        stack = work => stack?,
    };
    ready(&stack);
    let mut look = tokio::time::interval(std::time::Duration::from_secs(1));
    let result = loop {
        tokio::select! {
            ended = &mut end => break ended,
            _ = look.tick() => if let Err(error) = stack.check() {
                break Err(error);
            },
        }
    };
    stack.stop().await;
    result
}

/// Ends when the user has had enough or, where that is wanted, when nobody holds the other end of standard input.
async fn end(until_eof: bool) -> Result<()> {
    use tokio::io::AsyncReadExt;
    let eof = async {
        if until_eof {
            let mut input = tokio::io::stdin();
            let mut ignored = [0; 256];
            while input.read(&mut ignored).await? > 0 {}
            return Ok(());
        }
        std::future::pending::<std::io::Result<()>>().await
    };
    tokio::select! {
        asked = crate::asked_to_stop() => Ok(asked?),
        ended = eof => Ok(ended?),
    }
}

/// Everything that runs. Dropping it ends it at once; [`Stack::stop`] does it in good order.
pub(crate) struct Stack {
    // In this order: the services go before the clouds they talk to.
    protectors: Vec<Protector>,
    pub(crate) sites: Sites,
    pub(crate) http: reqwest::Client,
    pub(crate) clouds_yaml: PathBuf,
}

impl Stack {
    pub(crate) async fn start(options: &SitesOptions, programs: &Programs, directory: &Path) -> Result<Self> {
        make_room(directory)?;
        let options = SitesOptions {
            arrays_tls: true,
            ..options.clone()
        };
        let sites = options.start().await?;
        let clouds_yaml = sites::write_clouds(&sites, directory)?;
        let cafile = directory.join("arrays.pem");
        std::fs::write(&cafile, certificates(&sites))
            .with_context(|| format!("can't write {}", cafile.display()))?;
        let authorities: Vec<&str> = sites.clouds().iter().filter_map(Cloud::authority).collect();
        let http = http_client_trusting(&authorities)?;
        let mut protectors = Vec::new();
        for cloud in sites.clouds() {
            let trusted = Trusted::by(cloud, &sites, directory, &cafile)?;
            let own = directory.join(cloud.name());
            let started = Protector::start(cloud, programs, &http, &own, &trusted).await;
            protectors.push(started.with_context(|| format!("protector can't start at {}", cloud.name()))?);
        }
        Ok(Self {
            protectors,
            sites,
            http,
            clouds_yaml,
        })
    }

    pub(crate) fn cloud(&self, name: &str) -> Result<&Cloud> {
        self.sites
            .cloud(name)
            .with_context(|| format!("there is no site {name}"))
    }

    /// A user's view of one site, newly signed in there and nowhere else.
    pub(crate) async fn site(&self, name: &str, user: &str) -> Result<Site> {
        let session = Session::sign_in(&self.http, login(self.cloud(name)?, user)?).await?;
        Ok(Site::find(session).await?)
    }

    /// The same user's view of both sites, `site-a` first.
    pub(crate) async fn pair(&self, user: &str) -> Result<Pair> {
        let here = self.site("site-a", user).await?;
        Ok(Pair::new(here, self.site("site-b", user).await?))
    }

    /// A site is gone from one moment to the next: its cloud, its array, its services. What is left goes on.
    pub(crate) async fn lose(&mut self, site: &str, loss: Loss) -> Result<()> {
        let cloud = self.cloud(site)?;
        match loss {
            Loss::Dark => cloud.set_power(false),
            Loss::Silent => {
                cloud.faults().set_hang(true);
                self.sites.fabric().faults(&cloud.spec().array)?.set_hang(true);
            }
        }
        let all = std::mem::take(&mut self.protectors);
        let (lost, left): (Vec<_>, Vec<_>) = all.into_iter().partition(|protector| protector.site == site);
        // Who was killed on purpose is neither checked nor stopped any more.
        self.protectors = left;
        for protector in lost {
            protector.kill().await?;
        }
        Ok(())
    }

    /// Make the sites known to each other, and the tenant `demo` of the one that of the other.
    pub(crate) async fn register(&self) -> Result<()> {
        let admin = self.pair("admin").await?;
        let [a, b] = [("site-a", "primary"), ("site-b", "secondary")].map(|(name, kind)| {
            let account = self.cloud(name)?.spec().account("protector");
            let account = account.with_context(|| format!("{name} has no user protector"))?;
            anyhow::Ok(Registration {
                name: name.to_owned(),
                description: format!("Simulated cloud {name}"),
                site_type: kind.to_owned(),
                service_user: ServiceUser {
                    username: account.user.clone(),
                    password: account.password.clone(),
                    project: account.project.clone(),
                    domain: account.domain.clone(),
                },
            })
        });
        admin.register(&a?, &b?).await?;
        admin.validate().await?;
        if self.sites.keystone().is_some() {
            // The tenant's project is the same one at both sites.
            return Ok(());
        }
        let tenant = self.pair("demo").await?;
        let here = tenant.here().session().project_id().await;
        let there = tenant.there().session().project_id().await;
        admin.map_tenants(&here, &there, "The project demo").await?;
        Ok(())
    }

    /// An error if one of the services has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.protectors.iter_mut().try_for_each(Protector::check)
    }

    /// Addresses, accounts, processes.
    pub(crate) fn describe(&self) -> Value {
        let mut described = sites::describe(&self.sites, &self.clouds_yaml);
        for site in described["sites"].as_array_mut().into_iter().flatten() {
            let runs = self
                .protectors
                .iter()
                .find(|protector| site["name"] == protector.site.as_str());
            if let Some(protector) = runs {
                let [api, engine] = protector.pids();
                site["protector"] = json!({
                    "url": protector.root, "directory": protector.directory, "api_pid": api, "engine_pid": engine
                });
            }
        }
        described
    }

    /// Where each site is, one line for each.
    pub(crate) fn tour(&self) -> Vec<String> {
        let described = self.describe();
        let line = |site: &Value| {
            let text = |pointer| site.pointer(pointer).and_then(Value::as_str).unwrap_or("none");
            format!(
                "{}: Keystone {}  array {}  protector {}",
                text("/name"),
                text("/auth_url"),
                text("/array/url"),
                text("/protector/url")
            )
        };
        let sites = described["sites"].as_array().into_iter().flatten();
        sites.map(line).collect()
    }

    pub(crate) async fn stop(self) {
        for protector in self.protectors {
            protector.stop().await;
        }
        self.sites.shutdown().await;
    }
}

/// The file by which a directory is known as this program's; it holds the id of the process that uses it.
const OURS: &str = ".protector-dev";

/// An empty directory. What a former run left is removed; what anybody else put there is not.
fn make_room(directory: &Path) -> Result<()> {
    let at = || directory.display().to_string();
    let mark = directory.join(OURS);
    if let Ok(user) = std::fs::read_to_string(&mark) {
        let program = Path::new("/proc").join(user.trim()).join("exe");
        if !user.trim().is_empty() && program.exists() {
            bail!(
                "{} is in use by process {}; name another directory with --dir",
                at(),
                user.trim()
            );
        }
        std::fs::remove_dir_all(directory).with_context(|| format!("can't remove {}", at()))?;
    }
    std::fs::create_dir_all(directory).with_context(|| format!("can't make {}", at()))?;
    let mut entries = std::fs::read_dir(directory).with_context(|| format!("can't read {}", at()))?;
    if entries.next().is_some() {
        bail!(
            "{} is not empty and not of this program's making; name another directory with --dir",
            at()
        );
    }
    std::fs::write(&mark, std::process::id().to_string()).with_context(|| format!("can't write in {}", at()))
}

fn certificates(sites: &Sites) -> String {
    sites
        .clouds()
        .iter()
        .filter_map(|cloud| sites.arrays().certificate(&cloud.spec().array))
        .collect::<Vec<_>>()
        .join("\n")
}
