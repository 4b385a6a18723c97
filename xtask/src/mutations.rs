//! `cargo xtask mutations [CLAUSE...]`: makes the change that `docs/requirements.md` names beside each clause, one
//! at a time and in a copy of the repository, and sees the clause's tests fail. A test that can't fail shows nothing.
//!
//! Checks of the real control planes are left out here: a change is tried on the simulated sites, in seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use regex::Regex;
use serde_json::json;

use crate::conformance::{self, Clause};
use crate::results::Tally;
use crate::{junit, shell};

/// One change: in this file, the one place that reads `old` becomes `new`.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    file: String,
    old: String,
    new: String,
}

impl Change {
    /// From a cell such as `` `crates/x/src/lib.rs`: `a == b` -> `true` ``.
    fn parse(cell: &str) -> anyhow::Result<Option<Self>> {
        let form = Regex::new(r"^`([^`]+)`: `([^`]+)` -> `([^`]*)`$")?;
        Ok(form.captures(cell).map(|found| Self {
            file: found[1].to_owned(),
            old: found[2].to_owned(),
            new: found[3].to_owned(),
        }))
    }

    fn apply(&self, tree: &Path) -> anyhow::Result<()> {
        let path = tree.join(&self.file);
        let text = fs::read_to_string(&path).with_context(|| format!("no {}", self.file))?;
        let places = text.matches(&self.old).count();
        ensure!(
            places == 1,
            "{}: '{}' stands there {places} times",
            self.file,
            self.old
        );
        Ok(fs::write(&path, text.replacen(&self.old, &self.new, 1))?)
    }
}

/// By which program a test is run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Runner {
    Rust,
    Python,
}

pub fn run(wanted: &[String]) -> anyhow::Result<bool> {
    let start = Instant::now();
    let bench = Bench::new()?;
    let clauses = conformance::clauses()?;
    for name in wanted {
        ensure!(
            clauses.iter().any(|it| it.id == *name || it.row() == name),
            "docs/requirements.md has no clause {name}"
        );
    }
    let chosen: Vec<&Clause> = clauses
        .iter()
        .filter(|it| wanted.is_empty() || wanted.iter().any(|name| *name == it.id || name == it.row()))
        .filter(|it| !it.tests.is_empty())
        .collect();
    let (mut caught, mut survived, mut unchecked) = (0, Vec::new(), Vec::new());
    bench.refresh()?;
    let all = names(chosen.iter().copied());
    let sound = bench
        .failures(&all)?
        .context("the unchanged tree can't be built")?;
    ensure!(sound.is_empty(), "without any change these fail: {sound:?}");
    // What failed by each change, as several clauses may name the same one.
    let mut tried: BTreeMap<&str, Option<Vec<String>>> = BTreeMap::new();
    for clause in &chosen {
        let change = Change::parse(&clause.change)?;
        let (Some(change), false) = (change, bench.runnable(&clause.tests)?.is_empty()) else {
            println!("{:18} unchecked", clause.id);
            unchecked.push(&clause.id);
            continue;
        };
        if !tried.contains_key(clause.change.as_str()) {
            bench.refresh()?;
            change
                .apply(&bench.tree)
                .with_context(|| format!("{}: its change", clause.id))?;
            tried.insert(
                &clause.change,
                bench.failures(&tests_of(&chosen, &clause.change))?,
            );
        }
        match &tried[clause.change.as_str()] {
            None => {
                println!("{:18} does not compile any more", clause.id);
                survived.push(&clause.id);
            }
            Some(failed) => {
                let mine: Vec<&str> = failed
                    .iter()
                    .filter(|name| clause.tests.contains(name))
                    .map(String::as_str)
                    .collect();
                if mine.is_empty() {
                    println!("{:18} SURVIVED", clause.id);
                    survived.push(&clause.id);
                } else {
                    println!("{:18} caught by {}", clause.id, mine.join(", "));
                    caught += 1;
                }
            }
        }
    }
    bench.refresh()?;
    println!(
        "{}",
        json!({"caught": caught, "survived": survived, "unchecked": unchecked, "seconds": start.elapsed().as_secs()})
    );
    Ok(survived.is_empty())
}

/// The tests of all clauses that name this change.
fn tests_of(chosen: &[&Clause], change: &str) -> Vec<String> {
    names(chosen.iter().copied().filter(|it| it.change == change))
}

/// Each name once.
fn names<'a>(clauses: impl Iterator<Item = &'a Clause>) -> Vec<String> {
    let names: BTreeSet<String> = clauses.flat_map(|it| it.tests.clone()).collect();
    names.into_iter().collect()
}

/// The copy in which changes are made.
struct Bench {
    tree: PathBuf,
    target: PathBuf,
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        let place = shell::root().join(".run/mutations");
        let tree = place.join("tree");
        fs::create_dir_all(&tree)?;
        Ok(Self {
            tree,
            target: place.join("target"),
        })
    }

    /// Makes the copy equal to the repository. What is equal keeps its time, so that little is built anew.
    fn refresh(&self) -> anyhow::Result<()> {
        for file in shell::files()? {
            let (from, to) = (shell::root().join(&file), self.tree.join(&file));
            let content = fs::read(&from)?;
            if fs::read(&to).ok().as_ref() == Some(&content) {
                continue;
            }
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&to, content)?;
        }
        Ok(())
    }

    /// The tests that run on simulated sites, by who runs them.
    fn runnable(&self, names: &[String]) -> anyhow::Result<BTreeMap<Runner, Vec<String>>> {
        let mut found: BTreeMap<Runner, Vec<String>> = BTreeMap::new();
        for (runner, folder, word) in [
            (Runner::Rust, "tests/it", "fn"),
            (
                Runner::Python,
                "clients/python-protectorclient/tests/functional",
                "def",
            ),
        ] {
            let mut text = String::new();
            for entry in fs::read_dir(self.tree.join(folder))? {
                let path = entry?.path();
                if path.is_file() {
                    text.push_str(&fs::read_to_string(path)?);
                }
            }
            for name in names {
                if text.contains(&format!("{word} {name}(")) {
                    found.entry(runner).or_default().push(name.clone());
                }
            }
        }
        Ok(found)
    }

    /// Which of these tests fail; `None` where the programs can't be built.
    fn failures(&self, names: &[String]) -> anyhow::Result<Option<Vec<String>>> {
        let programs = [
            "build",
            "--locked",
            "--bins",
            "-p",
            "protector-bins",
            "-p",
            "protector-dev",
        ];
        if !self.cargo("mutations-build", &programs)?.success {
            return Ok(None);
        }
        let mut failed = Vec::new();
        for (runner, names) in self.runnable(names)? {
            let tally = match runner {
                Runner::Rust => self.rust(&names)?,
                Runner::Python => self.python(&names)?,
            };
            failed.extend(tally.tests.into_iter().filter(|it| !it.passed).map(|it| it.name));
        }
        Ok(Some(failed))
    }

    fn rust(&self, names: &[String]) -> anyhow::Result<Tally> {
        let mut line = vec![
            "test",
            "--locked",
            "--no-fail-fast",
            "-p",
            "protector-tests",
            "--",
        ];
        line.extend(names.iter().map(String::as_str));
        let output = self.cargo("mutations-tests", &line)?;
        let tally = junit::cargo_test(&output.lines)?;
        ensure!(!tally.tests.is_empty(), "none of {names:?} ran");
        Ok(tally)
    }

    fn python(&self, names: &[String]) -> anyhow::Result<Tally> {
        let client = self.tree.join("clients/python-protectorclient");
        let report = self.tree.with_file_name("python.xml");
        let line = [
            "env",
            &format!("--chdir={}", client.display()),
            &format!("PYTHONPATH={}", client.display()),
            &format!("PROTECTOR_DEV={}/debug/protector-dev", self.target.display()),
            &format!("{}/.run/venv/bin/python", shell::root().display()),
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            &format!("--junitxml={}", report.display()),
            "-k",
            &names.join(" or "),
            "tests/functional",
        ];
        shell::run("mutations-tests", 10, &line)?;
        let Ok(text) = fs::read_to_string(&report) else {
            bail!("none of {names:?} ran");
        };
        junit::parse(&text)
    }

    fn cargo(&self, log: &str, arguments: &[&str]) -> anyhow::Result<shell::Output> {
        let chdir = format!("--chdir={}", self.tree.display());
        let target = format!("CARGO_TARGET_DIR={}", self.target.display());
        let programs = format!("PROTECTOR_BIN_DIR={}/debug", self.target.display());
        let mut line = vec!["env", &*chdir, &*target, &*programs, "cargo"];
        line.extend(arguments);
        shell::run(log, 30, &line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_names_file_and_change() {
        let change = Change::parse("`crates/x/src/lib.rs`: `a == b` -> `true`").unwrap();
        assert_eq!(
            change,
            Some(Change {
                file: "crates/x/src/lib.rs".to_owned(),
                old: "a == b".to_owned(),
                new: "true".to_owned(),
            })
        );
        assert_eq!(Change::parse("the broker's password is wrong").unwrap(), None);
        assert_eq!(Change::parse("").unwrap(), None);
    }

    #[test]
    fn clauses_with_the_same_change_are_tried_together() {
        let table = "| P1.a | a | `one`, `two` | `f`: `x` -> `y` |\n| P1.b | b | `two` | `f`: `x` -> `y` |\n| P1.c | c | `three` | |";
        let clauses = conformance::parse(table).unwrap();
        let chosen: Vec<&Clause> = clauses.iter().collect();
        assert_eq!(tests_of(&chosen, &clauses[1].change), ["one", "two"]);
        assert_eq!(names(chosen.into_iter()), ["one", "three", "two"]);
    }

    #[test]
    fn every_named_change_can_be_made() {
        for clause in conformance::clauses().unwrap() {
            if let Some(change) = Change::parse(&clause.change).unwrap() {
                let text = fs::read_to_string(shell::root().join(&change.file)).unwrap();
                assert_eq!(text.matches(&change.old).count(), 1, "{}", clause.id);
            }
        }
    }
}
