//! `cargo xtask lab`: two real OpenStack control planes on this machine, and what is tried on them.
//!
//! What installs, starts and stops them is `lab/lab.sh`; everything of theirs lives in `.run/lab`.

use std::process::{Command, Stdio};

use anyhow::Context;
use clap::Subcommand;

use crate::shell;

#[derive(Subcommand, Clone, Copy)]
pub enum Lab {
    /// Install what is missing and start what isn't running (4 minutes from nothing)
    Up,
    /// Stop everything that `up` started; the data stays
    Down,
    /// Say what runs
    Status,
    /// Protect three servers of site-a and fail them over to site-b
    Test,
}

const DIR: &str = ".run/lab";

pub fn run(command: Lab) -> anyhow::Result<bool> {
    match command {
        Lab::Up => Ok(build()? && script(&["up", DIR])?),
        Lab::Down => script(&["down", DIR]),
        Lab::Status => script(&["status", DIR]),
        Lab::Test => Ok(build()? && script(&["protector", "up", DIR])? && failover()?),
    }
}

/// The lab runs the release programs, the simulated arrays among them.
fn build() -> anyhow::Result<bool> {
    show(&[
        "cargo",
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--package",
        "protector-bins",
        "--package",
        "protector-dev",
    ])
}

fn script(arguments: &[&str]) -> anyhow::Result<bool> {
    let mut command = vec!["bash", "lab/lab.sh"];
    command.extend(arguments);
    show(&command)
}

fn failover() -> anyhow::Result<bool> {
    show(&[&format!("{DIR}/venv/bin/python"), "lab/planned_failover.py", DIR])
}

/// Runs with this command's own output; its last line is the command's line of JSON.
fn show(command: &[&str]) -> anyhow::Result<bool> {
    let (program, arguments) = command.split_first().context("no program")?;
    let status = Command::new(program)
        .args(arguments)
        .current_dir(shell::root())
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{program} could not be started"))?;
    Ok(status.success())
}
