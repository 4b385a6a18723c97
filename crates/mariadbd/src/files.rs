//! What a server keeps in its directory, and how it is started on that.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

use crate::program;

/// The one user, with a password that has to be encoded in a connection string.
pub const USER: &str = "protector";
pub const PASSWORD: &str = "ge/he@im:7";

pub fn log(directory: &Path) -> PathBuf {
    directory.join("mariadbd.log")
}

pub fn open_log(directory: &Path) -> Result<(Stdio, Stdio)> {
    let log = File::options().create(true).append(true).open(log(directory))?;
    Ok((Stdio::from(log.try_clone()?), Stdio::from(log)))
}

/// A new data folder; what was there before is gone.
pub fn make(directory: &Path) -> Result<()> {
    let data = directory.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("can't remove {}", data.display()))?;
    }
    fs::create_dir_all(temporary(directory))?;
    let made = program("mariadb-install-db")?
        .env("TMPDIR", temporary(directory))
        .arg("--no-defaults")
        .arg(format!("--user={}", user()?))
        .arg(format!("--datadir={}", data.display()))
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .output()?;
    ensure!(made.status.success(), "mariadb-install-db: {}", text(&made));
    let init = format!(
        "CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT ALL ON *.* TO '{USER}'@'127.0.0.1';\n"
    );
    Ok(fs::write(directory.join("init.sql"), init)?)
}

/// Its durability isn't what is tested: a server that is killed loses nothing, a machine that is would.
pub fn command(directory: &Path, port: u16) -> Result<Command> {
    let mut command = program("mariadbd")?;
    let (said, complained) = open_log(directory)?;
    command
        .env("TMPDIR", temporary(directory))
        .arg("--no-defaults")
        .arg(format!("--user={}", user()?))
        .arg(format!("--datadir={}", directory.join("data").display()))
        .arg(format!("--init-file={}", directory.join("init.sql").display()))
        // Relative to the data folder: paths of sockets are short.
        .args([
            "--socket=mysql.sock",
            "--pid-file=mysql.pid",
            "--bind-address=127.0.0.1",
        ])
        .arg(format!("--port={port}"))
        .args([
            "--skip-name-resolve",
            "--skip-log-bin",
            "--performance-schema=off",
        ])
        .args([
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=nosync",
        ])
        .args([
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M",
            "--max-connections=400",
        ])
        .stdout(said)
        .stderr(complained);
    Ok(command)
}

/// A server that starts removes what it takes for its own leftovers here, so no two may share it.
fn temporary(directory: &Path) -> PathBuf {
    directory.join("tmp")
}

fn user() -> Result<String> {
    let output = Command::new("id").arg("-un").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

pub fn text(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}
