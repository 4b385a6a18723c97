//! `protector-manage orphans`: what interrupted operations have left on clouds and arrays.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use protector_domain::OperationId;
use protector_oslo::config::Config;
use protector_ports::Store;
use protector_workflows::{Found, Left, Orphans, Remnant};

use super::say;
use crate::parts;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what operations that are over have left, and nobody uses
    List {
        #[command(flatten)]
        which: Which,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Remove it; what may be somebody else's stays
    Remove {
        #[command(flatten)]
        which: Which,
        /// Really do it; without this it is only listed
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct Which {
    /// Of this operation only
    #[arg(long, value_name = "ID")]
    operation: Option<OperationId>,
}

impl Command {
    pub(super) async fn run(self, config: &Config) -> Result<()> {
        let store = parts::store(config).await?;
        let local = store.local_site_id().await?;
        let orphans = Orphans::of(&parts::workflows(config, store, local)?);
        match self {
            Command::List { which, json } => list(&orphans, &which, json).await,
            Command::Remove { which, yes } => remove(&orphans, &which, yes).await,
        }
    }
}

async fn find(orphans: &Orphans, which: &Which) -> Result<Vec<Left>> {
    let found = orphans.find(which.operation).await;
    found.map_err(|reason| anyhow::anyhow!(reason))
}

async fn list(orphans: &Orphans, which: &Which, json: bool) -> Result<()> {
    let all = find(orphans, which).await?;
    if json {
        return say(&serde_json::to_string_pretty(&all)?);
    }
    if all.is_empty() {
        return say("Nothing is left of any operation that is over.");
    }
    show(&all)?;
    say("`protector-manage orphans remove --yes` removes them.")
}

fn show(all: &[Left]) -> Result<()> {
    for left in all {
        match &left.found {
            Found::Orphans(found) => {
                say(&format!("Operation {} left:", left.operation))?;
                for orphan in found {
                    say(&line(orphan))?;
                }
            }
            Found::Unknown(reason) => say(&format!(
                "What operation {} left is not known: {reason}",
                left.operation
            ))?,
        }
    }
    Ok(())
}

fn line(orphan: &Remnant) -> String {
    format!(
        "  {:<13} {} {} ({}) at site {}",
        orphan.kind.replace('_', " "),
        orphan.id,
        orphan.name,
        orphan.status,
        orphan.site
    )
}

async fn remove(orphans: &Orphans, which: &Which, yes: bool) -> Result<()> {
    let all = find(orphans, which).await?;
    if all.is_empty() {
        return say("Nothing is left of any operation that is over.");
    }
    show(&all)?;
    if !yes {
        return say("Nothing was removed: say --yes for that.");
    }
    let (mut removed, mut stay) = (0, 0);
    for left in &all {
        let Found::Orphans(found) = &left.found else {
            stay += 1;
            continue;
        };
        let rest = orphans.remove(left.operation).await;
        let rest = rest.map_err(|reason| anyhow::anyhow!("operation {}: {reason}", left.operation))?;
        removed += found.len() - rest.len().min(found.len());
        for orphan in &rest {
            stay += 1;
            say(&format!("stays: {}", line(orphan).trim_start()))?;
        }
    }
    say(&format!("{removed} removed, {stay} left."))?;
    match stay {
        0 => Ok(()),
        _ => bail!("not everything could be removed; the log of the service that holds it says why"),
    }
}
