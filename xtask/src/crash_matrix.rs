//! `cargo xtask crash-matrix`: the release engine, hit at every point of every step of every operation.

use clap::Args;

use crate::{shell, suites};

/// Longer than the whole matrix takes on a machine that has other things to do too.
const MINUTES: u32 = 45;
const DOCUMENT: &str = "docs/crash-matrix.md";

#[derive(Args)]
pub struct CrashMatrix {
    /// A representative tenth, always the same
    #[arg(long)]
    tenth: bool,
    /// One operation only (repeat for several)
    #[arg(long, value_name = "OPERATION")]
    only: Vec<String>,
    /// The cells that have this in their names (repeat for several)
    #[arg(long, value_name = "NAME")]
    cell: Vec<String>,
    /// Tell the cells' names, and hit nothing
    #[arg(long)]
    list: bool,
    /// Worlds side by side
    #[arg(long, default_value_t = 6, value_name = "N")]
    lanes: usize,
    /// Write the table to docs/crash-matrix.md
    #[arg(long)]
    write: bool,
    /// Take the programs as they are instead of building them first
    #[arg(long)]
    no_build: bool,
}

pub fn run(wanted: &CrashMatrix) -> anyhow::Result<bool> {
    if !wanted.no_build {
        suites::build_programs()?;
    }
    let program = suites::program("crash-matrix")?;
    let lanes = wanted.lanes.to_string();
    let mut line = vec![&*program, "--lanes", &lanes];
    for (option, values) in [("--only", &wanted.only), ("--cell", &wanted.cell)] {
        line.extend(values.iter().flat_map(|value| [option, &**value]));
    }
    for (option, is_wanted) in [("--tenth", wanted.tenth), ("--list", wanted.list)] {
        line.extend(is_wanted.then_some(option));
    }
    if wanted.write {
        line.extend(["--write", DOCUMENT]);
    }
    Ok(shell::run("crash-matrix", MINUTES, &line)?.success)
}
