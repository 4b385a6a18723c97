//! Bugs that a simulation plants into the core to see whether it finds them. No build for use has this module.
//!
//! The switch is the thread's own, as a simulated world lives in one thread.

use std::cell::Cell;

use crate::state::{Output, State};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A cancel takes back what lies behind the point of no return.
    CancelAfterPivot,
    /// Undo is owed from the success on, and not from the intent on.
    UndoOnlyDone,
    /// The way back begins while steps still go forward.
    UnwindInFlight,
    /// What was cut off counts as still at work.
    InterruptedForgotten,
    /// A pivot whose outcome nobody knows counts as one that failed.
    DoubtIsFailure,
    /// Nobody looks at the claim before an effect.
    NoCheckBeforeEffect,
    /// Steps share a look that began before they asked.
    LookFromBefore,
    /// A write whose answer was lost is repeated unseen.
    WriteAgainUnseen,
    /// A step begins before its intent is written.
    LaunchBeforeIntent,
}

thread_local! {
    static THROWN: Cell<Option<Planted>> = const { Cell::new(None) };
}

pub fn set(planted: Option<Planted>) {
    THROWN.set(planted);
}

pub(crate) fn is(planted: Planted) -> bool {
    THROWN.get() == Some(planted)
}

/// Gives a step the output of another one.
pub fn replace_output(state: &mut State, step: &str, output: Output) {
    state.replace_output(step, output);
}
