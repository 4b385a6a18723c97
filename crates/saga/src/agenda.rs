//! What may be done next, kept up to date line by line.
//!
//! [`decide`](crate::decide::decide) says the same and looks at every step to say it. Of ten thousand servers there
//! are more than a hundred thousand steps, and every one of them ends once: looking at all of them each time would
//! cost more than the work. So the agenda remembers for every step where it stands, and a new line of the journal
//! moves only the step that it is about, and those that waited for it. The tests hold it against `decide`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::dag::Dag;
use crate::decide::{Action, begin, is_settled_ahead, is_settled_back, outcome, why};
use crate::edges::Ends;
use crate::event::{Event, Record, SagaOutcome};
use crate::state::{State, StepPhase};

/// Where a step stands, in the direction in which the saga goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Others have to come first.
    Blocked,
    Ready,
    /// Not before this time.
    Later(DateTime<Utc>),
    InFlight,
    Stuck,
    /// Nothing is left to do about it.
    Settled,
}

/// Those steps of one lane that could begin, and how many are at work.
#[derive(Debug, Default)]
struct Lane {
    limit: usize,
    at_work: usize,
    ready: BTreeSet<usize>,
}

#[derive(Debug)]
pub(crate) struct Agenda {
    dag: Dag,
    backward: bool,
    /// For every step how many of those that it waits for aren't settled.
    waits: Vec<usize>,
    places: Vec<Place>,
    lanes: Vec<Lane>,
    /// For every step its lane; the last of all lanes is that of steps without one, and without a limit.
    lane_of: Vec<usize>,
    later: BTreeSet<(DateTime<Utc>, usize)>,
    stuck: BTreeSet<usize>,
}

impl Agenda {
    pub fn new(dag: &Dag, state: &State) -> Agenda {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut lanes: Vec<Lane> = Vec::new();
        let lane_of: Vec<Option<usize>> = dag
            .nodes()
            .iter()
            .map(|node| {
                node.lane.map(|(name, limit)| {
                    *names.entry(name).or_insert_with(|| {
                        lanes.push(Lane {
                            limit,
                            ..Lane::default()
                        });
                        lanes.len() - 1
                    })
                })
            })
            .collect();
        let without = lanes.len();
        lanes.push(Lane {
            limit: usize::MAX,
            ..Lane::default()
        });
        let mut agenda = Agenda {
            dag: dag.clone(),
            backward: false,
            waits: Vec::new(),
            places: Vec::new(),
            lanes,
            lane_of: lane_of.into_iter().map(|lane| lane.unwrap_or(without)).collect(),
            later: BTreeSet::new(),
            stuck: BTreeSet::new(),
        };
        agenda.begin_anew(state);
        agenda
    }

    /// Takes a line in that the state has taken in already.
    pub fn follow(&mut self, state: &State, record: &Record) {
        match &record.event {
            Event::Intent { step, .. }
            | Event::Done { step, .. }
            | Event::Failed { step, .. }
            | Event::UndoIntent { step, .. }
            | Event::Undone { step }
            | Event::UndoFailed { step, .. }
                if state.is_unwinding() == self.backward =>
            {
                if let Some(position) = self.dag.position(step) {
                    self.move_on(state, position);
                }
            }
            // What turns the saga round, or an operator's word, concerns every step.
            _ => self.begin_anew(state),
        }
    }

    /// What [`decide`](crate::decide::decide) says, with at most `room` steps to begin.
    pub fn next(&mut self, state: &State, now: DateTime<Utc>, room: usize) -> Vec<Action> {
        if state.ended().is_some() {
            return Vec::new();
        }
        if state.abandoned().is_some() {
            let settle = Action::Settle(SagaOutcome::Abandoned);
            return if state.is_idle() { vec![settle] } else { Vec::new() };
        }
        if state.is_paused() || (self.backward && state.is_running() && !planted!(UnwindInFlight)) {
            return Vec::new();
        }
        self.ripen(now);
        let mut actions = self.starts(state, room);
        if let Some((time, _)) = self.later.first() {
            actions.push(Action::WaitUntil(*time));
        }
        if !actions.is_empty() || !state.is_idle() || self.lanes.iter().any(|lane| !lane.ready.is_empty()) {
            return actions;
        }
        if !self.stuck.is_empty() {
            let reasons: Vec<String> = self
                .stuck
                .iter()
                .map(|&position| why(&self.dag.nodes()[position], state.at(position), self.backward))
                .collect();
            return vec![Action::WaitForOperator(reasons.join("; "))];
        }
        // What waits for others that are all settled would be ready: nothing is left.
        vec![Action::Settle(outcome(state, self.backward))]
    }

    /// The first of the plan that their lanes let through.
    fn starts(&self, state: &State, room: usize) -> Vec<Action> {
        let mut first: Vec<usize> = self
            .lanes
            .iter()
            .flat_map(|lane| {
                let free = lane.limit.saturating_sub(lane.at_work).min(room);
                lane.ready.iter().take(free).copied()
            })
            .collect();
        first.sort_unstable();
        first.truncate(room);
        let nodes = self.dag.nodes();
        first
            .into_iter()
            .map(|position| begin(&nodes[position], state.at(position), self.backward))
            .collect()
    }

    /// Whose time has come is ready.
    fn ripen(&mut self, now: DateTime<Utc>) {
        while let Some(&(time, position)) = self.later.first() {
            if time > now {
                break;
            }
            self.put(position, Place::Ready);
        }
    }

    fn begin_anew(&mut self, state: &State) {
        let count = self.dag.nodes().len();
        self.backward = state.is_unwinding();
        self.places = vec![Place::Blocked; count];
        self.later.clear();
        self.stuck.clear();
        for lane in &mut self.lanes {
            lane.at_work = 0;
            lane.ready.clear();
        }
        self.waits = (0..count)
            .map(|position| {
                let before = self.awaited(position);
                before.filter(|&other| !self.is_settled(state, other)).count()
            })
            .collect();
        for position in 0..count {
            self.put(position, self.place(state, position));
        }
    }

    /// Puts the step where it belongs now, and where it is settled those that waited for it.
    fn move_on(&mut self, state: &State, position: usize) {
        let was_settled = self.places[position] == Place::Settled;
        let place = self.place(state, position);
        self.put(position, place);
        if was_settled == (place == Place::Settled) {
            return;
        }
        let dag = self.dag.clone();
        let waiting = match self.backward {
            true => dag.undone_after(position),
            false => dag.after(position),
        };
        for other in waiting {
            match was_settled {
                true => self.waits[other] += 1,
                false => self.waits[other] -= 1,
            }
            self.put(other, self.place(state, other));
        }
    }

    fn awaited(&self, position: usize) -> Ends<'_> {
        match self.backward {
            true => self.dag.undone_before(position),
            false => self.dag.before(position),
        }
    }

    fn is_settled(&self, state: &State, position: usize) -> bool {
        match self.backward {
            true => is_settled_back(state.at(position)),
            false => is_settled_ahead(state.at(position)),
        }
    }

    fn place(&self, state: &State, position: usize) -> Place {
        let (node, step) = (&self.dag.nodes()[position], state.at(position));
        let blocked = self.waits[position] > 0;
        if self.is_settled(state, position) {
            return Place::Settled;
        }
        if step.is_in_flight() {
            return Place::InFlight;
        }
        let due = match self.backward {
            true if blocked => return Place::Blocked,
            true => match step.phase {
                StepPhase::UndoFailed | StepPhase::Undoing if step.is_exhausted(node) => {
                    return Place::Stuck;
                }
                StepPhase::UndoFailed => step.due(node),
                _ => DateTime::<Utc>::MIN_UTC,
            },
            false if step.is_exhausted(node) => return Place::Stuck,
            false if blocked => return Place::Blocked,
            false => step.due(node),
        };
        match due == DateTime::<Utc>::MIN_UTC {
            true => Place::Ready,
            false => Place::Later(due),
        }
    }

    /// Takes the step away from where it stood.
    fn put(&mut self, position: usize, place: Place) {
        let lane = &mut self.lanes[self.lane_of[position]];
        match std::mem::replace(&mut self.places[position], place) {
            Place::Blocked | Place::Settled => {}
            Place::Ready => {
                lane.ready.remove(&position);
            }
            Place::Later(time) => {
                self.later.remove(&(time, position));
            }
            Place::InFlight => lane.at_work -= 1,
            Place::Stuck => {
                self.stuck.remove(&position);
            }
        }
        match place {
            Place::Blocked | Place::Settled => {}
            Place::Ready => {
                lane.ready.insert(position);
            }
            Place::Later(time) => {
                self.later.insert((time, position));
            }
            Place::InFlight => lane.at_work += 1,
            Place::Stuck => {
                self.stuck.insert(position);
            }
        }
    }
}
