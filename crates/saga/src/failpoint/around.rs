//! The journal and the steps with their failures around them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use protector_domain::SagaId;
use serde_json::Value;

use super::{Action, Failpoints, Point};
use crate::dag::Dag;
use crate::driver::{StepContext, StepFailure, Steps};
use crate::engine::Planner;
use crate::event::{Event, FailureClass, Record, SagaOutcome};
use crate::journal::{Claim, Journal, JournalError, Owner, SagaHeader};
use crate::state::State;

pub(super) struct FailingJournal {
    pub journal: Arc<dyn Journal>,
    pub failpoints: Failpoints,
}

impl FailingJournal {
    async fn write(&self, claim: &Claim, events: &[Event]) -> Result<Vec<Record>, JournalError> {
        let _writing = self.failpoints.writes().await;
        self.journal.append(claim, events).await
    }
}

#[async_trait]
impl Journal for FailingJournal {
    async fn claim(
        &self,
        owner: &Owner,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<(SagaHeader, Claim)>, JournalError> {
        let _writing = self.failpoints.writes().await;
        self.journal.claim(owner, lease, limit).await
    }

    async fn renew(&self, owner: &Owner, lease: Duration) -> Result<Vec<SagaId>, JournalError> {
        let _writing = self.failpoints.writes().await;
        self.journal.renew(owner, lease).await
    }

    async fn release(&self, owner: &Owner) -> Result<(), JournalError> {
        let _writing = self.failpoints.writes().await;
        self.journal.release(owner).await
    }

    async fn check(&self, claim: &Claim) -> Result<(), JournalError> {
        self.journal.check(claim).await
    }

    async fn append(&self, claim: &Claim, events: &[Event]) -> Result<Vec<Record>, JournalError> {
        match self.failpoints.hit_line(events) {
            Some((_, Action::Error)) => Err(failed("refused")),
            Some((_, Action::Lost)) => {
                self.write(claim, events).await?;
                Err(failed("lost"))
            }
            Some((Point::BeforeIntent, Action::Stop)) => {
                self.failpoints.stop().await;
                self.write(claim, events).await
            }
            Some((_, Action::Stop)) => {
                let written = self.write(claim, events).await?;
                self.failpoints.stop().await;
                Ok(written)
            }
            _ => self.write(claim, events).await,
        }
    }

    async fn events(&self, saga: SagaId) -> Result<Vec<Record>, JournalError> {
        self.journal.events(saga).await
    }

    async fn request(&self, saga: SagaId, event: Event) -> Result<(), JournalError> {
        self.journal.request(saga, event).await
    }
}

fn failed(how: &str) -> JournalError {
    JournalError::Unavailable(format!("{how} by a failpoint").into())
}

pub(super) struct FailingPlanner {
    pub planner: Arc<dyn Planner>,
    pub failpoints: Failpoints,
}

#[async_trait]
impl Planner for FailingPlanner {
    fn plan(&self, header: &SagaHeader) -> Result<Arc<dyn Steps>, String> {
        Ok(Arc::new(FailingSteps {
            steps: self.planner.plan(header)?,
            failpoints: self.failpoints.clone(),
        }))
    }

    async fn refused(&self, header: &SagaHeader, claim: &Claim, reason: &str) {
        self.planner.refused(header, claim, reason).await;
    }

    async fn abandoned(&self, header: &SagaHeader, claim: &Claim, reason: &str) -> Result<(), String> {
        self.planner.abandoned(header, claim, reason).await
    }
}

struct FailingSteps {
    steps: Arc<dyn Steps>,
    failpoints: Failpoints,
}

impl FailingSteps {
    async fn once(&self, undo: bool, context: StepContext<'_>) -> Result<Value, StepFailure> {
        match undo {
            true => self.steps.undo(context).await.map(|()| Value::Null),
            false => self.steps.run(context).await,
        }
    }

    /// Hits the call before and after it has its effect.
    async fn call(&self, undo: bool, mut context: StepContext<'_>) -> Result<Value, StepFailure> {
        if self.hit(undo, &context, Point::BeforeCall).await? == Some(Action::Twice) {
            self.once(undo, context.clone()).await?;
            // The next attempt, as it is whenever a step runs again.
            context.attempt += 1;
        }
        let given = self.once(undo, context.clone()).await?;
        match self.hit(undo, &context, Point::AfterCall).await? {
            Some(Action::Twice) => {
                context.attempt += 1;
                self.once(undo, context).await
            }
            _ => Ok(given),
        }
    }

    async fn hit(
        &self,
        undo: bool,
        context: &StepContext<'_>,
        point: Point,
    ) -> Result<Option<Action>, StepFailure> {
        let action = self.failpoints.hit(undo, context.step, point);
        if action == Some(Action::Stop) {
            self.failpoints.stop().await;
        }
        match action.and_then(|action| failure(context.step, point, action)) {
            Some(failure) => Err(failure),
            None => Ok(action),
        }
    }
}

/// What the step says instead of what it did.
fn failure(step: &str, point: Point, action: Action) -> Option<StepFailure> {
    let class = match action {
        Action::Error => FailureClass::Permanent,
        Action::Retryable => FailureClass::Retryable,
        Action::Lost => FailureClass::Ambiguous,
        Action::Stop | Action::Twice => return None,
    };
    let when = if point == Point::BeforeCall {
        "instead of"
    } else {
        "after"
    };
    let message = format!("A failpoint failed step '{step}' {when} its call.");
    Some(StepFailure { class, message })
}

#[async_trait]
impl Steps for FailingSteps {
    fn dag(&self) -> &Dag {
        self.steps.dag()
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        self.call(false, context).await
    }

    async fn undo(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        self.call(true, context).await.map(drop)
    }

    async fn sweep(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        self.steps.sweep(context).await
    }

    async fn progressed(&self, state: &State) {
        let _writing = self.failpoints.writes().await;
        self.steps.progressed(state).await;
    }

    async fn settle(&self, state: &State, outcome: SagaOutcome) -> Result<(), StepFailure> {
        let _writing = self.failpoints.writes().await;
        self.steps.settle(state, outcome).await
    }
}
