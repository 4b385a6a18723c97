//! The crash matrix: the real engine is hit at every point of every step of every operation, and what it began has to
//! end all the same, with nothing lost, doubled or left behind.
//!
//! The cells aren't listed by hand: an undisturbed run of each operation shows its steps, one whose last step before
//! the point of no return fails shows what is taken back. See docs/crash-matrix.md.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

mod cell;
mod engine;
mod journal;
mod judge;
mod kind;
mod lane;
mod report;
mod run;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tokio::task::JoinSet;

use crate::cell::Cell;
use crate::kind::Kind;
use crate::lane::Lane;
use crate::report::Report;

/// Hit the engine at every point of every step of every operation.
#[derive(Parser, Clone)]
struct Arguments {
    /// A representative tenth, always the same
    #[arg(long)]
    tenth: bool,
    /// One operation only (repeat for several)
    #[arg(long, value_name = "OPERATION")]
    only: Vec<String>,
    /// One cell only, such as planned-failover:boot-server/m0@before-call=sigkill; a part of a name takes all that
    /// have it (repeat for several)
    #[arg(long, value_name = "NAME")]
    cell: Vec<String>,
    /// Tell the cells' names, and hit nothing
    #[arg(long)]
    list: bool,
    /// Worlds side by side
    #[arg(long, default_value_t = 6, value_name = "N")]
    lanes: usize,
    /// Write the table to this file
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let mut first = Lane::start().await?;
    let mut cells = Vec::new();
    for kind in kinds(&arguments)? {
        cells.extend(first.course(kind).await?.cells());
    }
    let cells = chosen(cells, &arguments);
    ensure!(!cells.is_empty(), "there is no such cell");
    if arguments.list {
        for cell in &cells {
            println!("{}", cell.name());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let lanes = arguments.lanes.clamp(1, cells.len());
    let queue = Arc::new(Mutex::new(VecDeque::from(cells)));
    let report = Arc::new(Mutex::new(Report::default()));
    let mut tasks = JoinSet::new();
    let mut first = Some(first);
    for _ in 0..lanes {
        let (queue, report, lane) = (queue.clone(), report.clone(), first.take());
        tasks.spawn(async move {
            let lane = match lane {
                Some(lane) => lane,
                None => Lane::start().await?,
            };
            work(lane, &queue, &report).await
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
    report.seconds = started.elapsed().as_secs_f64();
    if let Some(path) = &arguments.write {
        std::fs::write(path, report.document()).with_context(|| path.display().to_string())?;
    }
    print!("{}", report.lines());
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn kinds(arguments: &Arguments) -> Result<Vec<Kind>> {
    let mut named: Vec<Kind> = Vec::new();
    for name in arguments.only.iter().chain(&arguments.cell) {
        named.push(cell::kind_of(name)?);
    }
    Ok(if named.is_empty() {
        Kind::ALL.to_vec()
    } else {
        Kind::ALL
            .into_iter()
            .filter(|kind| named.contains(kind))
            .collect()
    })
}

fn chosen(mut cells: Vec<Cell>, arguments: &Arguments) -> Vec<Cell> {
    if !arguments.cell.is_empty() {
        cells.retain(|cell| {
            arguments
                .cell
                .iter()
                .any(|part| cell.name().contains(part.as_str()))
        });
    }
    if arguments.tenth {
        cell::tenth(cells)
    } else {
        cells
    }
}

/// How often a cell is tried whose engine lost its lease because the machine was busy, or was frozen in a write.
const TRIES: usize = 4;

async fn work(mut lane: Lane, queue: &Mutex<VecDeque<Cell>>, report: &Mutex<Report>) -> Result<()> {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(cell) = next else { return Ok(()) };
        let mut tries = 0;
        let outcome = loop {
            let outcome = run::run(&mut lane, &cell).await;
            tries += 1;
            match &outcome {
                Ok(one) if one.lease_lost && tries < TRIES => {}
                Err(error) if error.is::<run::FrozenInAWrite>() && tries < TRIES => {
                    lane = Lane::start().await?;
                }
                _ => break outcome,
            }
        };
        if outcome.is_err() {
            // Nobody knows what still runs there.
            lane = Lane::start().await?;
        }
        report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&cell, outcome, tries - 1);
    }
}
