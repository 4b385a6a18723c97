//! Watches the product's steps from outside: who is at work on what, and where a planted bug makes him err.

use std::sync::Arc;

use async_trait::async_trait;
use protector_domain::SagaId;
use protector_saga::engine::Planner;
use protector_saga::{Claim, Dag, SagaHeader, SagaOutcome, State, StepContext, StepFailure, Steps};
use protector_workflows::Workflows;
use serde_json::Value;

use crate::checks::AtWork;
use crate::planted::{self, Bug};
use crate::sim::Shared;
use crate::world::Time;

tokio::task_local! {
    pub static CURRENT: Attempt;
}

/// A step at work.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub saga: SagaId,
    pub claim: Option<Claim>,
    pub step: String,
    pub number: u32,
    pub undo: bool,
    pub began: Time,
}

/// The product's planner, watched.
pub struct Watched {
    pub workflows: Arc<Workflows>,
    pub shared: Shared,
    pub process: usize,
}

struct WatchedSteps {
    inner: Arc<dyn Steps>,
    dag: Dag,
    shared: Shared,
    process: usize,
    bug: Option<Bug>,
}

#[async_trait]
impl Planner for Watched {
    fn plan(&self, header: &SagaHeader) -> Result<Arc<dyn Steps>, String> {
        let inner = self.workflows.plan(header)?;
        let bug = self.shared.peek(|sim| sim.bug);
        let dag = match bug {
            Some(bug) => planted::plan(bug, inner.dag()),
            None => inner.dag().clone(),
        };
        self.shared.with(|sim| sim.books.planned(header.id, inner.dag()));
        Ok(Arc::new(WatchedSteps {
            inner,
            dag,
            shared: self.shared.clone(),
            process: self.process,
            bug,
        }))
    }
}

impl WatchedSteps {
    fn begins(&self, context: &StepContext<'_>, undo: bool) -> Attempt {
        let attempt = Attempt {
            saga: context.saga,
            claim: context.state.claim().cloned(),
            step: context.step.to_owned(),
            number: context.attempt,
            undo,
            began: self.shared.now(),
        };
        self.shared.with(|sim| sim.watch_begin(self.process, &attempt));
        attempt
    }

    fn told<T>(&self, attempt: &Attempt, result: &Result<T, StepFailure>) {
        let process = self.process;
        self.shared.with(|sim| {
            let doing = if attempt.undo { "undo" } else { "run" };
            let owner = sim.processes[process].owner.0.clone();
            let end = match result {
                Ok(_) => "done".to_owned(),
                Err(failure) => format!("{:?}: {}", failure.class, failure.message),
            };
            sim.note(format!(
                "{owner} {doing} {} #{}: {end}",
                attempt.step, attempt.number
            ));
        });
    }
}

#[async_trait]
impl Steps for WatchedSteps {
    fn dag(&self) -> &Dag {
        &self.dag
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        let attempt = self.begins(&context, false);
        let state = planted::state(self.bug, context.state);
        let context = StepContext {
            state: state.as_ref().unwrap_or(context.state),
            ..context
        };
        let _at_work = AtWork::new(&self.shared, self.process, &attempt);
        let work = async {
            match self
                .bug
                .and_then(|bug| planted::instead_of_run(bug, context.step))
            {
                Some(value) => Ok(value),
                None => self.inner.run(context).await,
            }
        };
        let result = CURRENT.scope(attempt.clone(), work).await;
        let result = planted::result(self.bug, result);
        self.told(&attempt, &result);
        result
    }

    async fn undo(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        let attempt = self.begins(&context, true);
        let _at_work = AtWork::new(&self.shared, self.process, &attempt);
        let work = async {
            match self.bug {
                Some(bug) if planted::skips_undo(bug, context.step) => Ok(()),
                _ => self.inner.undo(context).await,
            }
        };
        let result = CURRENT.scope(attempt.clone(), work).await;
        if result.is_ok() && self.bug == Some(Bug::UndoTooMuch) {
            self.shared.with(planted::undo_too_much);
        }
        self.told(&attempt, &result);
        result
    }

    async fn sweep(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        let step = context.step.to_owned();
        let result = self.inner.sweep(context).await;
        self.shared.with(|sim| {
            let owner = sim.processes[self.process].owner.0.clone();
            let end = match &result {
                Ok(()) => "done",
                Err(failure) => &failure.message,
            };
            sim.note(format!("{owner} sweeps up after {step}: {end}"));
        });
        result
    }

    async fn progressed(&self, state: &State) {
        self.inner.progressed(state).await;
    }

    async fn settle(&self, state: &State, outcome: SagaOutcome) -> Result<(), StepFailure> {
        match self.bug {
            Some(Bug::SettleSkipped) => Ok(()),
            Some(Bug::SettleSwapped) if outcome == SagaOutcome::RolledBack => {
                self.inner.settle(state, SagaOutcome::Abandoned).await
            }
            _ => self.inner.settle(state, outcome).await,
        }
    }
}
