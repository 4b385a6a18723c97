//! What is done to a cloud or an array: which calls are hit, and what they meet instead of an answer.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::simulation::Simulation;

#[derive(Clone, Debug)]
pub struct Trouble {
    pub place: &'static str,
    rule: Value,
}

impl Trouble {
    /// All calls at a place whose path has this pattern. `call` is a method and a pattern; `*` is any method.
    #[must_use]
    pub fn at(place: &'static str, call: &str) -> Self {
        let (method, path) = call.split_once(' ').unwrap_or(("*", call));
        let mut rule = json!({"path": path, "action": {"kind": "drop"}});
        if method != "*" {
            rule["method"] = json!(method);
        }
        Self { place, rule }
    }

    /// Only those whose query has this in it.
    #[must_use]
    pub fn query(mut self, part: &str) -> Self {
        self.rule["query"] = json!(part);
        self
    }

    /// From the nth of them on.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.rule["nth"] = json!(nth);
        self
    }

    /// Not more than so many of them.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.rule["times"] = json!(times);
        self
    }

    fn meets(mut self, action: Value) -> Self {
        self.rule["action"] = action;
        self
    }

    /// A refusal in the service's own form.
    #[must_use]
    pub fn status(self, status: u16, body: Value) -> Self {
        self.meets(json!({"kind": "status", "status": status, "body": body}))
    }

    /// What a proxy or a broken service answers in its place.
    #[must_use]
    pub fn page(self, status: u16, text: &str) -> Self {
        self.meets(json!({"kind": "page", "status": status, "text": text}))
    }

    /// The same, after the service has done what it was asked for.
    #[must_use]
    pub fn page_after(self, status: u16, text: &str) -> Self {
        self.meets(json!({"kind": "page", "status": status, "text": text, "effect": true}))
    }

    #[must_use]
    pub fn endless(self) -> Self {
        self.meets(json!({"kind": "endless"}))
    }

    #[must_use]
    pub fn hang(self) -> Self {
        self.meets(json!({"kind": "hang"}))
    }

    /// It is done, and nobody hears of it.
    #[must_use]
    pub fn lost_answer(self) -> Self {
        self.meets(json!({"kind": "lost_answer"}))
    }

    /// It is held back for as long as a test on a busy machine needs to act meanwhile, and then done as always.
    #[must_use]
    pub fn held_back(self) -> Self {
        self.held_back_for(Duration::from_secs(3))
    }

    #[must_use]
    pub fn held_back_for(self, time: Duration) -> Self {
        self.meets(json!({"kind": "delay", "millis": time.as_millis()}))
    }

    pub async fn cause(&self, simulation: &Simulation) -> Result<()> {
        simulation.disturb(self.place, &self.rule).await
    }
}
