//! The steps at work: one task each, every way in which it can end made an event.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::look::LastLook;
use super::record::Keeper;
use super::{StepContext, StepFailure, Steps};
use crate::event::{Event, FailureClass};
use crate::journal::Claim;
use crate::state::State;

pub enum Landed {
    Outcome(Event),
    /// It failed because it was told to stop.
    CutOff,
    /// The claim was gone before the effect.
    Fenced,
}

enum End {
    Run(Result<Value, StepFailure>),
    Undo(Result<(), StepFailure>),
    Fenced,
}

struct Launched {
    step: String,
    attempt: u32,
    undo: bool,
}

/// Dropping it tells every task to stop, and ends it at its next await.
pub struct Flight {
    tasks: JoinSet<End>,
    /// Of the engine, or of this saga alone when it is lost.
    stop: CancellationToken,
    launched: HashMap<Id, Launched>,
}

struct Job {
    steps: Arc<dyn Steps>,
    claim: Claim,
    look: Arc<LastLook>,
    state: Arc<State>,
    step: String,
    attempt: u32,
    deadline: DateTime<Utc>,
    timeout: std::time::Duration,
    stop: CancellationToken,
    undo: bool,
}

impl Flight {
    pub fn new(engine: &CancellationToken) -> Flight {
        Flight {
            tasks: JoinSet::new(),
            stop: engine.child_token(),
            launched: HashMap::new(),
        }
    }

    /// Every task returns soon.
    pub fn tell_to_stop(&self) {
        self.stop.cancel();
    }

    pub fn len(&self) -> usize {
        self.launched.len()
    }

    /// Lets the step go whose intent was journalled.
    pub fn launch(&mut self, keeper: &Keeper, steps: &Arc<dyn Steps>, intent: &Event) {
        let (step, attempt, undo) = match intent {
            Event::Intent { step, attempt, .. } => (step, *attempt, false),
            Event::UndoIntent { step, attempt } => (step, *attempt, true),
            _ => return,
        };
        let Some(node) = steps.dag().node(step) else {
            return;
        };
        let job = Job {
            steps: steps.clone(),
            claim: keeper.claim().clone(),
            look: keeper.last_look().clone(),
            state: keeper.shared_state(),
            step: step.clone(),
            attempt,
            deadline: keeper.now() + node.timeout,
            timeout: node.timeout,
            stop: self.stop.clone(),
            undo,
        };
        let handle = self.tasks.spawn(job.work());
        let launched = Launched {
            step: step.clone(),
            attempt,
            undo,
        };
        self.launched.insert(handle.id(), launched);
    }

    /// The next one that ends; never, where none is at work.
    pub async fn next(&mut self) -> Landed {
        loop {
            match self.tasks.join_next_with_id().await {
                Some(joined) => {
                    if let Some(landed) = self.land(joined) {
                        return landed;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// One that has ended already.
    pub fn next_now(&mut self) -> Option<Landed> {
        while let Some(joined) = self.tasks.try_join_next_with_id() {
            if let Some(landed) = self.land(joined) {
                return Some(landed);
            }
        }
        None
    }

    fn land(&mut self, joined: Result<(Id, End), JoinError>) -> Option<Landed> {
        let (id, end) = match joined {
            Ok((id, end)) => (id, Ok(end)),
            Err(error) => (error.id(), Err(error)),
        };
        let launched = self.launched.remove(&id)?;
        let end = end.unwrap_or_else(|error| launched.panicked(error));
        Some(launched.landed(end, self.stop.is_cancelled()))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Launched {
    fn panicked(&self, error: JoinError) -> End {
        let message = match error.try_into_panic() {
            Ok(panic) => panic_message(panic.as_ref()),
            Err(_) => "its task was ended".to_owned(),
        };
        let failure = StepFailure {
            class: FailureClass::Permanent,
            message,
        };
        if self.undo {
            End::Undo(Err(failure))
        } else {
            End::Run(Err(failure))
        }
    }

    fn landed(self, end: End, told_to_stop: bool) -> Landed {
        let Launched { step, attempt, .. } = self;
        match end {
            End::Fenced => Landed::Fenced,
            End::Run(Ok(output)) => Landed::Outcome(Event::Done { step, output }),
            End::Undo(Ok(())) => Landed::Outcome(Event::Undone { step }),
            End::Run(Err(_)) | End::Undo(Err(_)) if told_to_stop => Landed::CutOff,
            End::Run(Err(StepFailure { class, message })) => Landed::Outcome(Event::Failed {
                step,
                attempt,
                class,
                message,
            }),
            End::Undo(Err(StepFailure { message, .. })) => Landed::Outcome(Event::UndoFailed {
                step,
                attempt,
                message,
            }),
        }
    }
}

impl Job {
    async fn work(self) -> End {
        // The last look before the effect; what slips through after it meets the natural fences.
        if !planted!(NoCheckBeforeEffect) && self.look.holds().await.is_err() {
            return End::Fenced;
        }
        let (saga, step, attempt) = (self.claim.saga, &self.step, self.attempt);
        let doing = if self.undo { "taking a step back" } else { "a step" };
        tracing::debug!(%saga, step, attempt, "{doing} begins");
        let end = self.act().await;
        match &end {
            End::Run(Err(failure)) | End::Undo(Err(failure)) => {
                tracing::debug!(%saga, step, attempt, class = ?failure.class, reason = failure.message, "{doing} failed");
            }
            // What a step leaves in the journal is for the next steps, not for the log.
            _ => tracing::debug!(%saga, step, attempt, "{doing} is done"),
        }
        end
    }

    async fn act(&self) -> End {
        let context = StepContext {
            saga: self.claim.saga,
            step: &self.step,
            attempt: self.attempt,
            deadline: self.deadline,
            state: &self.state,
            stop: self.stop.clone(),
        };
        if self.undo {
            let undone = tokio::time::timeout(self.timeout, self.steps.undo(context)).await;
            End::Undo(undone.unwrap_or_else(|_| Err(self.too_slow())))
        } else {
            let done = tokio::time::timeout(self.timeout, self.steps.run(context)).await;
            End::Run(done.unwrap_or_else(|_| Err(self.too_slow())))
        }
    }

    fn too_slow(&self) -> StepFailure {
        let message = format!(
            "step '{}' did not end within {} seconds",
            self.step,
            self.timeout.as_secs()
        );
        StepFailure {
            class: FailureClass::Ambiguous,
            message,
        }
    }
}

pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!(
        "a defect in the program: {}",
        text.unwrap_or_else(|| "it panicked".to_owned())
    )
}
