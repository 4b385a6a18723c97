//! protector-dev: two clouds on one machine, for whoever develops protector or wants to see it work.
//!
//! Nothing of the product depends on this program. It starts the product's own programs, as an operator would,
//! and talks to them over public REST; only the demo saga takes engine and database from inside.

mod children;
mod demo;
mod keystone;
mod lost_site;
mod programs;
mod protector;
mod saga;
mod screen;
mod sites;
mod stack;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Simulated OpenStack sites, and protector on them.
///
/// Begin with `protector-dev demo`: it starts two simulated clouds with their storage arrays and protector on
/// both, moves a group of servers from one cloud to the other, and then loses the first cloud altogether.
/// `protector-dev up` leaves such a pair running and tells how to use it.
#[derive(Parser)]
#[command(
    name = "protector-dev",
    version,
    arg_required_else_help = true,
    max_term_width = 110
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show a planned and an unplanned failover from beginning to end, and check where the data is
    ///
    /// Two simulated OpenStack clouds with a storage array each start on free ports of this machine, protector on
    /// both.
    ///
    /// First a tenant's three servers are protected and moved from site-a to site-b, both sites being well: not a
    /// byte may be lost. Then two other servers are protected, and site-a is lost without a warning, with its cloud,
    /// its array and its protector. Site-b alone brings them up from what was replicated last; how old that is, is
    /// told.
    ///
    /// After each act a table shows where each server, address and disk is now. The demo fails if anything isn't as
    /// it must be.
    Demo(demo::Options),
    /// Run two simulated sites with protector on both, and tell how to use them
    ///
    /// The sites are registered with each other and the tenant `demo` of the one is that of the other. What is
    /// printed can be typed in another shell: protect a server, fail over, switch a site off. Everything runs until
    /// Ctrl-C and is gone then; logs and databases stay until the next start.
    Up(up::Options),
    /// Run two simulated sites with protector on both, for other programs
    ///
    /// The same as `up`, but all addresses, accounts and process ids are printed as one line of JSON as soon as
    /// everything answers. It runs until Ctrl-C.
    Stack(stack::Options),
    /// Measure an unplanned failover with the lost site refusing connections, and with it swallowing them
    ///
    /// Both ways by turns; the last line is JSON with the medians and their ratio.
    LostSite(lost_site::Options),
    /// Run two simulated sites with their arrays, without protector, until Ctrl-C
    Sites(sites::Options),
    /// Try out by hand how work survives its engine
    ///
    /// A saga of three steps over a database of its own; the second step waits until it is released. In one shell:
    ///
    ///   protector-dev saga start
    ///   protector-dev saga engine --name first
    ///
    /// In another one: start a second engine (`--name second`), kill the first one with kill -9, and see by
    /// `protector-dev saga show` that the second one takes the work over when the lease of the first has ended. Or stop
    /// the first one with kill -STOP and let it go on later with kill -CONT: it finds that it has lost the work. Then
    /// `protector-dev saga release` lets the waiting step go on, and the saga ends.
    Saga(saga::Options),
    /// Run simulated storage arrays alone until Ctrl-C
    Arrays(protector_sim::array::ArraysOptions),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One TLS provider for everything; setting it a second time changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let quiet = matches!(arguments.command, Command::Demo(_) | Command::Up(_));
    let level = if quiet { "error" } else { "info" };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level)))
        .with_writer(std::io::stderr)
        .init();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("protector-dev: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match command {
            Command::Demo(options) => demo::run(options).await,
            Command::LostSite(options) => lost_site::run(options).await,
            Command::Up(options) => up::run(options).await,
            Command::Stack(options) => stack::run(options).await,
            Command::Sites(options) => sites::run(options).await,
            Command::Saga(options) => saga::run(options).await,
            Command::Arrays(options) => Ok(protector_sim::array::run(options).await?),
        }
    });
    // A read of standard input can't be taken back; nobody waits for it.
    runtime.shutdown_background();
    result
}

/// Ends when the user has had enough: Ctrl-C, or SIGTERM.
pub(crate) async fn asked_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}
