//! What an engine does that finds its claim gone: it stops acting, and sweeps up after itself.
//!
//! Calls that were under way when the claim was lost have their effect all the same, after another engine took the
//! saga over and perhaps finished it. So this one lets them end, waits until the new owner is done with those steps,
//! and has removed what came too late to be found by him.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Run, StepContext};
use crate::dag::Dag;
use crate::journal::JournalError;
use crate::state::{State, StepPhase};

/// How long the new owner is waited for; a saga that waits for its operator may take days.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the sweep of a step may take.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(300);

impl Run<'_> {
    pub(super) async fn sweep(mut self) {
        let late = std::mem::take(&mut self.unwritten);
        self.flight.tell_to_stop();
        while self.flight.len() > 0 {
            self.flight.next().await;
        }
        let saga = self.keeper.saga();
        // What the journal says by now, whoever wrote it.
        let mut fate = State::new(self.steps.dag());
        for step in late {
            let stop = self.driver.stop_token();
            let swept = tokio::select! {
                biased;
                () = stop.cancelled() => Err("the engine stops".to_owned()),
                swept = self.sweep_step(&step, &mut fate) => swept,
            };
            match swept {
                Ok(()) => {
                    tracing::info!(%saga, step, "swept up after a step that another engine has taken over")
                }
                Err(reason) => {
                    tracing::warn!(%saga, step, %reason, "what this step made too late could not be looked for; it may be left");
                }
            }
        }
    }

    async fn sweep_step(&self, step: &str, fate: &mut State) -> Result<(), String> {
        self.follow_to_fate(step, fate).await?;
        let attempt = fate.step(step).map_or(1, |step| step.attempts);
        let context = StepContext {
            saga: self.keeper.saga(),
            step,
            attempt,
            deadline: self.keeper.now() + SWEEP_TIMEOUT,
            state: fate,
            stop: CancellationToken::new(),
        };
        match tokio::time::timeout(SWEEP_TIMEOUT, self.steps.sweep(context)).await {
            Ok(swept) => swept.map_err(|failure| failure.message),
            Err(_) => Err(format!("no answer within {} seconds", SWEEP_TIMEOUT.as_secs())),
        }
    }

    /// Reads the journal on until its new owner has done with the step.
    async fn follow_to_fate(&self, step: &str, fate: &mut State) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            self.read_on(fate).await?;
            if is_settled(self.steps.dag(), fate, step) {
                return Ok(());
            }
            sleep(self.driver.options.poll).await;
        }
        Err(format!(
            "the new owner has not done with it within {} seconds",
            PATIENCE.as_secs()
        ))
    }

    async fn read_on(&self, fate: &mut State) -> Result<(), String> {
        let (saga, last) = (self.keeper.saga(), fate.next_seq() - 1);
        match self.keeper.journal().events_after(saga, last).await {
            Ok(records) => records
                .iter()
                .try_for_each(|record| fate.apply(record))
                .map_err(|corrupt| corrupt.to_string()),
            // A database that is away comes back.
            Err(JournalError::Unavailable(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// It was taken back, or everything that follows from it is done: then what it made has been found, or never will be.
fn is_settled(dag: &Dag, state: &State, step: &str) -> bool {
    let done = |name: &str| {
        state
            .step(name)
            .is_some_and(|step| step.given_up || matches!(step.phase, StepPhase::Done | StepPhase::Undone))
    };
    let mut next = dag
        .position(step)
        .into_iter()
        .flat_map(|position| dag.after(position));
    state.ended().is_some() || (done(step) && next.all(|position| done(&dag.nodes()[position].name)))
}
