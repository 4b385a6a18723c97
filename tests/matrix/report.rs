//! What came of all cells: a line for each operation, one for all, and one of JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use serde_json::json;

use crate::cell::Cell;
use crate::kind::Kind;
use crate::run::Outcome;

#[derive(Clone, Copy, Default)]
struct Tally {
    cells: usize,
    completed: usize,
    rolled_back: usize,
    /// Of these: that waited for the operator first, as they should.
    waiting: usize,
    orphans: usize,
    duplicates: usize,
    stuck: usize,
    wrong: usize,
    max_resume_ms: f64,
}

impl Tally {
    fn and(mut self, other: &Self) -> Self {
        self.cells += other.cells;
        self.completed += other.completed;
        self.rolled_back += other.rolled_back;
        self.waiting += other.waiting;
        self.orphans += other.orphans;
        self.duplicates += other.duplicates;
        self.stuck += other.stuck;
        self.wrong += other.wrong;
        self.max_resume_ms = self.max_resume_ms.max(other.max_resume_ms);
        self
    }

    fn is_good(&self) -> bool {
        self.stuck + self.wrong + self.orphans + self.duplicates == 0
    }

    fn columns(&self) -> [String; 9] {
        let Self {
            cells,
            completed,
            rolled_back,
            waiting,
            orphans,
            duplicates,
            stuck,
            wrong,
            max_resume_ms,
        } = self;
        [
            cells.to_string(),
            completed.to_string(),
            rolled_back.to_string(),
            waiting.to_string(),
            orphans.to_string(),
            duplicates.to_string(),
            stuck.to_string(),
            wrong.to_string(),
            format!("{max_resume_ms:.0}"),
        ]
    }
}

const HEADINGS: [&str; 9] = [
    "cells",
    "completed",
    "rolled back",
    "waited for the operator",
    "orphans",
    "duplicates",
    "stuck",
    "wrong",
    "slowest resume, ms",
];

#[derive(Default)]
pub struct Report {
    kinds: BTreeMap<Kind, Tally>,
    leases_lost: usize,
    pub seconds: f64,
}

impl Report {
    pub fn add(&mut self, cell: &Cell, outcome: Result<Outcome>, leases_lost: usize) {
        self.leases_lost += leases_lost;
        let tally = self.kinds.entry(cell.kind).or_default();
        tally.cells += 1;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                tally.stuck += 1;
                println!("{}: {error:#}", cell.name());
                return;
            }
        };
        match outcome.ended.as_str() {
            "completed" => tally.completed += 1,
            "rolled_back" => tally.rolled_back += 1,
            _ => tally.stuck += 1,
        }
        tally.waiting += usize::from(outcome.waited);
        tally.orphans += outcome.verdict.orphans;
        tally.duplicates += outcome.verdict.duplicates;
        tally.max_resume_ms = tally.max_resume_ms.max(outcome.resumed_ms.unwrap_or_default());
        let findings = &outcome.verdict.findings;
        if !findings.is_empty() {
            tally.wrong += 1;
            println!("{}:\n    {}", cell.name(), findings.join("\n    "));
        }
    }

    fn total(&self) -> Tally {
        self.kinds.values().fold(Tally::default(), Tally::and)
    }

    pub fn is_good(&self) -> bool {
        self.total().is_good()
    }

    pub fn lines(&self) -> String {
        let mut text = String::new();
        for (name, tally) in self.rows() {
            let figures: Vec<String> = HEADINGS
                .iter()
                .zip(tally.columns())
                .map(|(heading, figure)| format!("{figure} {heading}"))
                .collect();
            let _ = writeln!(text, "{name:>18}: {}", figures.join(", "));
        }
        let total = self.total();
        let _ = writeln!(
            text,
            "{} cells were tried again: a busy machine cost an engine its lease, or the blow met it in a write",
            self.leases_lost
        );
        let line = json!({
            "cells": total.cells, "completed": total.completed, "rolled_back": total.rolled_back,
            "waiting_for_operator": total.waiting, "orphans": total.orphans, "duplicates": total.duplicates,
            "stuck": total.stuck + total.wrong, "seconds": self.seconds.round(), "max_resume_ms": total.max_resume_ms.round()
        });
        // For the test command: one line for each operation, as the tests that they are.
        for (kind, tally) in &self.kinds {
            let test = format!("crash_matrix_{}", kind.name().replace('-', "_"));
            let _ = writeln!(text, "{}", json!({"test": test, "passed": tally.is_good()}));
        }
        let _ = writeln!(text, "{line}");
        text
    }

    fn rows(&self) -> Vec<(&'static str, Tally)> {
        let kinds = self.kinds.iter().map(|(kind, tally)| (kind.name(), *tally));
        kinds.chain([("all", self.total())]).collect()
    }

    /// The table for the documents.
    pub fn document(&self) -> String {
        let mut text = String::from(include_str!("table.md"));
        let _ = writeln!(text, "\n| operation | {} |", HEADINGS.join(" | "));
        let _ = writeln!(text, "|---{}|", "|---:".repeat(HEADINGS.len()));
        for (name, tally) in self.rows() {
            let _ = writeln!(text, "| {name} | {} |", tally.columns().join(" | "));
        }
        let _ = writeln!(text, "\nIt took {:.0} seconds.", self.seconds);
        text
    }
}
