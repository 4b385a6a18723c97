//! `cargo xtask test`: every suite, one after the other; green means that all ran and none failed.

use std::time::Instant;

use anyhow::ensure;
use serde_json::{Map, json};

use crate::conformance;
use crate::results::{self, Tally};
use crate::shell;
use crate::suites::{SUITES, Suite};

/// The suite that the release programs come from.
const BUILD: &str = "build";

/// `only`: names of suites; without any, all. The programs are built where one of them needs it.
pub fn run(quick: bool, only: &[String]) -> anyhow::Result<bool> {
    check_names(only)?;
    let wanted = |suite: &Suite| {
        only.is_empty()
            || only.iter().any(|name| name == suite.name)
            || (suite.name == BUILD
                && SUITES
                    .iter()
                    .any(|it| it.release && only.iter().any(|name| name == it.name)))
    };
    let start = Instant::now();
    let tree = results::tree()?;
    let clauses = conformance::tests_of_clauses()?;
    let mut done: Vec<(&str, Tally)> = Vec::new();
    let mut built = false;
    for suite in SUITES.iter().filter(|suite| wanted(suite)) {
        let there = suite.exists.iter().any(|it| shell::root().join(it).exists());
        if !there || (quick && suite.real) {
            let reason = if there {
                "left out by --quick"
            } else {
                "not in the tree yet"
            };
            println!("[{:5}s] {}: {reason}", start.elapsed().as_secs(), suite.name);
            results::forget(suite.name)?;
            continue;
        }
        println!("[{:5}s] {}", start.elapsed().as_secs(), suite.name);
        results::forget(suite.name)?;
        let tally = if suite.release && !built {
            println!("{}: the release programs weren't built", suite.name);
            Tally::single(suite.name, false)
        } else {
            (suite.run)().unwrap_or_else(|error| {
                println!("{}: {error:#}", suite.name);
                Tally::single(suite.name, false)
            })
        };
        if suite.name == BUILD {
            built = tally.failed == 0;
        }
        // What ran while files changed proves nothing about either state.
        if results::tree()? == tree {
            results::write(suite.name, suite.release, &tree, &tally, &clauses)?;
        } else {
            println!(
                "{}: files changed meanwhile; its results are not kept",
                suite.name
            );
        }
        done.push((suite.name, tally));
    }
    Ok(summary(&done, start.elapsed().as_secs()))
}

fn check_names(only: &[String]) -> anyhow::Result<()> {
    for name in only {
        let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        ensure!(
            known.contains(&name.as_str()),
            "there is no suite '{name}', but {}",
            known.join(", ")
        );
    }
    Ok(())
}

fn summary(done: &[(&str, Tally)], seconds: u64) -> bool {
    let mut total = Tally::default();
    let mut suites = Map::new();
    println!();
    for (name, tally) in done {
        println!(
            "{name}: {} passed, {} failed, {} skipped",
            tally.passed, tally.failed, tally.skipped
        );
        for test in tally.tests.iter().filter(|it| !it.passed) {
            println!("    failed: {}", test.name);
        }
        let counts = json!({"passed": tally.passed, "failed": tally.failed, "skipped": tally.skipped});
        suites.insert((*name).to_owned(), counts);
        total.merge(tally.clone());
    }
    println!(
        "{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    );
    println!(
        "{}",
        json!({
            "suites": suites, "passed": total.passed, "failed": total.failed, "skipped": total.skipped, "seconds": seconds,
        })
    );
    total.failed == 0 && total.skipped == 0
}
