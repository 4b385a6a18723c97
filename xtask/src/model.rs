//! `cargo xtask model`: all histories of the two sites' protocol.

use crate::shell::{self, built};

pub fn run() -> anyhow::Result<bool> {
    let program = built("protector-model", &[])?;
    Ok(shell::run("model", 30, &[&program])?.success)
}
