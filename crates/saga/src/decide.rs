//! What to do next. A pure function: the same journal at the same time always gives the same answer.
//!
//! Forward, a step runs when everything before it is done. Backward, a step is undone when everything after
//! it has been, or as much of that as it has to wait for; it owes an undo as soon as its intent is in the journal, whatever came of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::dag::{Dag, Node};
use crate::event::SagaOutcome;
use crate::state::{State, StepPhase, StepState};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write the intent, then run it.
    Run { step: String, attempt: u32 },
    /// Write the intent, then undo it.
    Undo { step: String, attempt: u32 },
    /// Nothing more before this time, unless something ends or is asked for.
    WaitUntil(DateTime<Utc>),
    /// Bring the world in line with this outcome, then write the end.
    Settle(SagaOutcome),
    /// Nothing goes on until the operator decides; the text says why.
    WaitForOperator(String),
}

/// Where a step stands, in the direction in which the saga goes.
enum Standing {
    /// Nothing is left to do about it.
    Settled,
    InFlight,
    /// Others have to come first.
    Blocked,
    From(DateTime<Utc>),
    Stuck,
}

pub fn decide(dag: &Dag, state: &State, now: DateTime<Utc>) -> Vec<Action> {
    if state.ended().is_some() {
        return Vec::new();
    }
    if state.abandoned().is_some() {
        let settle = Action::Settle(SagaOutcome::Abandoned);
        return if state.is_idle() { vec![settle] } else { Vec::new() };
    }
    if state.is_paused() {
        return Vec::new();
    }
    let backward = state.is_unwinding();
    // The way back begins when nothing goes forward any more.
    if backward && state.is_running() && !planted!(UnwindInFlight) {
        return Vec::new();
    }
    let standings: Vec<Standing> = (0..dag.nodes().len())
        .map(|position| {
            if backward {
                back(dag, state, position)
            } else {
                ahead(dag, state, position)
            }
        })
        .collect();
    next(dag, state, now, backward, &standings)
}

fn next(dag: &Dag, state: &State, now: DateTime<Utc>, backward: bool, standings: &[Standing]) -> Vec<Action> {
    let mut lanes = Lanes::of(dag, standings);
    let mut actions = Vec::new();
    let mut in_flight = false;
    let mut next_time: Option<DateTime<Utc>> = None;
    let mut stuck = Vec::new();
    let mut held = false;
    for ((node, step), standing) in state.steps().zip(standings) {
        match standing {
            Standing::From(time) if *time <= now => match lanes.enter(node) {
                true => actions.push(begin(node, step, backward)),
                false => held = true,
            },
            Standing::From(time) => next_time = Some(next_time.map_or(*time, |earlier| earlier.min(*time))),
            Standing::InFlight => in_flight = true,
            Standing::Stuck => stuck.push(why(node, step, backward)),
            Standing::Blocked | Standing::Settled => {}
        }
    }
    if let Some(time) = next_time {
        actions.push(Action::WaitUntil(time));
    }
    if !actions.is_empty() || in_flight || held {
        return actions;
    }
    if !stuck.is_empty() {
        return vec![Action::WaitForOperator(stuck.join("; "))];
    }
    vec![Action::Settle(outcome(state, backward))]
}

pub(crate) fn begin(node: &Node, step: &StepState, backward: bool) -> Action {
    let step_name = node.name.to_string();
    match backward {
        true => Action::Undo {
            step: step_name,
            attempt: step.undo_attempts + 1,
        },
        false => Action::Run {
            step: step_name,
            attempt: step.attempts + 1,
        },
    }
}

pub(crate) fn why(node: &Node, step: &StepState, backward: bool) -> String {
    let what = if backward { "undoing step" } else { "step" };
    match &step.error {
        Some((_, message)) if !matches!(step.phase, StepPhase::Running | StepPhase::Undoing) => {
            format!("{what} '{}' failed: {message}", node.name)
        }
        _ => format!(
            "{what} '{}' never ended: its engine stopped every time",
            node.name
        ),
    }
}

/// A rollback that left something behind isn't one.
pub(crate) fn outcome(state: &State, backward: bool) -> SagaOutcome {
    match backward {
        true if state.steps().any(|(_, step)| step.given_up) => SagaOutcome::Abandoned,
        true => SagaOutcome::RolledBack,
        false => SagaOutcome::Completed,
    }
}

pub(crate) fn is_settled_ahead(step: &StepState) -> bool {
    step.phase == StepPhase::Done || step.given_up
}

pub(crate) fn is_settled_back(step: &StepState) -> bool {
    matches!(step.phase, StepPhase::Waiting | StepPhase::Undone)
        || step.given_up
        || (planted!(UndoOnlyDone) && matches!(step.phase, StepPhase::Running | StepPhase::Failed))
}

fn ahead(dag: &Dag, state: &State, position: usize) -> Standing {
    let (node, step) = (&dag.nodes()[position], state.at(position));
    if is_settled_ahead(step) {
        Standing::Settled
    } else if step.is_in_flight() {
        Standing::InFlight
    } else if step.is_exhausted(node) {
        Standing::Stuck
    } else if dag
        .before(position)
        .all(|before| is_settled_ahead(state.at(before)))
    {
        Standing::From(step.due(node))
    } else {
        Standing::Blocked
    }
}

fn back(dag: &Dag, state: &State, position: usize) -> Standing {
    let (node, step) = (&dag.nodes()[position], state.at(position));
    if is_settled_back(step) {
        return Standing::Settled;
    }
    if step.is_in_flight() {
        return Standing::InFlight;
    }
    if !dag
        .undone_before(position)
        .all(|after| is_settled_back(state.at(after)))
    {
        return Standing::Blocked;
    }
    match step.phase {
        StepPhase::UndoFailed | StepPhase::Undoing if step.is_exhausted(node) => Standing::Stuck,
        StepPhase::UndoFailed => Standing::From(step.due(node)),
        _ => Standing::From(DateTime::<Utc>::MIN_UTC),
    }
}

/// How many more steps each lane lets through.
struct Lanes(BTreeMap<&'static str, usize>);

impl Lanes {
    fn of(dag: &Dag, standings: &[Standing]) -> Lanes {
        let mut used = BTreeMap::new();
        for (node, standing) in dag.nodes().iter().zip(standings) {
            if let (Some((lane, _)), Standing::InFlight) = (node.lane, standing) {
                *used.entry(lane).or_insert(0) += 1;
            }
        }
        Lanes(used)
    }

    fn enter(&mut self, node: &Node) -> bool {
        let Some((lane, limit)) = node.lane else {
            return true;
        };
        let used = self.0.entry(lane).or_insert(0);
        let free = *used < limit;
        if free {
            *used += 1;
        }
        free
    }
}
