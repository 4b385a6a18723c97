//! `cargo xtask model`: all histories of the two sites' protocol.

use anyhow::ensure;

use crate::{shell, suites};

pub fn run() -> anyhow::Result<bool> {
    let build = [
        "cargo",
        "build",
        "--release",
        "--locked",
        "--package",
        "protector-model",
    ];
    ensure!(
        shell::run("model-build", 30, &build)?.success,
        "the model can't be built; see .run/logs/model-build.log"
    );
    let program = suites::program("protector-model")?;
    Ok(shell::run("model", 30, &[&program])?.success)
}
