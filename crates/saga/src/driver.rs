use std::time::Duration;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use protector_domain::SagaId;
use serde_json::Value;
use crate::dag::Dag;
use crate::event::{FailureClass, SagaOutcome};
use crate::state::State;

/// Why a step didn't succeed, and what may be done about it.
#[derive(Debug)]
pub struct StepFailure {
    pub class: FailureClass,
    /// A sentence for the operator: what happened, why, what to do next.
    pub message: String,
}

/// What a step is told when it runs.
pub struct StepContext<'a> {
    pub saga: SagaId,
    pub step: &'a str,
    pub attempt: u32,
    /// The step must have ended by then.
    pub deadline: DateTime<Utc>,
    /// The journal so far: outputs of earlier steps.
    pub state: &'a State,
    /// Fires when the engine stops or loses the saga; the step returns soon.
    pub stop: tokio_util::sync::CancellationToken,
}

/// A workflow, planned for one saga: its DAG and what its steps do. Steps find before they do.
#[async_trait]
pub trait Steps: Send + Sync {
    fn dag(&self) -> &Dag;
    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure>;
    async fn undo(&self, context: StepContext<'_>) -> Result<(), StepFailure>;
    /// Told after every journal write, to show progress; failures are its own business.
    async fn progressed(&self, state: &State);
    /// Brings everything outside the journal in line with the outcome; may be repeated. Only after it
    /// succeeded the end is journalled.
    async fn settle(&self, state: &State, outcome: SagaOutcome) -> Result<(), StepFailure>;
}

pub struct Driver;
