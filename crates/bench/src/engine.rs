//! protector-engine as a process of its own, and what it costs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The unit by which it is shipped: what its environment does for it belongs to the figures.
const UNIT: &str = include_str!("../../../packaging/systemd/protector-engine.service");

pub struct Engine {
    child: Child,
}

/// What a process has used up so far.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub cpu_seconds: f64,
    /// The most memory that it ever had.
    pub peak_mb: f64,
}

/// Beside this program.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.with_file_name(name);
    ensure!(
        beside.exists(),
        "{} isn't there: build the programs first",
        beside.display()
    );
    Ok(beside)
}

/// The variables that a unit sets; ours need no quotes.
fn environment(unit: &str) -> impl Iterator<Item = (&str, &str)> {
    unit.lines()
        .filter_map(|line| line.strip_prefix("Environment="))
        .flat_map(str::split_whitespace)
        .filter_map(|variable| variable.split_once('='))
}

impl Engine {
    pub fn start(conf: &Path, log: &Path) -> Result<Self> {
        let log = std::fs::File::create(log)?;
        let child = Command::new(program("protector-engine")?)
            .arg("--config-file")
            .arg(conf)
            .envs(environment(UNIT))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("protector-engine can't be started")?;
        Ok(Self { child })
    }

    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    pub fn cost(&self) -> Result<Cost> {
        let own = PathBuf::from(format!("/proc/{}", self.child.id()));
        let stat = std::fs::read_to_string(own.join("stat"))?;
        // The name, in parentheses, may hold spaces.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .collect();
        let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("stat is short")?.parse()?) };
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        let status = std::fs::read_to_string(own.join("status"))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.split_whitespace().next())
            .context("status has no VmHWM")?;
        Ok(Cost {
            cpu_seconds: (ticks(11)? + ticks(12)?) / per_second,
            peak_mb: peak.parse::<f64>()? / 1024.0,
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
