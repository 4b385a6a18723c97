//! The administrator's command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let manage = protector_bins::manage::Manage::parse();
    protector_bins::run("protector-manage", || manage.run())
}
