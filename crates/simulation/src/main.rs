//! `protector-simulation`: many seeds on all cores, or one seed with its history.
//!
//! What is printed to standard output ends with one line of JSON; progress goes to standard error.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

mod many;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use protector_simulation::{Bug, Report, run};
use serde_json::json;

use crate::many::{Found, search};

/// So long the search for all planted bugs may take.
const PLANTED_LIMIT: Duration = Duration::from_secs(19 * 60);

#[derive(Parser)]
#[command(about = "Two whole sites in one thread, driven by one seed")]
struct Cli {
    /// How many seeds are run
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this seed, with its whole history
    #[arg(long)]
    seed: Option<u64>,
    /// Plants one bug after the other, and looks at which seed each is found
    #[arg(long)]
    planted: bool,
    /// With this bug planted
    #[arg(long, value_parser = bug)]
    bug: Option<Bug>,
}

fn bug(name: &str) -> Result<Bug, String> {
    let known = Bug::ALL.iter().find(|bug| bug.name() == name);
    known.copied().ok_or_else(|| {
        let names: Vec<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
        format!("there is no such bug; there are: {}", names.join(", "))
    })
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let good = match cli.seed {
        Some(seed) => replay(seed, cli.bug)?,
        None if cli.planted => planted(&cli)?,
        None => many(&cli)?,
    };
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn replay(seed: u64, bug: Option<Bug>) -> anyhow::Result<bool> {
    let report = run(seed, bug, true)?;
    for line in &report.history {
        println!("{line}");
    }
    let violation = report.violation.as_ref().map(ToString::to_string);
    let hash = format!("{:016x}", report.hash);
    println!(
        "{}",
        json!({ "seed": seed, "events": report.events, "hash": hash, "violation": violation, "counts": report.counts })
    );
    Ok(report.violation.is_none())
}

fn told(report: &Report) {
    if let Some(violation) = &report.violation {
        println!("seed {}: {violation}", report.seed);
        for line in &report.history {
            println!("    {line}");
        }
        println!("    again: cargo xtask simulate --seed {}", report.seed);
    }
}

fn many(cli: &Cli) -> anyhow::Result<bool> {
    let began = Instant::now();
    let Found {
        seeds,
        events,
        counts,
        violations,
    } = search(cli.from, cli.seeds, cli.bug, false, None)?;
    for report in violations.iter().take(3) {
        told(report);
    }
    let failed: Vec<u64> = violations.iter().map(|report| report.seed).collect();
    let mut kinds = std::collections::BTreeMap::<&str, u64>::new();
    for violation in violations.iter().filter_map(|report| report.violation.as_ref()) {
        *kinds.entry(violation.invariant).or_default() += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({
            "seeds": seeds, "violations": failed.len(), "seconds": (seconds * 10.0).round() / 10.0, "events": events,
            "sagas": counts, "invariants": kinds, "failing_seeds": failed.iter().take(20).collect::<Vec<_>>(),
        })
    );
    Ok(failed.is_empty())
}

fn planted(cli: &Cli) -> anyhow::Result<bool> {
    let began = Instant::now();
    let mut found = 0;
    let mut tried = 0;
    let chosen: Vec<Bug> = match cli.bug {
        Some(bug) => vec![bug],
        None => Bug::ALL.to_vec(),
    };
    let total = chosen.len();
    for (done, bug) in chosen.into_iter().enumerate() {
        // What is left of the time is left for all that come yet.
        let left = PLANTED_LIMIT.saturating_sub(began.elapsed()) / u32::try_from(total - done).unwrap_or(1);
        let limit = left * 3;
        let result = search(cli.from, cli.seeds, Some(bug), true, Some(limit))?;
        tried += result.seeds;
        match result.violations.first() {
            Some(report) => {
                found += 1;
                let violation = report.violation.as_ref().map(ToString::to_string);
                println!(
                    "{}: seed {}, {}",
                    bug.name(),
                    report.seed,
                    violation.unwrap_or_default()
                );
            }
            None => println!("{}: NOT FOUND in {} seeds", bug.name(), result.seeds),
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({
            "planted": total, "found": found, "seeds": tried, "violations": found,
            "seconds": (seconds * 10.0).round() / 10.0,
        })
    );
    Ok(found * 100 >= total * 95)
}
