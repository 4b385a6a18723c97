//! protector-status: whether an upgrade may go on, as `oslo.upgradecheck` has operators expect it: a table of checks,
//! and 0 where all is well, 1 where something should be looked at, 2 where something has to be done first.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use protector_domain::Work;
use protector_oslo::config::Config;
use protector_secrets::KeyRing;
use protector_store::schema_state;

use crate::{Files, parts};

#[derive(Debug, Parser)]
#[command(
    name = "protector-status",
    version,
    about = "Tell whether this site's protector is ready for what was installed",
    arg_required_else_help = true
)]
pub struct Status {
    #[command(flatten)]
    pub files: Files,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What an upgrade needs
    #[command(subcommand)]
    Upgrade(Upgrade),
}

#[derive(Debug, Subcommand)]
pub enum Upgrade {
    /// Check before the services are started: 0 all is well, 1 look at it, 2 something has to be done first
    Check,
}

/// No check came to a result.
const UNEXPECTED: u8 = 255;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Success,
    Warning(String),
    Failure(String),
}

impl Outcome {
    fn code(&self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Warning(_) => 1,
            Self::Failure(_) => 2,
        }
    }

    /// The result's word, and what is to be known or done.
    fn words(&self) -> (&str, &str) {
        match self {
            Self::Success => ("Success", "None"),
            Self::Warning(details) => ("Warning", details),
            Self::Failure(details) => ("Failure", details),
        }
    }
}

impl From<Result<Outcome>> for Outcome {
    fn from(result: Result<Outcome>) -> Self {
        result.unwrap_or_else(|error| Self::Failure(format!("{error:#}")))
    }
}

impl Status {
    pub fn run(self) -> ExitCode {
        let Command::Upgrade(Upgrade::Check) = self.command;
        match check(&self.files) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "protector-status: {error:#}");
                ExitCode::from(UNEXPECTED)
            }
        }
    }
}

fn check(files: &Files) -> Result<u8> {
    let config = files.load()?;
    let database = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            [
                ("Database schema", schema(&config).await.into()),
                ("Running work", work(&config).await.into()),
            ]
        });
    let mut checks: Vec<(&str, Outcome)> = vec![
        ("Configuration", options(&config)),
        ("Key repository", keys(&config).into()),
    ];
    checks.extend(database);
    write!(std::io::stdout(), "{}", table(&checks))?;
    Ok(checks
        .iter()
        .map(|(_, outcome)| outcome.code())
        .max()
        .unwrap_or(0))
}

/// What isn't understood is not in force: its default is.
fn options(config: &Config) -> Outcome {
    let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    if warnings.is_empty() {
        Outcome::Success
    } else {
        Outcome::Warning(warnings.join("; "))
    }
}

/// Both halves: what seals secrets at rest, and the site's own pair.
fn keys(config: &Config) -> Result<Outcome> {
    KeyRing::load(&parts::key_repository(config)).context("[secrets] key_repository")?;
    parts::peers(config, None)?;
    Ok(Outcome::Success)
}

async fn schema(config: &Config) -> Result<Outcome> {
    const SYNC: &str = "run protector-manage db sync";
    let dsn = parts::dsn(config)?;
    let state = schema_state(&dsn).await.context("[database] connection")?;
    let needed = state.needed;
    Ok(match state.found {
        Some(found) if found == needed => Outcome::Success,
        Some(found) if found.as_str() > needed => Outcome::Failure(format!(
            "the database {dsn} has schema {found}, this release knows up to {needed}: install the newer release"
        )),
        Some(found) => Outcome::Failure(format!(
            "the database {dsn} has schema {found}, this release needs {needed}: {SYNC}"
        )),
        None => Outcome::Failure(format!("the database {dsn} has no tables yet: {SYNC}")),
    })
}

/// Work that another release has begun and this one can't go on with would wait for an operator.
async fn work(config: &Config) -> Result<Outcome> {
    let store = parts::store(config).await?;
    let live = store.live_sagas().await.context("[database] connection")?;
    store.close().await;
    let unknown: Vec<String> = live
        .iter()
        .filter_map(|saga| {
            let reason = Work::from_parts(&saga.kind, saga.version, &saga.params).err()?;
            Some(format!("{} {}: {reason}", saga.kind, saga.id))
        })
        .collect();
    Ok(if unknown.is_empty() {
        Outcome::Success
    } else {
        Outcome::Failure(format!(
            "this release can't go on with {}: let the release that began it end it first",
            unknown.join("; ")
        ))
    })
}

const WIDTH: usize = 100;

/// As all services of OpenStack print it.
fn table(checks: &[(&str, Outcome)]) -> String {
    let mut blocks = vec![vec!["Upgrade Check Results".to_owned()]];
    for (name, outcome) in checks {
        let (result, details) = outcome.words();
        let mut lines = vec![format!("Check: {name}"), format!("Result: {result}")];
        lines.extend(wrapped(&format!("Details: {details}")));
        blocks.push(lines);
    }
    let longest = blocks.iter().flatten().map(|line| line.chars().count()).max();
    let width = longest.unwrap_or(0);
    let rule = format!("+{}+\n", "-".repeat(width + 2));
    let mut text = rule.clone();
    for block in blocks {
        for line in block {
            text.push_str(&format!("| {line:<width$} |\n"));
        }
        text.push_str(&rule);
    }
    text
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + word.chars().count() >= WIDTH {
            lines.push(format!("  {word}"));
        } else {
            let space = if lines[last].is_empty() { "" } else { " " };
            lines[last].push_str(&format!("{space}{word}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_wide_as_its_longest_line() {
        let long = format!("{}end", "words and ".repeat(20));
        let text = table(&[("One", Outcome::Success), ("Two", Outcome::Failure(long))]);
        let mut widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        widths.dedup();
        assert_eq!(widths.len(), 1, "{text}");
        assert!(widths[0] <= WIDTH + 6, "{text}");
        assert!(
            text.contains("| Result: Failure ") && text.contains(" end "),
            "{text}"
        );
        assert!(text.starts_with("+--") && text.contains("| Details: None "));
    }
}
