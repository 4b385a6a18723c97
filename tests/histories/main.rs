//! Histories: the release programs of two sites, clients that carry what these say to each other, and a network and
//! machines that fail, all at random; and a checker that reads from the record whether the sites kept one truth.
//!
//! It is the counterpart of the model (docs/model.md), which explores every history of the rules alone. See
//! docs/histories.md.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

mod chance;
mod check;
mod client;
mod forgery;
mod lane;
mod plan;
mod proxy;
mod record;
mod report;
mod scene;
mod settle;
mod watch;
mod weather;
mod wire;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::lane::{LONGEST, Lane};
use crate::plan::Plan;
use crate::report::Report;

/// Random histories of two sites, on the release programs.
#[derive(Parser, Clone, Copy)]
struct Arguments {
    /// How many
    #[arg(long, default_value_t = 50)]
    runs: u64,
    /// The seed of the first; each one after it has the next
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Pairs of sites side by side
    #[arg(long, default_value_t = 3, value_name = "N")]
    lanes: u64,
    /// Tell what each history will be, and begin none
    #[arg(long)]
    plan: bool,
}

/// After so many histories a pair of sites is replaced: the tenant's quota of Cinder groups is used up some time.
const OLD: usize = 60;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let seeds = arguments.seed..arguments.seed + arguments.runs;
    if arguments.plan {
        for seed in seeds {
            println!("{:#?}", Plan::draw(seed));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(seeds.start));
    let report = Arc::new(Mutex::new(Report::default()));
    let mut lanes = JoinSet::new();
    for _ in 0..arguments.lanes.clamp(1, arguments.runs.max(1)) {
        lanes.spawn(work(next.clone(), seeds.end, report.clone(), begun));
    }
    while let Some(ended) = lanes.join_next().await {
        ended??;
    }
    let report = report.lock().unwrap_or_else(PoisonError::into_inner);
    // For the test command.
    let passed = report.violations() == 0;
    println!("{}", json!({"test": "two_site_histories", "passed": passed}));
    println!("{}", report.line(begun.elapsed().as_secs_f64()));
    Ok(match passed {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

async fn work(next: Arc<AtomicU64>, end: u64, report: Arc<Mutex<Report>>, begun: Instant) -> Result<()> {
    let mut lane = None;
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return Ok(());
        }
        let mut on = match lane.take() {
            Some(lane) => lane,
            None => Lane::start().await.context("two sites don't start")?,
        };
        let told = timeout(LONGEST, on.run(Plan::draw(seed))).await;
        let told = told.context("it takes too long").and_then(|told| told);
        let well = told.as_ref().is_ok_and(|told| told.violations.is_empty());
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tale) = report.add(seed, told) {
            println!("{tale}");
        }
        if report.runs().is_multiple_of(50) {
            println!(
                "{} histories, {} violations, {:.0} s",
                report.runs(),
                report.violations(),
                begun.elapsed().as_secs_f64()
            );
        }
        // Nobody knows what still goes on where something went wrong.
        lane = (well && on.age < OLD).then_some(on);
    }
}
