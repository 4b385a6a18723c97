//! `protector-bench`: figures that the documents promise, each beside what it is compared with.

mod calls;
mod engine;
mod makespan;
mod profile;
mod world;

use clap::{Parser, Subcommand};

/// Measure the engine against simulated sites.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// How long a planned failover of many servers takes, beside the least that any engine would need
    Engine(makespan::Sizes),
}

fn main() -> anyhow::Result<()> {
    let What::Engine(sizes) = Options::parse().what;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(makespan::measure(&sizes))
}
