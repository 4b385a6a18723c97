//! What a journal says.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What may be done about a failed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Nothing happened; try again later.
    Retryable,
    /// Nothing happened; trying again won't help.
    Permanent,
    /// It may have happened. Steps find before they do, so the next try is the probe.
    Ambiguous,
}

/// How a saga ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SagaOutcome {
    Completed,
    RolledBack,
    Abandoned,
}

/// One line of the journal. Steps are named by their node's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Its parameters are the saga's own.
    Planned {
        kind: String,
        version: u32,
    },
    Intent {
        step: String,
        attempt: u32,
        deadline: DateTime<Utc>,
    },
    Done {
        step: String,
        output: Value,
    },
    Failed {
        step: String,
        attempt: u32,
        class: FailureClass,
        message: String,
    },
    UndoIntent {
        step: String,
        attempt: u32,
    },
    Undone {
        step: String,
    },
    UndoFailed {
        step: String,
        attempt: u32,
        message: String,
    },
    Paused,
    Resumed,
    /// Asked for by the user; before the pivot it rolls back, after it it is ignored.
    Cancelled,
    /// What the operator decided where the saga waited for one, e.g. `retry`.
    OperatorDecision {
        decision: String,
        note: String,
    },
    Abandoned {
        reason: String,
        /// Another saga has taken over what this one made: nothing of it is left for anybody to remove.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        superseded: bool,
    },
    Ended {
        outcome: SagaOutcome,
    },
}

/// An event with its place and time in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub seq: i64,
    pub at: DateTime<Utc>,
    #[serde(flatten)]
    pub event: Event,
}
