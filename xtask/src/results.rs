//! What ran, and how it ended: counted for the summary, kept in `.run/results` for `conformance`.

use std::fs;
use std::io::Write;

use anyhow::Context;
use serde_json::{Value, json};

use crate::shell;

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    pub name: String,
    pub passed: bool,
}

/// The tests of a suite. Counts stand for themselves: not every suite names each test.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    pub tests: Vec<TestResult>,
}

impl Tally {
    pub fn add(&mut self, name: &str, passed: bool) {
        *(if passed {
            &mut self.passed
        } else {
            &mut self.failed
        }) += 1;
        self.tests.push(TestResult {
            name: name.to_owned(),
            passed,
        });
    }

    /// One thing that either works or doesn't.
    pub fn single(name: &str, passed: bool) -> Self {
        let mut tally = Self::default();
        tally.add(name, passed);
        tally
    }

    /// A program that failed without a failed test failed all the same, and so did one that ran nothing.
    pub fn settle(mut self, name: &str, success: bool) -> Self {
        if self.failed == 0 && (!success || self.passed + self.skipped == 0) {
            self.add(name, false);
        }
        self
    }

    pub fn merge(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.tests.extend(other.tests);
    }

    /// From what a program printed: a line `{"test": .., "passed": true|false}` per test, and at the end one
    /// with the numbers `passed`, `failed` and `skipped`. `None` where neither came.
    pub fn from_lines(lines: &[String]) -> Option<Self> {
        let values = || {
            lines
                .iter()
                .filter_map(|it| serde_json::from_str::<Value>(it.trim()).ok())
        };
        let mut tally = Self::default();
        for value in values() {
            if let (Some(name), Some(passed)) = (value["test"].as_str(), value["passed"].as_bool()) {
                tally.add(name, passed);
            }
        }
        if let Some([passed, failed, skipped]) = values().filter_map(|it| counts(&it)).next_back() {
            (tally.passed, tally.failed, tally.skipped) = (passed, failed.max(tally.failed), skipped);
        }
        (tally.passed + tally.failed + tally.skipped > 0).then_some(tally)
    }
}

/// Passed, failed, skipped: as numbers, or as a number of checks and a list of those that failed.
fn counts(value: &Value) -> Option<[u64; 3]> {
    let skipped = value["skipped"].as_u64().unwrap_or(0);
    if let Some(checks) = value["checks"].as_u64() {
        let failed = match value["failed"].as_array() {
            Some(list) => list.len() as u64,
            None => u64::from(value["ok"] != true),
        };
        return Some([checks.saturating_sub(failed), failed, skipped]);
    }
    Some([value["passed"].as_u64()?, value["failed"].as_u64()?, skipped])
}

/// The content of the working tree, as a name: the tree of the last commit, and a mark of what differs from it.
pub fn tree() -> anyhow::Result<String> {
    let tree = shell::capture(&["git", "rev-parse", "HEAD^{tree}"])?
        .trim()
        .to_owned();
    if shell::capture(&["git", "status", "--porcelain"])?.is_empty() {
        return Ok(tree);
    }
    let script = "{ git diff HEAD --binary; git ls-files -o --exclude-standard -z \
                  | xargs -0 -r sha1sum; } | git hash-object --stdin";
    let mark = shell::capture(&["sh", "-c", script])?;
    Ok(format!(
        "{tree}-dirty-{}",
        mark.trim().get(..12).unwrap_or_default()
    ))
}

/// Keeps the results of a suite, in place of those that an earlier run left.
pub fn write(
    suite: &str,
    release: bool,
    tree: &str,
    tally: &Tally,
    clauses: &[(String, Vec<String>)],
) -> anyhow::Result<()> {
    let folder = shell::root().join(".run/results");
    fs::create_dir_all(&folder)?;
    let mut file = fs::File::create(folder.join(format!("{suite}.jsonl")))?;
    for test in &tally.tests {
        let mine: Vec<_> = clauses
            .iter()
            .filter(|it| it.1.contains(&test.name))
            .map(|it| &it.0)
            .collect();
        let line = json!({
            "test": test.name, "clauses": mine, "passed": test.passed, "suite": suite, "release": release, "tree": tree,
        });
        writeln!(file, "{line}")?;
    }
    Ok(())
}

/// Forgets a suite's results before it runs, so that a run that dies leaves none of an earlier one.
pub fn forget(suite: &str) -> anyhow::Result<()> {
    let file = shell::root().join(format!(".run/results/{suite}.jsonl"));
    if file.exists() {
        fs::remove_file(&file).context("old results can't be removed")
    } else {
        Ok(())
    }
}

/// What ran against the release programs of this tree.
pub fn read(tree: &str) -> anyhow::Result<Vec<TestResult>> {
    let folder = shell::root().join(".run/results");
    let mut results = Vec::new();
    if !folder.exists() {
        return Ok(results);
    }
    for entry in fs::read_dir(folder)? {
        for line in fs::read_to_string(entry?.path())?.lines() {
            let value: Value = serde_json::from_str(line).context("a line of .run/results is no JSON")?;
            if value["tree"] == tree && value["release"] == true {
                let name = value["test"].as_str().unwrap_or_default().to_owned();
                results.push(TestResult {
                    name,
                    passed: value["passed"] == true,
                });
            }
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn a_program_tells_its_tests_and_counts() {
        let said = lines(&[
            "up",
            r#"{"test":"a","passed":true}"#,
            r#"{"passed":3,"failed":0,"skipped":1}"#,
        ]);
        let tally = Tally::from_lines(&said).unwrap();
        assert_eq!(
            (tally.passed, tally.failed, tally.skipped, tally.tests.len()),
            (3, 0, 1, 1)
        );
        assert_eq!(Tally::from_lines(&lines(&["nothing"])), None);
    }

    #[test]
    fn a_program_may_list_what_failed() {
        let tally = Tally::from_lines(&lines(&[r#"{"ok":false,"checks":5,"failed":["login"]}"#])).unwrap();
        assert_eq!((tally.passed, tally.failed), (4, 1));
        let tally = Tally::from_lines(&lines(&[r#"{"check":"login","ok":true,"checks":36}"#])).unwrap();
        assert_eq!((tally.passed, tally.failed), (36, 0));
        let tally = Tally::from_lines(&lines(&[r#"{"check":"login","ok":false,"checks":3}"#])).unwrap();
        assert_eq!((tally.passed, tally.failed), (2, 1));
    }

    #[test]
    fn a_failed_test_is_not_talked_away_by_the_counts() {
        let said = lines(&[r#"{"test":"a","passed":false}"#, r#"{"passed":1,"failed":0}"#]);
        assert_eq!(Tally::from_lines(&said).unwrap().failed, 1);
    }

    #[test]
    fn a_suite_that_ran_nothing_failed() {
        assert_eq!(Tally::default().settle("unit", true).failed, 1);
        assert_eq!(Tally::single("a", true).settle("unit", false).failed, 1);
        assert_eq!(Tally::single("a", true).settle("unit", true).failed, 0);
    }
}
