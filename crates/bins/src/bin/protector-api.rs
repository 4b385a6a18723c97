//! The REST service of one site.

use std::process::ExitCode;

use clap::Parser;

/// Serve the disaster recovery API of this site
#[derive(Parser)]
#[command(name = "protector-api", version)]
struct Arguments {
    #[command(flatten)]
    files: protector_bins::Files,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    protector_bins::run("protector-api", || {
        let config = arguments.files.load()?;
        protector_bins::log("protector-api", &config)?;
        protector_bins::api::serve(&arguments.files, &config)
    })
}
