//! What must always be so.
//!
//! The books are kept apart from the databases and believe nobody: a lease is what was granted, a write is what is
//! there, and who did something is known from the task in which it was done.

mod ends;
mod journal;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protector_domain::{GroupId, SagaId, Stamp};
use protector_saga::{Claim, Dag, Owner, State};

use crate::sim::attempt;
use crate::watch::Attempt;
use crate::weather::Place;
use crate::world::{Side, Time};

/// What an operation says that waits because the operator has let something stay: the old server doesn't start beside
/// the new one, and what the new one has can't go.
const AFTER_ACCEPTING: [&str; 2] = ["would run beside it", "is connected to hosts"];

/// Whether something that was accepted has to be followed by accepting this.
pub fn follows_from_accepting(reason: &str) -> bool {
    AFTER_ACCEPTING.iter().any(|text| reason.contains(text))
}

struct Lease {
    owner: Option<Owner>,
    fence: i64,
    expires: Time,
}

/// Why an operation may not have gone well.
#[derive(Debug, Default)]
pub struct Blame {
    /// Faults that no retry outlasts, or may not.
    pub grave: u64,
    /// By step and direction, how many of the others.
    pub steps: BTreeMap<(String, bool), u64>,
}

/// By process, saga, fence and step; whether it is taken back.
type Work = (usize, SagaId, i64, String, bool);

/// A saga as its own journal has it, read by the plan as it ought to be.
struct Read {
    state: State,
}

/// What an engine was told when it asked whether a saga is still its own.
pub struct Look {
    /// Whether it was.
    pub held: bool,
    /// How far the journal was by then.
    pub last_line: i64,
}

#[derive(Default)]
pub struct Books {
    leases: [BTreeMap<SagaId, Lease>; 2],
    /// The call that is being made, and whether its maker had lost the lease.
    late: bool,
    /// What was made or touched by somebody who had lost his lease: nobody can hold him back there, and the next
    /// owner can't know of it.
    pub late_things: BTreeSet<String>,
    pub late_effects: u64,
    looks: BTreeMap<(usize, SagaId), Look>,
    plans: BTreeMap<SagaId, Dag>,
    reads: BTreeMap<SagaId, Read>,
    pub blames: BTreeMap<SagaId, Blame>,
    /// Steps at work, how often: of those of a lost claim nobody knows, in the same process or another one.
    at_work: BTreeMap<Work, u32>,
    /// Groups with a forced failover on record.
    pub forced: BTreeSet<GroupId>,
    /// Which snapshot each operation's clones are of.
    sources: BTreeMap<String, String>,
    /// Something changed since the last look.
    pub dirty: bool,
    pub outcomes: BTreeMap<&'static str, u64>,
    pub cancelled: BTreeSet<SagaId>,
    pub accepted: BTreeSet<SagaId>,
    /// By the operator, who knows that the point of no return was not passed.
    pub rolled_back: BTreeSet<SagaId>,
    /// Sites that have no Cinder group, since what should have made it ended without.
    pub ungrouped: BTreeSet<(Side, GroupId)>,
    pub relayed: BTreeMap<(Side, GroupId), Stamp>,
    stamps: BTreeMap<(Side, GroupId), Stamp>,
}

impl Books {
    pub fn holds(&self, side: Side, claim: &Claim, now: Time) -> bool {
        self.leases[side].get(&claim.saga).is_some_and(|lease| {
            lease.owner.as_ref() == Some(&claim.owner) && lease.fence == claim.fence && lease.expires > now
        })
    }

    fn grant(&mut self, side: Side, claim: &Claim, until: Time) {
        let lease = Lease {
            owner: Some(claim.owner.clone()),
            fence: claim.fence,
            expires: until,
        };
        self.leases[side].insert(claim.saga, lease);
    }

    pub fn release(&mut self, side: Side, owner: &Owner) {
        for lease in self.leases[side].values_mut() {
            if lease.owner.as_ref() == Some(owner) {
                lease.owner = None;
            }
        }
    }

    pub fn looked(&mut self, process: usize, saga: SagaId, look: Look) {
        self.looks.insert((process, saga), look);
    }

    pub fn planned(&mut self, saga: SagaId, dag: &Dag) {
        self.plans.entry(saga).or_insert_with(|| dag.clone());
    }

    pub fn begins(&mut self, _process: usize, _place: Place, _name: &str, changes: bool) {
        self.dirty |= changes;
    }

    pub fn ends(&mut self) {
        self.late = false;
    }

    pub fn made(&mut self, id: &str) {
        self.touched(id);
    }

    pub fn touched(&mut self, id: &str) {
        if self.late {
            self.late_things.insert(id.to_owned());
        }
    }

    pub fn blame(&mut self, attempt: Option<&Attempt>, _place: Place, why: &str) {
        let Some(attempt) = attempt else { return };
        let blame = self.blames.entry(attempt.saga).or_default();
        if matches!(why, "Refused" | "out of reach") {
            blame.grave += 1;
        }
        *blame
            .steps
            .entry((attempt.step.clone(), attempt.undo))
            .or_default() += 1;
    }

    /// Something that nobody can help is in the way of this saga.
    pub fn excuse(&mut self, saga: SagaId) {
        self.blames.entry(saga).or_default().grave += 1;
    }

    /// Whether somebody is at work on a step of this saga in this process, by this claim.
    fn goes_forward(&self, owner: usize, claim: &Claim) -> bool {
        let of = (owner, claim.saga, claim.fence);
        self.at_work
            .range((of.0, of.1, of.2, String::new(), false)..)
            .take_while(|((process, saga, fence, ..), _)| (*process, *saga, *fence) == of)
            .any(|((.., undo), count)| !undo && *count > 0)
    }

    pub fn count(&mut self, what: &'static str) {
        *self.outcomes.entry(what).or_default() += 1;
    }
}

/// A step at work, until it is dropped.
pub struct AtWork {
    shared: crate::sim::Shared,
    key: Work,
}

impl AtWork {
    pub fn new(shared: &crate::sim::Shared, process: usize, attempt: &Attempt) -> Self {
        let fence = attempt.claim.as_ref().map_or(0, |claim| claim.fence);
        let key = (process, attempt.saga, fence, attempt.step.clone(), attempt.undo);
        shared.with(|sim| *sim.books.at_work.entry(key.clone()).or_default() += 1);
        Self {
            shared: shared.clone(),
            key,
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.shared.forget(|sim| {
            if let Some(count) = sim.books.at_work.get_mut(&self.key) {
                *count = count.saturating_sub(1);
            }
        });
    }
}

impl crate::sim::Sim {
    /// Before a call's effect: who does it, and may he?
    pub fn watch_call(&mut self, process: usize, place: Place, name: &str, changes: bool) {
        let Some(attempt) = attempt() else { return };
        let side = self.processes[process].side;
        let now = self.world.now;
        if let (true, Some(claim)) = (changes && !matches!(place, Place::Database(_)), &attempt.claim)
            && !self.holds(side, claim)
        {
            self.books.late = true;
            self.books.late_effects += 1;
            let owner = self.processes[process].owner.0.clone();
            self.note(format!("{owner} is late with '{name}' of {}", attempt.step));
        }
        let allowed = self
            .books
            .plans
            .get(&attempt.saga)
            .and_then(|dag| dag.node(&attempt.step));
        if let Some(node) = allowed
            && changes
            && self.processes[process].stalled < attempt.began
            && now > attempt.began + node.timeout + Duration::from_secs(1)
        {
            let text = format!(
                "'{name}' of {} came {:?} after its deadline",
                attempt.step,
                now - attempt.began
            );
            self.violated("deadline", text);
        }
    }

    /// An unplanned failover asks nothing of the site that is lost.
    pub fn watch_question(&mut self, place: Place, name: &str) {
        let Some(attempt) = attempt() else { return };
        let unplanned = self.databases[1]
            .sagas
            .get(&attempt.saga)
            .is_some_and(|saga| saga.header.kind == "unplanned_failover");
        if unplanned && place.side() == 0 {
            self.violated(
                "the lost site isn't asked",
                format!("'{name}' of {}", attempt.step),
            );
        }
    }

    /// A step begins: its intent must be in the journal, and its engine must have looked whether it still owns it.
    pub fn watch_begin(&mut self, process: usize, attempt: &Attempt) {
        let side = self.processes[process].side;
        let owner = self.processes[process].owner.0.clone();
        let doing = if attempt.undo { "undo" } else { "run" };
        self.note(format!("{owner} {doing} {} #{}", attempt.step, attempt.number));
        let records = self.databases[side].sagas.get(&attempt.saga);
        let announced = records.and_then(|saga| {
            saga.records.iter().rev().find(|record| match &record.event {
                protector_saga::Event::Intent {
                    step,
                    attempt: number,
                    ..
                } => !attempt.undo && *step == attempt.step && *number == attempt.number,
                protector_saga::Event::UndoIntent {
                    step,
                    attempt: number,
                } => attempt.undo && *step == attempt.step && *number == attempt.number,
                _ => false,
            })
        });
        let Some(intent) = announced.map(|record| record.seq) else {
            let text = format!(
                "{doing} {} #{} began without its intent",
                attempt.step, attempt.number
            );
            return self.violated("journal", text);
        };
        // Steps that begin together share a look.
        let look = self.books.looks.get(&(process, attempt.saga));
        match look.filter(|look| look.last_line >= intent) {
            Some(Look { held: true, .. }) => {}
            Some(_) => self.violated(
                "lease",
                format!("{} began though its lease was lost", attempt.step),
            ),
            None => self.violated(
                "lease",
                format!("{} began without a look at the lease", attempt.step),
            ),
        }
    }
}
