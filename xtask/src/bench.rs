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
    /// A planned failover of 1 to 1,000 servers beside the least that any engine needs, and the memory of 10,000
    Engine,
}

pub fn run(bench: Bench) -> anyhow::Result<bool> {
    let built = shell::run(
        "build",
        30,
        &["cargo", "build", "--release", "--locked", "--workspace", "--bins"],
    )?;
    ensure!(
        built.success,
        "the programs can't be built; see .run/logs/build.log"
    );
    let measured = match bench {
        Bench::LostSite { runs } => {
            let runs = runs.to_string();
            let program = "target/release/protector-dev";
            shell::run(
                "lost-site",
                15,
                &[program, "lost-site", "--no-build", "--runs", &runs],
            )?
        }
        Bench::Engine => shell::run("engine", 60, &["target/release/protector-bench", "engine"])?,
    };
    Ok(measured.success)
}
