//! `protector-model`: every history of the two sites' protocol, with a few changes, takeovers and operations.
//!
//! The rules are the product's own (`protector_domain::protocol`). Everything that a site has ever said may reach the other
//! one at any time, any number of times, or never: that covers all losses, delays, repetitions and partitions, and clients that
//! die anywhere or work at once.

mod group;
mod history;
mod promises;
mod world;

use std::time::Instant;

use clap::Parser;
use serde_json::json;
use stateright::{Checker, Expectation, Model};

use history::Protocol;

/// Explore the protocol of the two sites
#[derive(Parser)]
struct Options {
    /// How many threads explore
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// What is done at most in one history, and with how many groups.
const SCOPES: [(&str, Protocol); 4] = [
    (
        "edits",
        Protocol {
            groups: 1,
            edits: 4,
            plans: 0,
            takeovers: 0,
        },
    ),
    (
        "takeovers",
        Protocol {
            groups: 1,
            edits: 2,
            plans: 1,
            takeovers: 1,
        },
    ),
    (
        "back and forth",
        Protocol {
            groups: 1,
            edits: 1,
            plans: 1,
            takeovers: 2,
        },
    ),
    (
        "two groups",
        Protocol {
            groups: 2,
            edits: 1,
            plans: 0,
            takeovers: 1,
        },
    ),
];

#[expect(clippy::print_stdout, reason = "the verdict is what this is for")]
fn main() -> std::process::ExitCode {
    let options = Options::parse();
    let (mut states, mut violations, mut complete) = (0, Vec::new(), true);
    for (name, protocol) in SCOPES {
        let begun = Instant::now();
        let checker = protocol.checker().threads(options.threads).spawn_bfs().join();
        let seen = checker.unique_state_count();
        println!(
            "{name}: {seen} states, {} steps deep at most, {:.0?}",
            checker.max_depth(),
            begun.elapsed()
        );
        let found = checker.discoveries();
        for property in checker.model().properties() {
            let path = found.get(property.name);
            let broken = match property.expectation {
                // What has to be possible, so that the promises are about something.
                Expectation::Sometimes => path.is_none(),
                Expectation::Always | Expectation::Eventually => path.is_some(),
            };
            if !broken {
                continue;
            }
            println!("BROKEN {}:", property.name);
            for step in path.into_iter().flat_map(|path| path.clone().into_actions()) {
                println!("    {step}");
            }
            violations.push(format!("{name}: {}", property.name));
        }
        states += seen;
        complete &= checker.is_done();
    }
    println!(
        "{}",
        json!({"states": states, "violations": violations.len(), "complete": complete, "broken": violations})
    );
    match violations.is_empty() && complete {
        true => std::process::ExitCode::SUCCESS,
        false => std::process::ExitCode::FAILURE,
    }
}
