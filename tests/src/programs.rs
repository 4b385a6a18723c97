//! The programs under test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The path of a program under test.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let directory = std::env::var_os("PROTECTOR_BIN_DIR").map_or_else(release, PathBuf::from);
    let path = directory.join(name);
    assert!(
        path.exists(),
        "{} is missing: cargo build --release -p protector-bins -p protector-dev",
        path.display()
    );
    path
}

/// Tests run from `<target>/<profile>/deps`.
fn release() -> PathBuf {
    let own = std::env::current_exe().expect("the test's own path");
    let target = own.ancestors().nth(3).expect("a target directory");
    target.join("release")
}

/// How a program ended, and after what time.
#[derive(Debug)]
pub struct Ended {
    pub success: bool,
    pub output: String,
    pub after: Duration,
}

/// Run a program to its end, which must come within a minute.
pub async fn run(name: &str, arguments: &[&str], config: &Path) -> Ended {
    let began = Instant::now();
    let running = tokio::process::Command::new(binary(name))
        .arg("--config-file")
        .arg(config)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), running)
        .await
        .unwrap_or_else(|_| panic!("{name} doesn't end"))
        .unwrap_or_else(|error| panic!("{name} can't be started: {error}"));
    let text = [output.stdout, output.stderr].concat();
    Ended {
        success: output.status.success(),
        output: String::from_utf8_lossy(&text).into_owned(),
        after: began.elapsed(),
    }
}
