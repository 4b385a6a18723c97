//! Leases and journals: who may write, what may follow what.

use std::time::Duration;

use protector_domain::{Group, SagaId, SyncStatus};
use protector_saga::{Claim, Dag, Event, FailureClass, Owner, SagaOutcome, State, StepKind, StepPhase};

use super::Read;
use crate::sim::Sim;
use crate::world::Side;

impl Sim {
    pub fn watch_claim(&mut self, side: Side, claim: &Claim, lease: Duration) {
        let now = self.world.now;
        let before = self.books.leases[side].get(&claim.saga);
        let held = before.and_then(|before| {
            let owner = before.owner.as_ref()?;
            (before.expires > now && *owner != claim.owner).then(|| owner.0.clone())
        });
        let fence = before.map_or(0, |before| before.fence);
        self.note(format!(
            "{} claims {} ({})",
            claim.owner.0, claim.saga, claim.fence
        ));
        if let Some(owner) = held {
            self.violated(
                "lease",
                format!("{} took what {owner} still holds", claim.owner.0),
            );
        }
        if claim.fence <= fence {
            self.violated(
                "fence",
                format!("a claim with fence {} follows one with {fence}", claim.fence),
            );
        }
        if self.books.ended(claim.saga).is_some() {
            self.violated(
                "journal",
                format!("{} is over, and was claimed again", claim.saga),
            );
        }
        self.books.grant(side, claim, now + lease);
    }

    pub fn watch_renewal(&mut self, side: Side, owner: &Owner, saga: SagaId, lease: Duration) {
        let now = self.world.now;
        let Some(held) = self.books.leases[side].get_mut(&saga) else {
            return;
        };
        if held.owner.as_ref() == Some(owner) && held.expires > now {
            held.expires = now + lease;
        } else {
            self.violated("lease", format!("{} renewed what it had lost", owner.0));
        }
    }

    pub fn watch_store(&mut self, side: Side, claim: Option<&Claim>, what: &str) {
        if let Some(claim) = claim
            && !self.holds(side, claim)
        {
            let text = format!("{} wrote the {what} after its lease was lost", claim.owner.0);
            self.violated("fence", text);
        }
    }

    /// What was written of a group grows, and never goes back.
    pub fn watch_group(&mut self, side: Side, group: &Group) {
        let before = self.books.stamps.insert((side, group.id()), group.document.stamp);
        if before.is_some_and(|before| group.document.stamp < before) {
            self.violated("document", "the group's document went back to an older version");
        }
        let told = self.books.relayed.get(&(side, group.id()));
        if told == Some(&group.document.stamp) && group.sync.status != SyncStatus::Synced {
            self.violated("document", "that the other site has the document was forgotten");
        }
    }

    pub fn watch_append(&mut self, side: Side, claim: &Claim, events: &[Event]) {
        if !self.holds(side, claim) {
            let text = format!("{} wrote {events:?} after its lease was lost", claim.owner.0);
            self.violated("fence", text);
        }
        self.read_on(side, claim.saga);
        let written = self.databases[side]
            .sagas
            .get(&claim.saga)
            .and_then(|saga| saga.records.last())
            .is_some_and(|record| Some(&record.event) == events.last());
        if !written {
            self.violated("journal", "a write that was answered isn't there".to_owned());
        }
        if let Some(process) = self
            .processes
            .iter()
            .position(|process| process.owner == claim.owner)
            && events
                .iter()
                .any(|event| matches!(event, Event::UndoIntent { .. }))
            && self.books.goes_forward(process, claim)
        {
            self.violated(
                "undo order",
                "the way back began while a step was still at work".to_owned(),
            );
        }
    }

    /// The lines that are new in the journal.
    pub fn read_on(&mut self, side: Side, saga: SagaId) {
        let Some(row) = self.databases[side].sagas.get(&saga) else {
            return;
        };
        let Some(dag) = self.books.plans.get(&saga).cloned() else {
            return;
        };
        let read = self.books.reads.entry(saga).or_insert_with(|| Read {
            state: State::new(&dag),
        });
        let from = usize::try_from(read.state.next_seq() - 1).unwrap_or(0);
        let news: Vec<_> = row.records.iter().skip(from).cloned().collect();
        for record in news {
            self.note(format!(
                "journal {} {}: {}",
                saga,
                record.seq,
                told(&record.event)
            ));
            let Some(read) = self.books.reads.get_mut(&saga) else {
                return;
            };
            let sure = self.books.rolled_back.contains(&saga);
            let wrong = out_of_order(&dag, &read.state, &record.event, sure);
            let legal = read.state.apply(&record);
            let waits = wrong.is_none() && legal.is_ok();
            if let Some(wrong) = wrong {
                self.violated("undo order", wrong);
            }
            if let Err(corrupt) = legal {
                self.violated("journal", corrupt.to_string());
            }
            if waits && let Event::Ended { outcome } = record.event {
                self.ended(side, saga, outcome);
            }
            if let Event::Done { step, .. } = &record.event {
                self.done(side, saga, step);
            }
        }
    }
}

impl super::Books {
    pub fn state(&self, saga: SagaId) -> Option<&State> {
        self.reads.get(&saga).map(|read| &read.state)
    }

    fn ended(&self, saga: SagaId) -> Option<SagaOutcome> {
        self.state(saga)?.ended()
    }
}

fn told(event: &Event) -> String {
    match event {
        Event::Planned { kind, .. } => format!("planned {kind}"),
        Event::Intent { step, attempt, .. } => format!("intent {step} #{attempt}"),
        Event::Done { step, output } => match output.get("given_up") {
            Some(reason) => format!("done {step}: given up, {reason}"),
            None => format!("done {step}"),
        },
        other => format!("{other:?}"),
    }
}

/// What this line may not follow on, by the plan as it ought to be.
fn out_of_order(dag: &Dag, state: &State, event: &Event, sure: bool) -> Option<String> {
    let is_done = |name: &str| {
        let step = state.step(name);
        step.is_some_and(|step| step.phase == StepPhase::Done || step.given_up)
    };
    let pivot = dag.pivot().is_some_and(|pivot| is_done(&pivot.name));
    match event {
        Event::Intent { step, .. } => {
            let node = dag.node(step)?;
            let back = |phase| {
                matches!(
                    phase,
                    StepPhase::Undoing | StepPhase::Undone | StepPhase::UndoFailed
                )
            };
            if state.steps().any(|(_, step)| back(step.phase)) {
                return Some(format!("{step} goes forward on the way back"));
            }
            if node.kind == StepKind::Retriable && dag.pivot().is_some() && !pivot {
                return Some(format!("{step} came before the point of no return"));
            }
            let missing = node.after.iter().find(|before| !is_done(before))?;
            Some(format!("{step} came before {missing}"))
        }
        Event::UndoIntent { step, .. } => {
            if pivot {
                return Some(format!("{step} is taken back behind the point of no return"));
            }
            if !sure && in_doubt(dag, state) {
                return Some(format!(
                    "{step} is taken back while the point of no return is in doubt"
                ));
            }
            let node = dag.node(step)?;
            let later: Vec<&str> = match &node.undone_after {
                Some(few) => few.iter().map(|name| &**name).collect(),
                None => dag
                    .nodes()
                    .iter()
                    .filter(|node| node.after.iter().any(|before| **before == **step))
                    .map(|node| &*node.name)
                    .collect(),
            };
            let stands = later.into_iter().find(|name| {
                state.step(name).is_some_and(|step| {
                    !matches!(step.phase, StepPhase::Waiting | StepPhase::Undone) && !step.given_up
                })
            })?;
            Some(format!("{step} is taken back before {stands}"))
        }
        Event::Ended { outcome } => {
            let open = state.steps().find(|(_, step)| match outcome {
                SagaOutcome::Completed => step.phase != StepPhase::Done && !step.given_up,
                SagaOutcome::RolledBack => !matches!(step.phase, StepPhase::Waiting | StepPhase::Undone),
                SagaOutcome::Abandoned => false,
            });
            let (node, step) = open?;
            Some(format!(
                "it ended {outcome:?}, and {} is {}",
                node.name,
                step.phase.as_str()
            ))
        }
        _ => None,
    }
}

/// The pivot has begun, and nobody knows how it ended.
fn in_doubt(dag: &Dag, state: &State) -> bool {
    let pivot = dag.pivot().and_then(|pivot| state.step(&pivot.name));
    pivot.is_some_and(|step| match step.phase {
        StepPhase::Running => true,
        StepPhase::Failed => matches!(step.error, Some((FailureClass::Ambiguous, _))),
        _ => false,
    })
}
