//! protector-manage: what an administrator does beside the API.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use protector_domain::SiteId;
use protector_oslo::config::Config;
use protector_oslo::policy::Enforcer;
use protector_ports::cloud::{Access, Actor};
use protector_secrets::{KeyRing, SiteKeys};
use protector_store::NewIdentity;

use crate::options as opt;
use crate::{Files, parts};

#[derive(Debug, Parser)]
#[command(
    name = "protector-manage",
    version,
    about = "Administer this site's protector",
    after_help = "A new site, once protector.conf is written:\n  \
                  protector-manage db sync             makes the keys, the database and the site's identity\n  \
                  protector-manage cinder group-type   makes the group type that protection groups need in Cinder\n\n\
                  Run them as the user that the services run as, or as root: what is made then is given to\n\
                  the owner of state_path. 'config sample' and 'policy sample' print files to begin with.",
    arg_required_else_help = true
)]
pub struct Manage {
    #[command(flatten)]
    pub files: Files,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The database
    #[command(subcommand)]
    Db(Db),
    /// This site's Cinder
    #[command(subcommand)]
    Cinder(Cinder),
    /// The configuration file
    #[command(subcommand)]
    Config(Sample),
    /// The policy file
    #[command(subcommand)]
    Policy(Sample),
}

#[derive(Debug, Subcommand)]
pub enum Db {
    /// Make or upgrade the schema, this site's identity and its keys; may be repeated
    Sync,
    /// Print the schema's version
    Version,
}

#[derive(Debug, Subcommand)]
pub enum Cinder {
    /// Make the group type that protection groups' Cinder groups are of; may be repeated
    GroupType {
        /// Another name than the configured one
        #[arg(long)]
        name: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Sample {
    /// Print a sample with every entry and its default
    Sample,
}

impl Manage {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Config(Sample::Sample) => say(&crate::options::schema().sample()),
            Command::Policy(Sample::Sample) => say(&Enforcer::sample(protector_api::policy::RULES)),
            Command::Db(command) => {
                let config = load(&self.files)?;
                block_on(async {
                    match command {
                        Db::Sync => sync(&config).await,
                        Db::Version => version(&config).await,
                    }
                })
            }
            Command::Cinder(Cinder::GroupType { name }) => {
                let config = load(&self.files)?;
                block_on(group_type(&config, name))
            }
        }
    }
}

/// The configuration, and on standard error what of it was not understood.
fn load(files: &Files) -> Result<Config> {
    let config = files.load()?;
    for warning in config.warnings() {
        writeln!(std::io::stderr(), "protector-manage: {warning}")?;
    }
    Ok(config)
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", text.trim_end())?)
}

async fn sync(config: &Config) -> Result<()> {
    let dsn = parts::dsn(config)?;
    let state = PathBuf::from(config.get(&opt::STATE_PATH));
    let repository = parts::key_repository(config);
    let pair = parts::site_key(config);
    let found = protector_store::schema_version(&dsn)
        .await
        .context("[database] connection")?;
    if found.is_some() && !pair.exists() {
        anyhow::bail!(
            "[secrets] key_repository: the database belongs to a site whose keys are not in {}: restore them from a backup, \
             or name the right directory",
            repository.display()
        );
    }
    std::fs::create_dir_all(&state)
        .with_context(|| format!("[DEFAULT] state_path: can't make {}", state.display()))?;
    let new_keys = !pair.exists();
    KeyRing::create(&repository).context("[secrets] key_repository")?;
    let keys = SiteKeys::load_or_generate(&pair).context("[secrets] key_repository")?;
    let made = if new_keys { "were made" } else { "are there" };
    say(&format!("The site's keys {made}: {}.", repository.display()))?;

    let identity = NewIdentity {
        id: None,
        public_key: Some(keys.public_key_base64()),
    };
    let migrated = protector_store::migrate(&dsn, &identity)
        .await
        .context("[database] connection")?;
    let database = parts::file_of(&dsn);
    match &migrated.from {
        Some(from) if *from == migrated.to => {
            say(&format!("The schema is up to date: version {}.", migrated.to))?
        }
        Some(from) => say(&format!(
            "The schema was upgraded from version {from} to {}.",
            migrated.to
        ))?,
        None => {
            private(&database)?;
            say(&format!(
                "The schema was made: version {} in {}.",
                migrated.to,
                database.display()
            ))?;
        }
    }
    hand_over(&state, &repository, &database)?;
    say(&format!("This is site {}.", migrated.site_id))
}

/// SQLite's files, as far as they are there.
fn files_of(database: &Path) -> Vec<PathBuf> {
    ["", "-wal", "-shm"]
        .iter()
        .map(|end| {
            let mut name = database.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        })
        .filter(|path| path.exists())
        .collect()
}

/// What the database holds is the operator's business, not that of every user of the machine.
fn private(database: &Path) -> Result<()> {
    for file in files_of(database) {
        match std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)) {
            Err(error) if !is_gone(&error) => {
                return Err(error).with_context(|| format!("can't change the mode of {}", file.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// SQLite takes its files beside the database away when the last connection closes, which may be just now.
fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// What root made is given to the owner of the state directory: the services run as that user.
fn hand_over(state: &Path, repository: &Path, database: &Path) -> Result<()> {
    let owner = std::fs::metadata(state).with_context(|| format!("can't look at {}", state.display()))?;
    let mut files = files_of(database);
    files.push(repository.to_owned());
    for entry in std::fs::read_dir(repository)? {
        files.push(entry?.path());
    }
    for file in files {
        let now = match std::fs::metadata(&file) {
            Ok(now) => now,
            Err(error) if is_gone(&error) => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("can't look at {}", file.display()));
            }
        };
        if now.uid() == 0 && owner.uid() != 0 {
            match chown(&file, Some(owner.uid()), Some(owner.gid())) {
                Err(error) if !is_gone(&error) => {
                    return Err(error).with_context(|| {
                        format!(
                            "can't give {} to the owner of {}",
                            file.display(),
                            state.display()
                        )
                    });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

async fn version(config: &Config) -> Result<()> {
    match protector_store::schema_version(&parts::dsn(config)?)
        .await
        .context("[database] connection")?
    {
        Some(version) => say(&version),
        None => anyhow::bail!("the database has no tables yet: run protector-manage db sync"),
    }
}

/// A group type whose groups are consistent over their volumes' snapshots; Cinder asks for the spec.
async fn group_type(config: &Config, name: Option<String>) -> Result<()> {
    let name = name.unwrap_or_else(|| config.get(&opt::GROUP_TYPE));
    let (settings, credentials) = parts::own_credentials(config)?;
    let access = Access {
        // Only tells this call's tokens from others: the site may not be registered yet.
        site: SiteId(uuid::Uuid::nil()),
        site_name: "this site".to_owned(),
        auth_url: settings.auth_url.to_string(),
        region: config.get(&opt::REGION_NAME).or(settings.region_name),
        actor: Actor::Service(credentials),
        timeout: Duration::from_secs(config.get(&opt::CALL_TIMEOUT).unsigned_abs()),
    };
    let cloud = parts::cloud(config)?;
    let (spec, wanted) = ("consistent_group_snapshot_enabled", "<is> True");
    let present = cloud.group_types(&access).await?;
    if let Some(found) = present.into_iter().find(|one| one.name == name) {
        if found.group_specs.get(spec).is_none_or(|value| value != wanted) {
            anyhow::bail!(
                "Cinder has a group type '{name}' without {spec}='{wanted}': set that, or choose another name"
            );
        }
        if !found.is_public {
            anyhow::bail!(
                "Cinder has a group type '{name}' that is not public, so tenants can't use it: choose another name"
            );
        }
        return say(&format!("Cinder has the group type '{name}' already."));
    }
    let specs = BTreeMap::from([(spec.to_owned(), wanted.to_owned())]);
    cloud.create_group_type(&access, &name, &specs).await?;
    say(&format!("Cinder has the group type '{name}' now."))
}
