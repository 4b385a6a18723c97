//! `cargo xtask check`: what can be said of the code without running it.

use std::fs;

use regex::Regex;
use serde_json::{Value, json};

use crate::results::Tally;
use crate::{dependencies, shell};

/// More lines than this in one file is more than one subject.
const LONGEST: usize = 700;

/// Crates that are instruments for tests and development, not product.
const INSTRUMENTS: &[&str] = &["sim", "simulation", "dev", "relay"];

pub fn run() -> anyhow::Result<bool> {
    let tally = all()?;
    let failed: Vec<_> = tally
        .tests
        .iter()
        .filter(|it| !it.passed)
        .map(|it| it.name.clone())
        .collect();
    println!(
        "{}",
        json!({"checks": tally.tests.len(), "passed": tally.passed, "failed": failed})
    );
    Ok(tally.failed == 0)
}

/// Every check, printed as it ends.
pub fn all() -> anyhow::Result<Tally> {
    let metadata: Value = serde_json::from_str(&shell::capture(&[
        "cargo",
        "metadata",
        "--format-version=1",
        "--locked",
    ])?)?;
    let files = shell::files()?;
    let mut tally = Tally::default();
    report(
        &mut tally,
        "format",
        program("fmt", &["cargo", "fmt", "--all", "--check"])?,
    );
    let clippy = [
        "cargo",
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    report(&mut tally, "lints", program("clippy", &clippy)?);
    report(&mut tally, "dependency rule", dependencies::breaches(&metadata)?);
    report(&mut tally, "no openssl", dependencies::unwanted(&metadata));
    report(
        &mut tally,
        "no requirement numbers in product code",
        numbers(&files)?,
    );
    report(&mut tally, "file sizes", sizes(&files)?);
    report(&mut tally, "words", words(&files)?);
    report(
        &mut tally,
        "simulated code chooses by no chance",
        chances(&files)?,
    );
    Ok(tally)
}

fn report(tally: &mut Tally, name: &str, found: Vec<String>) {
    println!("{:4} {name}", if found.is_empty() { "ok" } else { "FAIL" });
    for line in &found {
        println!("       {line}");
    }
    tally.add(name, found.is_empty());
}

fn program(log: &str, command: &[&str]) -> anyhow::Result<Vec<String>> {
    let output = shell::run(log, 30, command)?;
    Ok(if output.success {
        vec![]
    } else {
        vec![format!("{} failed", command.join(" "))]
    })
}

fn numbers(files: &[String]) -> anyhow::Result<Vec<String>> {
    let number = Regex::new(r"\b[PACTGODH]\d{1,2}\b")?;
    let mut found = Vec::new();
    for file in files.iter().filter(|it| is_product(it)) {
        let text = fs::read_to_string(shell::root().join(file))?;
        // Tests stand at the end of a file, and there the numbers belong.
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (index, line) in product.lines().enumerate() {
            if let Some((_, comment)) = line.split_once("//")
                && let Some(hit) = number.find(comment)
            {
                found.push(format!("{file}:{}: {}", index + 1, hit.as_str()));
            }
        }
    }
    Ok(found)
}

fn is_product(file: &str) -> bool {
    let Some((name, inside)) = file.strip_prefix("crates/").and_then(|it| it.split_once('/')) else {
        return false;
    };
    let test = inside.contains("/tests/") || inside.ends_with("/tests.rs");
    inside.starts_with("src/") && inside.ends_with(".rs") && !test && !INSTRUMENTS.contains(&name)
}

fn sizes(files: &[String]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files
        .iter()
        .filter(|it| it.ends_with(".rs") || it.ends_with(".py"))
    {
        let lines = fs::read_to_string(shell::root().join(file))?.lines().count();
        if lines > LONGEST {
            found.push(format!("{file} has {lines} lines, more than {LONGEST}"));
        }
    }
    Ok(found)
}

/// Paths and names of the place where a text was written have no business in it.
fn words(files: &[String]) -> anyhow::Result<Vec<String>> {
    // Put together from pieces, or this file would find itself.
    let pieces = [
        ["(^|[^\\w./])/wo", "rk/"],
        ["(?i)\\bcla", "ude\\b"],
        ["(?i)\\banthr", "opic\\b"],
        ["(?i)\\bsub-?ag", "ents?\\b"],
    ];
    let patterns = pieces
        .iter()
        .map(|it| Regex::new(&it.concat()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::new();
    for file in files {
        // What isn't text has no words.
        let Ok(text) = fs::read_to_string(shell::root().join(file)) else {
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            if let Some(hit) = patterns.iter().find_map(|it| it.find(line)) {
                found.push(format!("{file}:{}: {}", index + 1, hit.as_str().trim()));
            }
        }
    }
    Ok(found)
}

/// Crates that the simulation runs: a seed must give the same history again.
const SIMULATED: &[&str] = &[
    "crates/saga/src/",
    "crates/workflows/src/",
    "crates/simulation/src/",
];

fn chances(files: &[String]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files.iter().filter(|it| is_simulated(it)) {
        let text = fs::read_to_string(shell::root().join(file))?;
        found.extend(unbiased(&text).map(|line| format!("{file}:{line}: a select! without `biased;`")));
    }
    Ok(found)
}

fn is_simulated(file: &str) -> bool {
    file.ends_with(".rs") && SIMULATED.iter().any(|folder| file.starts_with(folder))
}

/// The lines where a `select!` begins that polls its branches in an order of tokio's own choice.
fn unbiased(text: &str) -> impl Iterator<Item = usize> {
    let lines = text.lines().zip(text.lines().skip(1)).zip(1..);
    lines
        .filter(|((line, next), _)| line.trim_end().ends_with("select! {") && next.trim() != "biased;")
        .map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_select_that_chooses_by_chance_is_found() {
        let text =
            "tokio::select! {\n    biased;\n}\nlet it = tokio::select! {\n    one = two() => one,\n}\n";
        assert_eq!(unbiased(text).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn product_code_is_the_source_of_product_crates() {
        assert!(is_product("crates/store/src/open.rs"));
        assert!(!is_product("crates/store/tests/it/main.rs"));
        assert!(!is_product("crates/saga/src/tests/behaviour.rs"));
        assert!(!is_product("crates/sim/src/lib.rs"));
        assert!(!is_product("xtask/src/check.rs"));
    }
}
