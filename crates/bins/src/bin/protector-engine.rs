//! The engine of one site.

use std::process::ExitCode;

use clap::Parser;

/// Do the disaster recovery work of this site
#[derive(Parser)]
#[command(name = "protector-engine", version)]
struct Arguments {
    #[command(flatten)]
    files: protector_bins::Files,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    protector_bins::run("protector-engine", || {
        let config = arguments.files.load()?;
        protector_bins::log("protector-engine", &config)?;
        protector_bins::engine::work(&config)
    })
}
