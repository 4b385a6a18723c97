//! Simulated arrays from the command line; see `--help`.

use clap::Parser;
use protector_sim::array::{ArraysOptions, run};

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    arrays: ArraysOptions,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    Ok(run(Options::parse().arrays).await?)
}
