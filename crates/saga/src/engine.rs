//! Finds sagas that nobody works on, works on them, and keeps its claims alive.
//!
//! The database is the truth and is asked every few seconds; a wake-up only makes it sooner. A saga that
//! this release can't plan is never guessed at: it is kept, with the reason in log and journal, and tried
//! again, until it can be planned or the operator gives it up.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use protector_domain::SagaId;
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::driver::{Driver, RunEnd, Steps, panic_message};
use crate::event::{Event, SagaOutcome};
use crate::journal::{Claim, Journal, JournalError, SagaHeader};
use crate::state::decision;

/// Makes the workflow that a saga asks for.
#[async_trait]
pub trait Planner: Send + Sync {
    /// The reason says which kind and version this release can't run, and what to do.
    fn plan(&self, header: &SagaHeader) -> Result<Arc<dyn Steps>, String>;

    /// Told when a saga has to wait for the operator because it can't be planned, to show it.
    async fn refused(&self, _header: &SagaHeader, _claim: &Claim, _reason: &str) {}

    /// Told when the operator gave up a saga that can't be planned, before its end is journalled.
    async fn abandoned(&self, _header: &SagaHeader, _claim: &Claim, _reason: &str) -> Result<(), String> {
        Ok(())
    }
}

/// How many sagas are claimed in one go.
const CLAIMS: usize = 16;
/// How often a saga that can't be planned is tried again.
const PLAN_AGAIN: Duration = Duration::from_secs(30);

pub struct Engine {
    driver: Arc<Driver>,
    planner: Arc<dyn Planner>,
    wake: Arc<Notify>,
    pulse: Pulse,
}

type Pulse = Box<dyn Fn() + Send + Sync>;

/// Makes an engine look for work at once.
#[derive(Clone)]
pub struct Waker {
    engine: Arc<Notify>,
    sagas: Arc<Notify>,
}

impl Waker {
    pub fn wake(&self) {
        self.engine.notify_one();
        self.sagas.notify_waiters();
    }
}

struct Running {
    saga: SagaId,
    lost: CancellationToken,
}

impl Engine {
    pub fn new(driver: Driver, planner: Arc<dyn Planner>) -> Engine {
        Engine {
            driver: Arc::new(driver),
            planner,
            wake: Arc::default(),
            pulse: Box::new(|| {}),
        }
    }

    /// `pulse` is called whenever the claims have been renewed, or the database has refused it. An engine whose pulse
    /// stops loses its work to others.
    pub fn with_pulse(self, pulse: impl Fn() + Send + Sync + 'static) -> Engine {
        Engine {
            pulse: Box::new(pulse),
            ..self
        }
    }

    pub fn waker(&self) -> Waker {
        Waker {
            engine: self.wake.clone(),
            sagas: self.driver.waker(),
        }
    }

    /// Works until `stop` fires; then lets running steps end, for a while, and gives everything back.
    pub async fn run(self, stop: CancellationToken) {
        let options = self.driver.options.clone();
        let mut tasks = Tasks::default();
        let mut poll = tokio::time::interval(options.poll);
        let mut renew = tokio::time::interval(options.lease / 3);
        for timer in [&mut poll, &mut renew] {
            timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = renew.tick() => self.renew(&mut tasks).await,
                Some(()) = tasks.reap() => {}
                _ = poll.tick() => self.claim(&mut tasks).await,
                () = self.wake.notified() => self.claim(&mut tasks).await,
            }
        }
        self.driver.stop_token().cancel();
        let _ = tokio::time::timeout(options.stop_within, async {
            while !tasks.is_empty() {
                tokio::select! {
                    biased;
                    _ = renew.tick() => self.renew(&mut tasks).await,
                    _ = tasks.reap() => {}
                }
            }
        })
        .await;
        tasks.set.shutdown().await;
        if let Err(error) = self.driver.journal.release(&self.driver.owner).await {
            tracing::warn!(%error, "the work could not be given back; others take it over when the lease ends");
        }
    }

    async fn claim(&self, tasks: &mut Tasks) {
        let claimed = self
            .driver
            .journal
            .claim(&self.driver.owner, self.driver.options.lease, CLAIMS)
            .await;
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                log_failure(&error, "no work can be claimed");
                return;
            }
        };
        for (header, claim) in claimed {
            tracing::info!(saga = %claim.saga, kind = header.kind, fence = claim.fence, "working on a saga");
            let lost = CancellationToken::new();
            // An earlier run of this engine for the same saga has lost its claim to this one.
            let before = tasks.end(claim.saga);
            let running = Running {
                saga: claim.saga,
                lost: lost.clone(),
            };
            let (driver, planner) = (self.driver.clone(), self.planner.clone());
            let task = async move {
                if let Some(before) = before {
                    before.cancel();
                }
                work(&driver, planner, header, claim, lost).await;
            };
            let id = tasks.set.spawn(task).id();
            tasks.running.push((id, running));
        }
    }

    async fn renew(&self, tasks: &mut Tasks) {
        match self
            .driver
            .journal
            .renew(&self.driver.owner, self.driver.options.lease)
            .await
        {
            Ok(held) => {
                for running in tasks
                    .running
                    .iter()
                    .map(|(_, running)| running)
                    .filter(|running| !held.contains(&running.saga))
                {
                    running.lost.cancel();
                }
                if held.iter().any(|saga| tasks.end(*saga).is_none()) {
                    self.give_back(tasks).await;
                }
            }
            Err(error) => log_failure(&error, "the claims can't be renewed"),
        }
        (self.pulse)();
    }

    /// A claim whose answer was lost, or that was left while the database was away, is renewed with the others and
    /// worked on by nobody. Which fence it has isn't known here, so all is given back, to be claimed anew.
    async fn give_back(&self, tasks: &mut Tasks) {
        tracing::warn!(
            "this engine owns work that it doesn't know of: it gives everything back and begins anew"
        );
        tasks.set.shutdown().await;
        tasks.running.clear();
        if let Err(error) = self.driver.journal.release(&self.driver.owner).await {
            log_failure(&error, "the work can't be given back");
        }
        self.wake.notify_one();
    }
}

#[derive(Default)]
struct Tasks {
    set: JoinSet<()>,
    /// In the order in which they began; they are few.
    running: Vec<(Id, Running)>,
}

impl Tasks {
    fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    fn end(&self, saga: SagaId) -> Option<CancellationToken> {
        self.running
            .iter()
            .find(|(_, running)| running.saga == saga)
            .map(|(_, running)| running.lost.clone())
    }

    /// Waits for one to end; `None` where there is none.
    async fn reap(&mut self) -> Option<()> {
        let id = match self.set.join_next_with_id().await? {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "the work on a saga broke off");
                error.id()
            }
        };
        self.running.retain(|(of, _)| *of != id);
        Some(())
    }
}

async fn work(
    driver: &Driver,
    planner: Arc<dyn Planner>,
    header: SagaHeader,
    claim: Claim,
    lost: CancellationToken,
) {
    loop {
        let plan = std::panic::catch_unwind(AssertUnwindSafe(|| planner.plan(&header)));
        let reason = match plan.unwrap_or_else(|panic| Err(panic_message(panic.as_ref()))) {
            Ok(steps) => match run(driver, &header, &claim, steps, &lost).await {
                Left::For(reason) => reason,
                Left::Over => return,
            },
            Err(reason) => reason,
        };
        tracing::error!(saga = %claim.saga, kind = header.kind, version = header.version, %reason, "the saga waits for the operator");
        if AssertUnwindSafe(planner.refused(&header, &claim, &reason))
            .catch_unwind()
            .await
            .is_err()
        {
            tracing::error!(saga = %claim.saga, "that the saga waits could not be shown");
        }
        match hold(driver, &*planner, &header, &claim, &reason, &lost).await {
            Held::Again => {}
            Held::Over => return,
        }
    }
}

enum Left {
    /// Done, lost or handed on.
    Over,
    /// Still owned by this engine, which can't go on with it.
    For(String),
}

/// A claim that nobody uses would keep everybody else out: a run that breaks off while the claim still
/// holds ends with a reason, never silently.
async fn run(
    driver: &Driver,
    header: &SagaHeader,
    claim: &Claim,
    steps: Arc<dyn Steps>,
    lost: &CancellationToken,
) -> Left {
    let run = driver.run_until_lost(claim.clone(), header.clone(), steps, lost.clone());
    let end = match AssertUnwindSafe(run).catch_unwind().await {
        Ok(RunEnd::Refused(reason)) => return Left::For(reason),
        Ok(end) => end,
        Err(panic) => return Left::For(panic_message(panic.as_ref())),
    };
    tracing::info!(saga = %claim.saga, kind = header.kind, ?end, "left a saga");
    match end {
        RunEnd::Lost if !lost.is_cancelled() && driver.journal.check(claim).await.is_ok() => {
            Left::For("the journal of the saga doesn't follow from what this engine wrote".to_owned())
        }
        _ => Left::Over,
    }
}

enum Held {
    Again,
    Over,
}

/// Keeps a saga that can't be worked on, until it is time to try again or the operator gives it up.
async fn hold(
    driver: &Driver,
    planner: &dyn Planner,
    header: &SagaHeader,
    claim: &Claim,
    reason: &str,
    lost: &CancellationToken,
) -> Held {
    let journal = &*driver.journal;
    match abandoned(journal, claim.saga).await {
        Some(given_up) => match settle_abandoned(planner, header, claim, &given_up).await {
            Ok(()) => {
                let ended = Event::Ended {
                    outcome: SagaOutcome::Abandoned,
                };
                match journal.append(claim, &[ended]).await {
                    Ok(_) | Err(JournalError::Fenced(_)) => return Held::Over,
                    Err(error) => log_failure(&error, "the end of a saga can't be written"),
                }
            }
            Err(error) => {
                tracing::warn!(saga = %claim.saga, %error, "a saga that was given up can't be settled")
            }
        },
        None => note(journal, claim, reason).await,
    }
    let waker = driver.waker();
    tokio::select! {
        biased;
        () = lost.cancelled() => Held::Over,
        () = driver.stop_token().cancelled_owned() => Held::Over,
        () = tokio::time::sleep(PLAN_AGAIN) => Held::Again,
        () = waker.notified() => Held::Again,
    }
}

async fn settle_abandoned(
    planner: &dyn Planner,
    header: &SagaHeader,
    claim: &Claim,
    reason: &str,
) -> Result<(), String> {
    let settled = AssertUnwindSafe(planner.abandoned(header, claim, reason))
        .catch_unwind()
        .await;
    settled.unwrap_or_else(|panic| Err(panic_message(panic.as_ref())))
}

async fn abandoned(journal: &dyn Journal, saga: SagaId) -> Option<String> {
    let records = journal.events(saga).await.ok()?;
    records.into_iter().find_map(|record| match record.event {
        Event::Abandoned { reason, .. } => Some(reason),
        _ => None,
    })
}

/// Writes down once why the operator is needed.
async fn note(journal: &dyn Journal, claim: &Claim, reason: &str) {
    let event = Event::OperatorDecision {
        decision: decision::AWAITED.to_owned(),
        note: reason.to_owned(),
    };
    let last = match journal.events(claim.saga).await {
        Ok(records) => records.into_iter().next_back().map(|record| record.event),
        Err(_) => None,
    };
    if last.as_ref() != Some(&event)
        && let Err(error) = journal.append(claim, &[event]).await
    {
        log_failure(&error, "a reason can't be written down");
    }
}

fn log_failure(error: &JournalError, what: &str) {
    let cause = std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default();
    tracing::warn!(%error, %cause, "{what}");
}
