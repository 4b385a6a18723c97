//! `cargo xtask lab`: two real OpenStack control planes on this machine, and what is tried on them.
//!
//! What installs, starts and stops them is `lab/lab.sh`; everything of theirs lives in `.run/lab`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use clap::Subcommand;

use crate::{shell, suites};

#[derive(Subcommand, Clone, Copy)]
pub enum Lab {
    /// Install what is missing and start what isn't running (4 minutes from nothing)
    Up,
    /// Stop everything that `up` started; the data stays
    Down,
    /// Say what runs
    Status,
    /// Fail servers of site-a over to site-b: planned, and with everything of site-a gone; kill engines and the broker
    Test,
    /// Ask the real site-a and a simulated one the same, and compare the answers
    Equality,
}

const DIR: &str = ".run/lab";

pub fn run(command: Lab) -> anyhow::Result<bool> {
    match command {
        Lab::Up => Ok(build()? && script(&["up", DIR])?),
        Lab::Down => script(&["down", DIR]),
        Lab::Status => script(&["status", DIR]),
        Lab::Equality => equality(),
        Lab::Test => Ok(build()? && script(&["protector", "up", DIR])? && failovers()?),
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

fn failovers() -> anyhow::Result<bool> {
    show(&[&format!("{DIR}/venv/bin/python"), "lab/failovers.py", DIR])
}

/// The simulated sites end with this, whatever came of it.
struct Simulated(Child);

impl Drop for Simulated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn equality() -> anyhow::Result<bool> {
    let build = [
        "cargo",
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--package",
        "protector-sim",
        "--example",
        "sites",
    ];
    if !show(&build)? {
        return Ok(false);
    }
    let child = Command::new(suites::program("examples/sites")?)
        .current_dir(shell::root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("the simulated sites could not be started")?;
    let mut sites = Simulated(child);
    let output = sites
        .0
        .stdout
        .take()
        .context("the simulated sites have no output")?;
    // They say on their first line where they listen, each on a free port.
    let mut ready = String::new();
    BufReader::new(output).read_line(&mut ready)?;
    show(&[
        &format!("{DIR}/venv/bin/python"),
        "lab/equality.py",
        DIR,
        ready.trim(),
    ])
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
