//! `protector-manage db`: the database, and what lies beside it.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use clap::Subcommand;
use protector_oslo::config::Config;
use protector_ports::{Clock, SystemClock};
use protector_secrets::{KeyRing, SiteKeys};
use protector_store::{NewIdentity, Purged};

use super::say;
use crate::options as opt;
use crate::parts;

#[derive(Debug, Subcommand)]
pub enum Db {
    /// Make or upgrade the schema, this site's identity and its keys; may be repeated
    Sync,
    /// Print the schema's version
    Version,
    /// Remove operations that ended long ago, with the journals of the work behind them
    Purge {
        /// How many days ago they must have ended
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        older_than: u32,
        /// Only say how many there are
        #[arg(long)]
        dry_run: bool,
    },
}

impl Db {
    pub(super) async fn run(self, config: &Config) -> Result<()> {
        match self {
            Db::Sync => sync(config).await,
            Db::Version => version(config).await,
            Db::Purge { older_than, dry_run } => purge(config, older_than, dry_run).await,
        }
    }
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
    match &migrated.from {
        Some(from) if *from == migrated.to => {
            say(&format!("The schema is up to date: version {}.", migrated.to))?
        }
        Some(from) => say(&format!(
            "The schema was upgraded from version {from} to {}.",
            migrated.to
        ))?,
        None => {
            if let Some(file) = dsn.file() {
                private(file)?;
            }
            say(&format!("The schema was made: version {} in {dsn}.", migrated.to))?;
        }
    }
    hand_over(&state, &repository, dsn.file())?;
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
fn hand_over(state: &Path, repository: &Path, database: Option<&Path>) -> Result<()> {
    let owner = std::fs::metadata(state).with_context(|| format!("can't look at {}", state.display()))?;
    let mut files = database.map(files_of).unwrap_or_default();
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

/// What is still going on stays, however old it is.
async fn purge(config: &Config, days: u32, dry_run: bool) -> Result<()> {
    let store = parts::store(config).await?;
    let before = SystemClock.now() - TimeDelta::days(i64::from(days));
    let (found, verb) = if dry_run {
        (store.ended_before(before).await, "would be removed")
    } else {
        (store.purge(before).await, "were removed")
    };
    let Purged { operations, journals } = found.context("[database] connection")?;
    store.close().await;
    say(&format!(
        "{operations} operations and {journals} journals that ended more than {days} days ago {verb}."
    ))
}
