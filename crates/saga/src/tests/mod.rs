//! Sagas run against a small world that remembers every effect, with failures and crashes at will.

mod behaviour;
mod crashes;
mod engine;
mod failpoints;
mod properties;
mod sweep;
mod world;

use chrono::{DateTime, Utc};

use crate::{Action, State, decide};

/// What the core says, looking at everything: every test that drives a saga holds the agenda against it.
pub(crate) fn decided(state: &State, now: DateTime<Utc>, room: usize) -> Vec<Action> {
    let mut left = room;
    let mut actions = decide(state.dag(), state, now);
    actions.retain(|action| match action {
        Action::Run { .. } | Action::Undo { .. } => {
            let taken = left > 0;
            left -= usize::from(taken);
            taken
        }
        _ => true,
    });
    actions
}
