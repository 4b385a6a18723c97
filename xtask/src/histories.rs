//! `cargo xtask histories`: random histories of two sites, on the release programs.

use clap::Args;

use crate::{shell, suites};

/// Longer than thousands of histories take on a machine that has other things to do too.
const MINUTES: u32 = 90;

#[derive(Args)]
pub struct Histories {
    /// How many
    #[arg(long, default_value_t = 1_000)]
    runs: u64,
    /// The seed of the first; each one after it has the next. `--runs 1` tells one again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Pairs of sites side by side
    #[arg(long, default_value_t = 3, value_name = "N")]
    lanes: u64,
    /// Tell what each history will be, and begin none
    #[arg(long)]
    plan: bool,
    /// Take the programs as they are instead of building them first
    #[arg(long)]
    no_build: bool,
}

pub fn run(wanted: &Histories) -> anyhow::Result<bool> {
    if !wanted.no_build {
        suites::build_programs()?;
    }
    let mut line = vec![
        suites::program("histories")?,
        format!("--runs={}", wanted.runs),
        format!("--seed={}", wanted.seed),
        format!("--lanes={}", wanted.lanes),
    ];
    line.extend(wanted.plan.then(|| "--plan".to_owned()));
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    Ok(shell::run("histories", MINUTES, &line)?.success)
}
