//! `cargo xtask conformance`: which promises of `docs/requirements.md` were seen to hold for this tree.
//!
//! A clause passes when it names tests and a change that was seen to make them fail, all of them ran against the
//! release programs of exactly this tree, and all passed. A row passes when every clause of it does.

use std::fs;

use anyhow::{Context, ensure};
use regex::Regex;
use serde_json::json;

use crate::results::{self, TestResult};
use crate::shell;

pub struct Clause {
    pub id: String,
    promise: String,
    pub tests: Vec<String>,
    /// As the table has it.
    pub change: String,
}

impl Clause {
    pub fn row(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }

    fn passes(&self, results: &[TestResult]) -> bool {
        let ran = |name: &String| {
            let mut mine = results.iter().filter(|it| it.name == *name).peekable();
            mine.peek().is_some() && mine.all(|it| it.passed)
        };
        !self.tests.is_empty() && !self.change.is_empty() && self.tests.iter().all(ran)
    }
}

pub fn run() -> anyhow::Result<bool> {
    let clauses = clauses()?;
    let results = results::read(&results::tree()?)?;
    let mut rows: Vec<(&str, Vec<&Clause>)> = Vec::new();
    for clause in &clauses {
        match rows.iter_mut().find(|it| it.0 == clause.row()) {
            Some(row) => row.1.push(clause),
            None => rows.push((clause.row(), vec![clause])),
        }
    }
    let (mut pass, mut partial, mut missing) = (0, Vec::new(), Vec::new());
    for (row, clauses) in &rows {
        let passing = clauses.iter().filter(|it| it.passes(&results)).count();
        let word = if passing == clauses.len() {
            pass += 1;
            "pass"
        } else if passing > 0 {
            partial.push(row);
            "partial"
        } else {
            missing.push(row);
            "missing"
        };
        println!("{row:4} {word:8} {passing}/{}", clauses.len());
        for clause in clauses.iter().filter(|it| !it.passes(&results)) {
            println!("       {}: {}", clause.id, clause.promise);
        }
    }
    println!(
        "{}",
        json!({"rows": rows.len(), "pass": pass, "partial": partial, "missing": missing})
    );
    Ok(true)
}

/// Every clause with the names of its tests.
pub fn tests_of_clauses() -> anyhow::Result<Vec<(String, Vec<String>)>> {
    Ok(clauses()?.into_iter().map(|it| (it.id, it.tests)).collect())
}

/// The table, in its order.
pub fn clauses() -> anyhow::Result<Vec<Clause>> {
    let file = shell::root().join("docs/requirements.md");
    parse(&fs::read_to_string(file).context("docs/requirements.md can't be read")?)
}

/// Rows of tables whose first cell is a clause: clause, promise, tests, the change that makes them fail.
pub fn parse(text: &str) -> anyhow::Result<Vec<Clause>> {
    let id = Regex::new(r"^[PACTGODH]\d{1,2}(\.[a-z0-9-]+)?$")?;
    let mut clauses: Vec<Clause> = Vec::new();
    for line in text.lines().filter(|it| it.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        if !id.is_match(cells[0]) {
            continue;
        }
        ensure!(
            cells.len() == 4,
            "docs/requirements.md: {} has {} cells and not 4",
            cells[0],
            cells.len()
        );
        ensure!(
            clauses.iter().all(|it| it.id != cells[0]),
            "docs/requirements.md: {} stands there twice",
            cells[0]
        );
        let tests = cells[2]
            .split([',', ' '])
            .map(|it| it.trim_matches('`'))
            .filter(|it| !it.is_empty());
        clauses.push(Clause {
            id: cells[0].to_owned(),
            promise: cells[1].to_owned(),
            tests: tests.map(str::to_owned).collect(),
            change: cells[3].to_owned(),
        });
    }
    Ok(clauses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(name: &str, passed: bool) -> TestResult {
        TestResult {
            name: name.to_owned(),
            passed,
        }
    }

    #[test]
    fn a_clause_passes_when_all_its_tests_ran_and_passed() {
        let clauses =
            parse("| P5.sqlite | a schema | `one`, `two` | drop a table |\n| P6 | a broker | | |").unwrap();
        assert_eq!(clauses[0].row(), "P5");
        assert!(clauses[0].passes(&[result("one", true), result("two", true)]));
        assert!(!clauses[0].passes(&[result("one", true)]));
        assert!(!clauses[0].passes(&[result("one", true), result("two", true), result("two", false)]));
        assert!(!clauses[1].passes(&[result("one", true)]));
        let unseen = parse("| P5.sqlite | a schema | `one` | |").unwrap();
        assert!(!unseen[0].passes(&[result("one", true)]));
    }

    #[test]
    fn a_broken_table_is_refused() {
        assert!(parse("| P5 | a | b |").is_err());
        assert!(parse("| P5 | a | | |\n| P5 | b | | |").is_err());
    }

    #[test]
    fn the_projects_own_table_has_every_row() {
        let clauses = clauses().unwrap();
        let mut rows: Vec<_> = clauses.iter().map(Clause::row).collect();
        rows.dedup();
        assert_eq!(rows.len(), 77);
    }
}
