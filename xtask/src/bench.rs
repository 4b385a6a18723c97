//! `cargo xtask bench`: figures that the documents promise, each with what it is compared with in the same run.

use anyhow::ensure;
use clap::Subcommand;

use crate::shell;

#[derive(Subcommand, Clone, Copy)]
pub enum Bench {
    /// An unplanned failover with the lost site refusing connections, and with it swallowing them
    LostSite {
        /// How often each way is tried
        #[arg(long, default_value_t = 5)]
        runs: u32,
    },
}

pub fn run(bench: Bench) -> anyhow::Result<bool> {
    let Bench::LostSite { runs } = bench;
    let built = shell::run(
        "build",
        30,
        &["cargo", "build", "--release", "--locked", "--workspace", "--bins"],
    )?;
    ensure!(
        built.success,
        "the programs can't be built; see .run/logs/build.log"
    );
    let runs = runs.to_string();
    let measured = shell::run(
        "lost-site",
        15,
        &[
            "target/release/protector-dev",
            "lost-site",
            "--no-build",
            "--runs",
            &runs,
        ],
    )?;
    Ok(measured.success)
}
