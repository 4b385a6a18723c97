//! The project's own commands: `cargo xtask <command>`. One file per command.
#![allow(clippy::print_stdout, reason = "printing is what these commands are for")]

mod bench;
mod check;
mod conformance;
mod crash_matrix;
mod dependencies;
mod histories;
mod junit;
mod lab;
mod model;
mod mutations;
mod packages;
mod results;
mod shell;
mod simulate;
mod suites;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What one does to this repository")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Format, lints, the dependency rule, sizes and words
    Check,
    /// Everything that has to pass
    Test {
        /// Leave out what needs the real control planes
        #[arg(long)]
        quick: bool,
        /// Only this suite (repeat for several), and the build where it is needed
        #[arg(long, value_name = "SUITE")]
        only: Vec<String>,
    },
    /// Two real OpenStack control planes on this machine
    #[command(subcommand)]
    Lab(lab::Lab),
    /// Figures that the documents promise; each ends with one line of JSON
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Hit the engine at every point of every step of every operation; the last line is JSON
    CrashMatrix(crash_matrix::CrashMatrix),
    /// Two simulated sites, driven by seeds; ends with one line of JSON
    Simulate(simulate::Simulate),
    /// All histories of what the two sites say to each other; ends with one line of JSON
    Model,
    /// Random histories of two sites with everything failing, on the release programs; ends with one line of JSON
    Histories(histories::Histories),
    /// Which promises of docs/requirements.md have been seen to hold for this tree
    Conformance,
    /// Make the change that stands beside each clause, and see its tests fail
    Mutations {
        /// Clauses or rows; without any, all
        clauses: Vec<String>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let passed = match Cli::parse().command {
        Command::Check => check::run()?,
        Command::Test { quick, only } => test::run(quick, &only)?,
        Command::Lab(command) => lab::run(command)?,
        Command::Bench(bench) => bench::run(bench)?,
        Command::CrashMatrix(wanted) => crash_matrix::run(&wanted)?,
        Command::Simulate(what) => simulate::run(&what)?,
        Command::Model => model::run()?,
        Command::Histories(wanted) => histories::run(&wanted)?,
        Command::Conformance => conformance::run()?,
        Command::Mutations { clauses } => mutations::run(&clauses)?,
    };
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
