//! protector-manage: what an administrator does beside the API.

mod cinder;
mod database;
mod orphans;

use std::io::Write;

use anyhow::Result;
use clap::{Parser, Subcommand};
use protector_oslo::config::Config;
use protector_oslo::policy::Enforcer;

use crate::Files;

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
    Db(database::Db),
    /// This site's Cinder
    #[command(subcommand)]
    Cinder(cinder::Cinder),
    /// What interrupted operations have left behind
    #[command(subcommand)]
    Orphans(orphans::Command),
    /// The configuration file
    #[command(subcommand)]
    Config(Sample),
    /// The policy file
    #[command(subcommand)]
    Policy(Sample),
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
                block_on(command.run(&config))
            }
            Command::Orphans(command) => {
                let config = load(&self.files)?;
                block_on(command.run(&config))
            }
            Command::Cinder(command) => {
                let config = load(&self.files)?;
                block_on(command.run(&config))
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
