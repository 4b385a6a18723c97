//! The product's programs, as child processes that never outlive this one's work.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// How long a program may take to end in good order.
const GRACE: Duration = Duration::from_secs(5);

/// A running program. Dropping it kills it; [`Program::stop`] asks first.
pub(crate) struct Program {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Program {
    /// Start a program whose output goes to a file.
    pub(crate) fn start(binary: &Path, arguments: &[&str], log: &Path) -> Result<Self> {
        let name = binary
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let open = || File::options().create(true).append(true).open(log);
        let child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(open().with_context(|| format!("can't write {}", log.display()))?)
            .stderr(open().with_context(|| format!("can't write {}", log.display()))?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can't start {}", binary.display()))?;
        Ok(Self {
            name,
            log: log.to_owned(),
            child,
        })
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// An error with the end of its log, if the program has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!(
                "{} ended ({status}); the end of {}:\n{}",
                self.name,
                self.log.display(),
                tail(&self.log)
            ),
        }
    }

    /// End it at once, as when the power goes.
    pub(crate) async fn kill(mut self) -> Result<()> {
        let killed = self.child.kill().await;
        killed.with_context(|| format!("{} can't be killed", self.name))
    }

    /// Ask the program to end, and end it where it doesn't.
    pub(crate) async fn stop(mut self) {
        let pid = self.pid().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // It may have ended a moment ago, which is what is wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            tracing::warn!(program = self.name, "did not end when asked to and is killed");
            let _ = self.child.kill().await;
        }
    }
}

/// Run a program to its end. Its output is logged, and is the error where it fails.
pub(crate) async fn run(binary: &Path, arguments: &[&str], log: &Path) -> Result<String> {
    let output = Command::new(binary)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("can't start {}", binary.display()))?;
    let mut said = output.stdout;
    said.extend_from_slice(&output.stderr);
    std::fs::write(log, &said).with_context(|| format!("can't write {}", log.display()))?;
    if !output.status.success() {
        bail!(
            "{} {} failed ({}):\n{}",
            binary.display(),
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&said).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
