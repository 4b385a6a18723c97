//! Acts for one saga: does what [`decide`] says, and writes down what came of it.
//!
//! The driver remembers nothing that the journal doesn't say, but for which steps are at work right now.
//! Intents of all steps that start together, and outcomes of all that have ended meanwhile, go into one
//! transaction each. It measures time by the journal's clock: every line that comes back from the database
//! sets it, the monotonic clock carries it on.

mod flight;
mod look;
mod pace;
mod record;
mod sweep;
mod time;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use protector_domain::SagaId;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::dag::Dag;
use crate::decide::Action;
use crate::event::{Event, FailureClass, SagaOutcome};
use crate::journal::{Claim, Journal, JournalError, Owner, SagaHeader};
use crate::state::State;

pub(crate) use flight::panic_message;
use flight::{Flight, Landed};
use pace::Pace;
use record::{Keeper, Lost};

/// Why a step didn't succeed, and what may be done about it.
#[derive(Debug)]
pub struct StepFailure {
    pub class: FailureClass,
    /// A sentence for the operator: what happened, why, what to do next.
    pub message: String,
}

/// What a step is told when it runs.
#[derive(Clone)]
pub struct StepContext<'a> {
    pub saga: SagaId,
    pub step: &'a str,
    pub attempt: u32,
    /// The step must have ended by then.
    pub deadline: DateTime<Utc>,
    /// The journal so far: outputs of earlier steps, and the claim for writes elsewhere.
    pub state: &'a State,
    /// Fires when the engine stops or loses the saga; the step returns soon.
    pub stop: CancellationToken,
}

/// A workflow, planned for one saga: its DAG and what its steps do. Steps find before they do.
#[async_trait]
pub trait Steps: Send + Sync {
    fn dag(&self) -> &Dag;
    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure>;
    async fn undo(&self, context: StepContext<'_>) -> Result<(), StepFailure>;
    /// Asked by an engine that lost its claim while the step was at work, once the new owner is done with it: removes
    /// what the late call made and the new owner didn't adopt. `context.state` is the journal as it is by now.
    async fn sweep(&self, _context: StepContext<'_>) -> Result<(), StepFailure> {
        Ok(())
    }
    /// Told after every journal write, to show progress; failures are its own business.
    async fn progressed(&self, state: &State);
    /// Brings everything outside the journal in line with the outcome; may be repeated. Only after it
    /// succeeded the end is journalled.
    async fn settle(&self, state: &State, outcome: SagaOutcome) -> Result<(), StepFailure>;
}

#[derive(Debug, Clone)]
pub struct Options {
    /// How long a claim holds without being renewed.
    pub lease: Duration,
    /// How often the journal is asked for new work and for requests of the user.
    pub poll: Duration,
    /// How many steps of one saga run at once; what must not be asked for too often has a lane of its own.
    pub max_parallel: usize,
    /// How long a clean stop waits for running steps.
    pub stop_within: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            lease: Duration::from_secs(30),
            poll: Duration::from_secs(5),
            max_parallel: 256,
            stop_within: Duration::from_secs(30),
        }
    }
}

/// Why the driver left a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    Ended(SagaOutcome),
    /// This engine stops; another one goes on.
    Stopped,
    /// Another engine owns the saga.
    Lost,
    /// The journal doesn't belong to this plan; nothing was done.
    Refused(String),
}

/// Progress is for people; it never holds up the work for longer.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(15);
const SETTLE_TIMEOUT: Duration = Duration::from_secs(120);
const FIRST_SETTLE_DELAY: Duration = Duration::from_secs(1);
const MAX_SETTLE_DELAY: Duration = Duration::from_secs(30);

/// Where so many steps are at work, more of them end within a moment of the first: one transaction writes them all.
const MANY_AT_WORK: usize = 16;
const GATHERING: Duration = Duration::from_millis(10);

pub struct Driver {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) owner: Owner,
    pub(crate) options: Options,
    stop: CancellationToken,
    wake: Arc<Notify>,
}

impl Driver {
    pub fn new(journal: Arc<dyn Journal>, owner: Owner, options: Options) -> Driver {
        Driver {
            journal,
            owner,
            options,
            stop: CancellationToken::new(),
            wake: Arc::default(),
        }
    }

    /// Cancel it, and no step starts any more; running ones are told and waited for.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Notify its waiters, and every saga looks for requests at once.
    pub fn waker(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    /// Works on a claimed saga until it ends or this engine has to leave it.
    ///
    /// Dropping the future is like a crash: steps at work are cut off at their next await, and the saga is
    /// resumed by whoever claims it next.
    pub async fn run_saga(&self, claim: Claim, header: SagaHeader, steps: Arc<dyn Steps>) -> RunEnd {
        self.run_until_lost(claim, header, steps, CancellationToken::new())
            .await
    }

    /// The same, for a caller that may learn by itself (`lost`) that the claim is gone.
    pub async fn run_until_lost(
        &self,
        claim: Claim,
        header: SagaHeader,
        steps: Arc<dyn Steps>,
        lost: CancellationToken,
    ) -> RunEnd {
        let open = Keeper::open(self.journal.clone(), claim, &header, steps.dag());
        let opened = tokio::select! {
            biased;
            () = lost.cancelled() => return RunEnd::Lost,
            opened = open => opened,
        };
        let keeper = match opened {
            Ok(keeper) => keeper,
            Err(record::CantOpen::Lost) => return RunEnd::Lost,
            Err(record::CantOpen::Refused(reason)) => return RunEnd::Refused(reason),
        };
        let mut run = Run {
            driver: self,
            keeper,
            flight: Flight::new(&self.stop),
            steps,
            pace: Pace::new(),
            unwritten: BTreeSet::new(),
        };
        let end = tokio::select! {
            biased;
            () = lost.cancelled() => RunEnd::Lost,
            end = run.finish() => end.unwrap_or(RunEnd::Lost),
        };
        if end == RunEnd::Lost {
            run.sweep().await;
        }
        end
    }
}

struct Run<'a> {
    driver: &'a Driver,
    keeper: Keeper,
    flight: Flight,
    steps: Arc<dyn Steps>,
    pace: Pace,
    /// Steps that this engine has begun, and whose outcome it hasn't written: the journal may have one all the same,
    /// another engine's.
    unwritten: BTreeSet<String>,
}

impl Run<'_> {
    async fn finish(&mut self) -> Result<RunEnd, Lost> {
        self.show_progress().await;
        loop {
            if self.driver.stop.is_cancelled() {
                return self.land_all().await;
            }
            let room = self.driver.options.max_parallel.saturating_sub(self.flight.len());
            let actions = self.keeper.next(room);
            let starts: Vec<&Action> = actions
                .iter()
                .filter(|a| matches!(a, Action::Run { .. } | Action::Undo { .. }))
                .collect();
            if !starts.is_empty() {
                self.start(&starts).await?;
                continue;
            }
            if let Some(Action::Settle(outcome)) = actions.first() {
                match self.settle(*outcome).await? {
                    Some(end) => return Ok(end),
                    None => continue,
                }
            }
            let until = actions.iter().find_map(|action| match action {
                Action::WaitUntil(time) => Some(*time),
                _ => None,
            });
            self.wait(until).await?;
        }
    }

    /// Writes the intents of all of them, then lets them go.
    async fn start(&mut self, actions: &[&Action]) -> Result<(), Lost> {
        let now = self.keeper.now();
        let intents: Vec<Event> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Run { step, attempt } => {
                    let timeout = self.steps.dag().node(step)?.timeout;
                    Some(Event::Intent {
                        step: step.clone(),
                        attempt: *attempt,
                        deadline: now + timeout,
                    })
                }
                Action::Undo { step, attempt } => Some(Event::UndoIntent {
                    step: step.clone(),
                    attempt: *attempt,
                }),
                _ => None,
            })
            .collect();
        let early = planted!(LaunchBeforeIntent);
        if !early {
            self.append(&intents).await?;
        }
        for intent in &intents {
            if let Event::Intent { step, .. } = intent {
                self.unwritten.insert(step.clone());
            }
            self.flight.launch(&self.keeper, &self.steps, intent);
        }
        if early {
            self.append(&intents).await?;
        }
        Ok(())
    }

    async fn append(&mut self, events: &[Event]) -> Result<(), Lost> {
        self.keeper.append(events).await?;
        self.pace.owe();
        if self.pace.is_due() {
            self.show_progress().await;
        }
        Ok(())
    }

    async fn show_progress(&mut self) {
        let begun = Instant::now();
        let told = std::panic::AssertUnwindSafe(self.steps.progressed(self.keeper.state())).catch_unwind();
        if !matches!(tokio::time::timeout(PROGRESS_TIMEOUT, told).await, Ok(Ok(()))) {
            tracing::warn!(saga = %self.keeper.saga(), "the progress of the saga could not be shown");
        }
        self.pace.shown(begun.elapsed());
    }

    /// Until a step ends, the time comes, somebody asks for something, or the engine stops.
    async fn wait(&mut self, until: Option<DateTime<Utc>>) -> Result<(), Lost> {
        let poll = self.driver.options.poll;
        let timer = until.map_or(poll, |time| self.keeper.until(time).min(poll));
        tokio::select! {
            biased;
            landed = self.flight.next() => self.landed(landed).await,
            () = self.pace.due() => {
                self.show_progress().await;
                Ok(())
            }
            () = tokio::time::sleep(timer) => self.refresh().await,
            () = self.driver.wake.notified() => self.refresh().await,
            () = self.driver.stop.cancelled() => Ok(()),
        }
    }

    /// Takes in what was asked for from outside.
    async fn refresh(&mut self) -> Result<(), Lost> {
        if self.keeper.refresh().await? {
            self.show_progress().await;
        }
        Ok(())
    }

    async fn landed(&mut self, first: Landed) -> Result<(), Lost> {
        if self.flight.len() >= MANY_AT_WORK {
            tokio::time::sleep(GATHERING).await;
        }
        let mut landed = vec![first];
        while let Some(more) = self.flight.next_now() {
            landed.push(more);
        }
        let mut outcomes = Vec::with_capacity(landed.len());
        for one in landed {
            match one {
                Landed::Outcome(event) => outcomes.push(event),
                // It was told to stop and did: its intent stays open, and the next engine runs it again.
                Landed::CutOff => {}
                Landed::Fenced => return Err(Lost),
            }
        }
        if outcomes.is_empty() {
            Ok(())
        } else {
            self.append(&outcomes).await?;
            for outcome in &outcomes {
                if let Event::Done { step, .. } | Event::Failed { step, .. } = outcome {
                    self.unwritten.remove(step);
                }
            }
            Ok(())
        }
    }

    /// A clean stop: nothing starts, what runs ends and is written down.
    async fn land_all(&mut self) -> Result<RunEnd, Lost> {
        while self.flight.len() > 0 {
            let landed = self.flight.next().await;
            self.landed(landed).await?;
        }
        Ok(RunEnd::Stopped)
    }

    /// `None` where the operator or the engine changed the plan meanwhile.
    async fn settle(&mut self, outcome: SagaOutcome) -> Result<Option<RunEnd>, Lost> {
        let mut delay = FIRST_SETTLE_DELAY;
        loop {
            self.keeper.check().await?;
            let settling =
                std::panic::AssertUnwindSafe(self.steps.settle(self.keeper.state(), outcome)).catch_unwind();
            let failure = match tokio::time::timeout(SETTLE_TIMEOUT, settling).await {
                Ok(Ok(Ok(()))) => break,
                Ok(Ok(Err(failure))) => failure.message,
                Ok(Err(panic)) => panic_message(panic.as_ref()),
                Err(_) => format!("no answer within {} seconds", SETTLE_TIMEOUT.as_secs()),
            };
            tracing::warn!(saga = %self.keeper.saga(), %failure, "the saga's end could not be recorded; retrying in {delay:?}");
            tokio::select! {
                biased;
                () = self.driver.stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(delay) => {}
            }
            delay = (delay * 2).min(MAX_SETTLE_DELAY);
            self.keeper.refresh().await?;
            let again = self.keeper.next(0);
            if again.first() != Some(&Action::Settle(outcome)) {
                return Ok(None);
            }
        }
        self.append(&[Event::Ended { outcome }]).await?;
        Ok(Some(RunEnd::Ended(outcome)))
    }
}

pub(crate) fn is_fenced(error: &JournalError) -> bool {
    matches!(error, JournalError::Fenced(_))
}
