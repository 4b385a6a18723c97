//! Two simulated sites from the command line; see `--help`.

use clap::Parser;
use protector_sim::cloud::{SitesOptions, run};

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    sites: SitesOptions,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    Ok(run(Options::parse().sites).await?)
}
