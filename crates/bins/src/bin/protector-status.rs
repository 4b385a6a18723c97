//! Whether an upgrade may go on.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    protector_bins::status::Status::parse().run()
}
