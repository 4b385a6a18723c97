//! Failpoints: places in the real program where a test arranges for something to go wrong.
//!
//! A list of them is text, one for each blow, separated by semicolons:
//!
//! ```text
//! [undo:]STEP@POINT=ACTION[*COUNT]
//! clone-volume/0@after-call=stop; undo:boot-server@before-call=error*2
//! ```
//!
//! `STEP` is a step's name, or what stands before its slash; `undo:` means the step back. Each fires `COUNT` times,
//! once if nothing is said. What can happen:
//!
//! | | at `before-intent` and `after-outcome` (the journal) | at `before-call` and `after-call` (the step itself) |
//! |---|---|---|
//! | `stop` | the process stops before the intent, after the outcome is written | before the effect, after it |
//! | `error` | the journal refuses the write | the step fails for good, before or after its effect |
//! | `retryable` | | the step fails and may be tried again |
//! | `lost` | it is written, and the answer lost | nobody knows whether the step had its effect |
//! | `twice` | | the step runs twice in a row |
//!
//! They stand around the journal and around the steps ([`Failpoints::around_journal`],
//! [`Failpoints::around_planner`]), not in the driver: where none are set, none of this is there.

mod around;
mod parse;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{RwLock, RwLockReadGuard};

use crate::engine::Planner;
use crate::event::Event;
use crate::journal::Journal;

pub use self::parse::Malformed;

/// Where a step can be hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    BeforeIntent,
    BeforeCall,
    AfterCall,
    AfterOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Stop,
    Error,
    Retryable,
    Lost,
    Twice,
}

#[derive(Debug)]
struct Failpoint {
    undo: bool,
    step: String,
    point: Point,
    action: Action,
    left: AtomicU32,
}

impl Failpoint {
    fn is_at(&self, undo: bool, step: &str, point: Point) -> bool {
        let kind = step.split_once('/').map_or(step, |(kind, _)| kind);
        self.undo == undo && self.point == point && (self.step == step || self.step == kind)
    }

    /// Uses up one of its shots.
    fn fires(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less)
            .is_ok()
    }
}

/// All that is to go wrong in this process.
#[derive(Debug, Clone)]
pub struct Failpoints {
    points: Arc<[Failpoint]>,
    /// Stops the whole process until somebody lets it go on.
    stop: fn(),
    /// Held while something is written to the database.
    writing: Arc<RwLock<()>>,
}

impl Failpoints {
    /// Reads a list. `stop` halts the process and returns when somebody has let it go on.
    pub fn parse(text: &str, stop: fn()) -> Result<Failpoints, Malformed> {
        let points = parse::list(text)?;
        Ok(Failpoints {
            points: points.into(),
            stop,
            writing: Arc::default(),
        })
    }

    /// The same journal, with its failures.
    pub fn around_journal(&self, journal: Arc<dyn Journal>) -> Arc<dyn Journal> {
        Arc::new(around::FailingJournal {
            journal,
            failpoints: self.clone(),
        })
    }

    /// Plans the same workflows, with their failures.
    pub fn around_planner(&self, planner: Arc<dyn Planner>) -> Arc<dyn Planner> {
        Arc::new(around::FailingPlanner {
            planner,
            failpoints: self.clone(),
        })
    }

    /// Stops the process, but never in the middle of a write: a file's lock would sleep with it, and nobody else
    /// could take the work over before it is let go on.
    async fn stop(&self) {
        let _nobody_writes = self.writing.write().await;
        (self.stop)();
    }

    async fn writes(&self) -> RwLockReadGuard<'_, ()> {
        self.writing.read().await
    }

    /// What is to happen here now.
    fn hit(&self, undo: bool, step: &str, point: Point) -> Option<Action> {
        let failpoint = self
            .points
            .iter()
            .find(|one| one.is_at(undo, step, point) && one.fires())?;
        let action = failpoint.action;
        tracing::warn!(step, undo, "a failpoint fires: {point:?}, {action:?}");
        Some(action)
    }

    /// What is to happen to the first of these lines that a failpoint is set for.
    fn hit_line(&self, events: &[Event]) -> Option<(Point, Action)> {
        events.iter().find_map(|event| {
            let (point, undo, step) = match event {
                Event::Intent { step, .. } => (Point::BeforeIntent, false, step),
                Event::UndoIntent { step, .. } => (Point::BeforeIntent, true, step),
                Event::Done { step, .. } | Event::Failed { step, .. } => (Point::AfterOutcome, false, step),
                Event::Undone { step } | Event::UndoFailed { step, .. } => (Point::AfterOutcome, true, step),
                _ => return None,
            };
            Some((point, self.hit(undo, step, point)?))
        })
    }
}
