//! The run's one state, behind one lock that is never held over an await.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protector_saga::{Claim, Owner};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::chance::Chance;
use crate::checks::Books;
use crate::database::Database;
use crate::history::History;
use crate::planted::Bug;
use crate::setup::Setup;
use crate::watch::Attempt;
use crate::weather::{Place, Weather};
use crate::world::{Side, Time, World};

/// An engine's process.
pub struct Process {
    pub side: Side,
    pub owner: Owner,
    pub alive: bool,
    /// It sleeps until then, with all its timers.
    pub stalled: Time,
    /// Its own clock's error, in seconds.
    pub skew: i64,
    pub task: Option<AbortHandle>,
}

/// What must never be so, and is.
#[derive(Debug, Clone)]
pub struct Violation {
    pub at: Time,
    /// Which promise.
    pub invariant: &'static str,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, invariant, what } = self;
        write!(f, "{invariant}: {what} (at {:.6} s)", at.as_secs_f64())
    }
}

pub struct Sim {
    pub chance: Chance,
    pub history: History,
    pub world: World,
    pub databases: [Database; 2],
    pub processes: Vec<Process>,
    pub weather: Weather,
    pub books: Books,
    pub bug: Option<Bug>,
    pub violation: Option<Violation>,
    pub setup: Setup,
    /// Engines that are to be started again, and when.
    pub restarts: BTreeMap<Time, Side>,
}

impl Sim {
    pub fn note(&mut self, line: impl AsRef<str>) {
        self.history.note(self.world.now, line.as_ref());
    }

    /// Only the first one counts: what follows may follow from it.
    pub fn violated(&mut self, invariant: &'static str, what: impl Into<String>) {
        if self.violation.is_some() {
            return;
        }
        let violation = Violation {
            at: self.world.now,
            invariant,
            what: what.into(),
        };
        self.note(format!("VIOLATION {violation}"));
        self.violation = Some(violation);
    }

    pub fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Whether the claim is the owner's in truth, whatever the database says.
    pub fn holds(&self, side: Side, claim: &Claim) -> bool {
        self.books.holds(side, claim, self.world.now)
    }

    pub fn crash(&mut self, process: usize) {
        let now = self.world.now;
        let found = &mut self.processes[process];
        if !found.alive {
            return;
        }
        found.alive = false;
        if let Some(task) = &found.task {
            task.abort();
        }
        let (side, name) = (found.side, found.owner.0.clone());
        let pause = self.chance.millis(200..60_000);
        let mut when = now + pause;
        while self.restarts.contains_key(&when) {
            when += Duration::from_nanos(1);
        }
        self.restarts.insert(when, side);
        self.note(format!("{name} crashes"));
    }

    pub fn stall(&mut self, process: usize) {
        let pause = match self.chance.below(3) {
            0 => self.chance.millis(500..8_000),
            _ => self.chance.millis(8_000..90_000),
        };
        let until = self.world.now + pause;
        let found = &mut self.processes[process];
        found.stalled = until;
        let name = found.owner.0.clone();
        self.note(format!("{name} stalls for {:.1} s", pause.as_secs_f64()));
    }

    pub fn is_out_of_reach(&self, place: Place) -> bool {
        self.world.dead[place.side()] || self.weather.is_cut(place, self.world.now)
    }
}

struct Inner {
    sim: Mutex<Sim>,
    began: Instant,
    over: Notify,
}

/// A handle to the run.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

impl Shared {
    pub fn new(sim: Sim) -> Self {
        Self(Arc::new(Inner {
            sim: Mutex::new(sim),
            began: Instant::now(),
            over: Notify::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Sim> {
        self.0.sim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Time {
        self.0.began.elapsed()
    }

    /// Brings the world to this moment, does it, and looks whether all is as it must be.
    pub fn with<T>(&self, act: impl FnOnce(&mut Sim) -> T) -> T {
        let now = self.now();
        let mut sim = self.lock();
        let sim = &mut *sim;
        while let Some(change) = sim.world.step(now, &mut sim.chance) {
            sim.note(format!("{change:?}"));
            sim.books.dirty = true;
            sim.look();
        }
        sim.world.now = now;
        let done = act(sim);
        sim.look();
        if sim.violation.is_some() {
            self.0.over.notify_one();
        }
        done
    }

    /// Without any look at the world.
    pub fn peek<T>(&self, look: impl FnOnce(&Sim) -> T) -> T {
        look(&self.lock())
    }

    /// Only to set the books right, without any look at the world.
    pub fn forget(&self, act: impl FnOnce(&mut Sim)) {
        act(&mut self.lock());
    }

    /// Comes back when something was violated.
    pub async fn violated(&self) {
        loop {
            if self.lock().violation.is_some() {
                return;
            }
            self.0.over.notified().await;
        }
    }

    /// Returns when the process may go on; never, where it is dead.
    pub async fn ready(&self, process: usize) {
        loop {
            let stalled = {
                let sim = self.lock();
                let found = &sim.processes[process];
                match found.alive && sim.violation.is_none() {
                    true => found.stalled,
                    false => Time::MAX,
                }
            };
            if stalled == Time::MAX {
                std::future::pending::<()>().await;
            }
            if stalled <= self.now() {
                return;
            }
            tokio::time::sleep_until(self.0.began + stalled).await;
        }
    }
}

/// The attempt that is at work in this task, if any.
pub fn attempt() -> Option<Attempt> {
    crate::watch::CURRENT.try_with(Clone::clone).ok()
}
