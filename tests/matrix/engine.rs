//! An engine that is hit: stopped by itself at the point that it was told, then killed or let go on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use protector_tests::Site;
use protector_tests::programs::Program;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::journal::Journal;

const VARIABLE: &str = "PROTECTOR_FAILPOINTS";
const INTERVAL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Engine {
    program: Program,
    log: PathBuf,
}

impl Engine {
    /// `log` is what this one says; an older one of this name is gone.
    pub fn start(site: &Site, log: &str, failpoints: Option<&str>) -> Result<Self> {
        let log = site.directory.join(log);
        let _ = std::fs::remove_file(&log);
        let variables: Vec<(&str, &str)> = failpoints.map(|list| (VARIABLE, list)).into_iter().collect();
        let program = site.engine_with(&log, &variables)?;
        Ok(Self { program, log })
    }

    /// Until it has stopped itself; once all is over it never will.
    pub async fn stopped(&mut self, journal: &mut Journal) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !self.program.is_stopped()? {
            ensure!(
                self.program.runs()?,
                "the engine has ended; see {}",
                self.log.display()
            );
            ensure!(
                Instant::now() < end && !journal.is_over().await?,
                "the blow hit nothing"
            );
            sleep(INTERVAL).await;
        }
        Ok(())
    }

    /// It goes on.
    pub fn wake(&self) -> Result<()> {
        self.program.signal(Signal::CONT)
    }

    /// Until it has said this.
    pub async fn says(&mut self, what: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            if self.has_said(what)? {
                return Ok(());
            }
            if Instant::now() > end || !self.program.runs()? {
                bail!("the engine doesn't say '{what}'; see {}", self.log.display());
            }
            sleep(INTERVAL).await;
        }
    }

    pub fn has_said(&self, what: &str) -> Result<bool> {
        Ok(read(&self.log)?.contains(what))
    }

    /// End it in good order.
    pub async fn end(mut self) -> Result<()> {
        self.program.signal(Signal::TERM)?;
        tokio::time::timeout(PATIENCE, self.program.ended())
            .await
            .with_context(|| format!("the engine doesn't end; see {}", self.log.display()))?
    }

    pub async fn kill(self) -> Result<()> {
        self.program.kill().await
    }
}

fn read(log: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned())
}
