//! `cargo xtask simulate`: two whole sites in one thread, seed by seed, and the bugs planted to prove that they are seen.

use clap::Args;

use crate::shell::{self, built};

#[derive(Args)]
pub struct Simulate {
    /// How many seeds; of each planted bug at most so many
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this seed, with its whole history
    #[arg(long)]
    seed: Option<u64>,
    /// Plant one bug after the other, and say at which seed each is found
    #[arg(long)]
    planted: bool,
    /// With this bug planted, by its name
    #[arg(long)]
    bug: Option<String>,
}

pub fn run(what: &Simulate) -> anyhow::Result<bool> {
    let mut line = vec![
        built("protector-simulation", &["--features", "run"])?,
        format!("--seeds={}", what.seeds),
        format!("--from={}", what.from),
    ];
    line.extend(what.seed.map(|seed| format!("--seed={seed}")));
    line.extend(what.planted.then(|| "--planted".to_owned()));
    line.extend(what.bug.as_ref().map(|bug| format!("--bug={bug}")));
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    Ok(shell::run("simulate", 30, &line)?.success)
}
