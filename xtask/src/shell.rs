//! Other programs: run under a time limit, shown while they run, kept in `.run/logs`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, ensure};

/// The repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// What a program said, and how it ended.
pub struct Output {
    pub success: bool,
    /// Standard output and standard error, as they came.
    pub lines: Vec<String>,
}

/// Runs a program in the repository for at most `minutes`.
///
/// `timeout` is asked to keep the limit because it ends the program's children too.
pub fn run(log: &str, minutes: u32, command: &[&str]) -> anyhow::Result<Output> {
    let logs = root().join(".run/logs");
    fs::create_dir_all(&logs)?;
    let file = File::create(logs.join(format!("{log}.log")))?;
    let mut child = Command::new("timeout")
        .args(["--kill-after=20", &format!("{minutes}m")])
        .args(command)
        .current_dir(root())
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't start {}", command.join(" ")))?;
    let shared = Arc::new(Mutex::new((file, Vec::new())));
    let readers: Vec<_> = [
        child.stdout.take().map(|it| Box::new(it) as Box<dyn Read + Send>),
        child.stderr.take().map(|it| Box::new(it) as Box<dyn Read + Send>),
    ]
    .into_iter()
    .flatten()
    .map(|stream| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || follow(stream, &shared))
    })
    .collect();
    let status = child.wait()?;
    for reader in readers {
        let ended = reader.join();
        ensure!(ended.is_ok(), "the output of {} was lost", command.join(" "));
    }
    if status.code() == Some(124) {
        println!("{log}: more than {minutes} minutes; stopped");
    }
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Output {
        success: status.success(),
        lines: std::mem::take(&mut shared.1),
    })
}

fn follow(stream: Box<dyn Read + Send>, shared: &Mutex<(File, Vec<String>)>) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        println!("{line}");
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that can't be written is no reason to stop listening: the program would hang.
        let _ = writeln!(shared.0, "{line}");
        shared.1.push(line);
    }
}

/// What a program prints, when it is short and nobody has to see it.
pub fn capture(command: &[&str]) -> anyhow::Result<String> {
    let (program, arguments) = command.split_first().context("no program")?;
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("can't start {program}"))?;
    ensure!(output.status.success(), "{} failed", command.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program can be started.
pub fn available(command: &[&str]) -> bool {
    let Some((program, arguments)) = command.split_first() else {
        return false;
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|it| it.success())
}

/// The files of the repository: those under version control and those that could come under it.
pub fn files() -> anyhow::Result<Vec<String>> {
    let list = capture(&["git", "ls-files", "-co", "--exclude-standard", "-z"])?;
    Ok(list
        .split('\0')
        .filter(|it| root().join(it).is_file())
        .map(str::to_owned)
        .collect())
}

/// Builds one release program, and says where it is.
pub fn built(package: &str, more: &[&str]) -> anyhow::Result<String> {
    let log = format!("{package}-build");
    let mut line = vec!["cargo", "build", "--release", "--locked", "--package", package];
    line.extend(more);
    ensure!(
        run(&log, 30, &line)?.success,
        "{package} can't be built; see .run/logs/{log}.log"
    );
    crate::suites::program(package)
}
