//! What is told of a history that went wrong, and of all of them in the end.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::lane::Told;
use crate::record::{Outcome, Side};

#[derive(Default)]
pub struct Report {
    runs: usize,
    /// Histories in which something was wrong, and those that could not be told to their end.
    broken: Vec<u64>,
    violations: usize,
    operations: usize,
    acknowledged: usize,
    unknown: usize,
    moved: usize,
    faults: BTreeMap<&'static str, usize>,
    looks: usize,
}

impl Report {
    pub fn add(&mut self, seed: u64, told: anyhow::Result<Told>) -> Option<String> {
        self.runs += 1;
        let told = match told {
            Ok(told) => told,
            Err(error) => {
                self.violations += 1;
                self.broken.push(seed);
                return Some(format!("seed {seed}: the history has no end: {error:#}"));
            }
        };
        self.count(&told);
        if told.violations.is_empty() {
            return None;
        }
        self.violations += told.violations.len();
        self.broken.push(seed);
        Some(tale(&told))
    }

    fn count(&mut self, told: &Told) {
        let record = &told.record;
        self.operations += record.calls.len();
        let cut = record.calls.iter().filter(|call| call.fault.is_some()).count();
        *self.faults.entry("calls").or_default() += cut;
        for weather in &told.plan.weather {
            let name = match weather.blow {
                crate::plan::Blow::Partition => "partitions",
                crate::plan::Blow::KillApi | crate::plan::Blow::KillEngine => "kills",
            };
            *self.faults.entry(name).or_default() += 1;
        }
        for group in &record.groups {
            self.looks += group.looks.len();
            let sent = || group.edits.iter().flat_map(|edit| &edit.sent);
            self.acknowledged += sent()
                .filter(|(_, it)| matches!(it, Outcome::Acknowledged(_)))
                .count();
            self.unknown += sent().filter(|(_, it)| *it == Outcome::Unknown).count();
            let last = group.looks.last();
            self.moved += usize::from(last.is_some_and(|look| look.document.primary == Side::B));
        }
    }

    pub fn runs(&self) -> usize {
        self.runs
    }

    pub fn violations(&self) -> usize {
        self.violations
    }

    /// One line of JSON.
    pub fn line(&self, seconds: f64) -> Value {
        json!({
            "runs": self.runs, "violations": self.violations, "broken_seeds": self.broken,
            "seconds": (seconds * 10.0).round() / 10.0, "operations": self.operations, "faults": self.faults,
            "edits_acknowledged": self.acknowledged, "edits_unknown": self.unknown, "groups_moved": self.moved,
            "documents_seen": self.looks,
        })
    }
}

/// The whole of a history.
fn tale(told: &Told) -> String {
    let mut text = format!("seed {}:\n", told.plan.seed);
    for wrong in &told.violations {
        let _ = writeln!(text, "  VIOLATION {wrong}");
    }
    let _ = writeln!(text, "  weather: {:?}", told.plan.weather);
    let mut calls: Vec<_> = told.record.calls.iter().collect();
    calls.sort_by_key(|call| call.begun);
    for call in calls {
        let status = call
            .status
            .map_or_else(|| "?".to_owned(), |status| status.to_string());
        let _ = writeln!(
            text,
            "  {:6} to {:6} ms  client {} at {:?}: {} -> {status} {} {}",
            call.begun.as_millis(),
            call.ended.as_millis(),
            call.client,
            call.side,
            call.what,
            call.fault.as_deref().unwrap_or_default(),
            call.message,
        );
    }
    for group in &told.record.groups {
        for edit in &group.edits {
            let _ = writeln!(text, "  {}: edit {} {:?}", group.id, edit.mark, edit.sent);
        }
        for side in Side::BOTH {
            let mut before = None;
            let mut looks: Vec<_> = group.looks.iter().filter(|look| look.side == side).collect();
            looks.sort_by_key(|look| look.ended);
            for look in looks {
                let document = &look.document;
                if before != Some(document.stamp) {
                    let _ = writeln!(
                        text,
                        "  {}: {side:?} at {} ms: version {}, runs on {:?}, {:?} {:?}",
                        group.id,
                        look.ended.as_millis(),
                        document.stamp,
                        document.primary,
                        document.marks,
                        document.intents
                    );
                }
                before = Some(document.stamp);
            }
            for line in group.log(side) {
                let stamp = line.stamp.map(|stamp| stamp.to_string()).unwrap_or_default();
                let _ = writeln!(
                    text,
                    "  {}: log of {side:?}: {} {stamp} {}",
                    group.id, line.event, line.message
                );
            }
        }
    }
    text
}
