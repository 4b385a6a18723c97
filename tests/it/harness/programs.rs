//! The programs under test, as processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// Where a program is: in the directory named by `PROTECTOR_BIN_DIR`, or where cargo built them beside this test.
pub fn binary(name: &str) -> Result<PathBuf> {
    let directory = match std::env::var_os("PROTECTOR_BIN_DIR") {
        Some(named) => PathBuf::from(named),
        None => beside(&std::env::current_exe()?).context("this program has no target directory")?,
    };
    let path = directory.join(name);
    ensure!(
        path.exists(),
        "{} is not there: cargo build --release --workspace --bins",
        path.display()
    );
    Ok(path)
}

/// target/<profile>/deps/<test> and target/<profile>/<program> stand beside target/release.
fn beside(own: &Path) -> Option<PathBuf> {
    let folder = own.parent()?;
    let profile = if folder.ends_with("deps") {
        folder.parent()?
    } else {
        folder
    };
    Some(profile.parent()?.join("release"))
}

/// A running program, killed when it is dropped. Its output goes to a file.
pub struct Program {
    child: Child,
}

impl Program {
    pub fn start(name: &str, arguments: &[&str], log: &Path) -> Result<Self> {
        Self::start_with(name, arguments, log, &[])
    }

    /// The same, with these variables in its environment.
    pub fn start_with(
        name: &str,
        arguments: &[&str],
        log: &Path,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let child = Command::new(binary(name)?)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} can't start"))?;
        Ok(Self { child })
    }

    /// As [`Program::start`], with the standard output in a pipe.
    pub fn piped(name: &str, arguments: &[&str], log: &Path) -> Result<Child> {
        Ok(Command::new(binary(name)?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .kill_on_drop(true)
            .spawn()?)
    }

    /// Send it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Whether it has been stopped, or has stopped itself, and can go on.
    pub fn is_stopped(&self) -> Result<bool> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        Ok(state == Some('T'))
    }

    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the program has ended")
    }

    /// End it as a power cut would.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Wait until it has ended by itself.
    pub async fn ended(&mut self) -> Result<()> {
        self.child.wait().await?;
        Ok(())
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

/// Run a program to its end, which has to come soon.
pub async fn run(name: &str, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(binary(name)?)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(Duration::from_secs(30), output)
        .await
        .with_context(|| format!("{name} {} doesn't end", arguments.join(" ")))?
        .with_context(|| format!("{name} can't start"))
}
