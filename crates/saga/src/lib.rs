//! Journalled sagas: long work over other people's systems that survives any crash.
//!
//! A saga is a DAG of steps. Before and after every effect an event goes into the journal, in a transaction
//! that also checks that this engine still owns the saga. What to do next is decided by a pure core from the
//! DAG and the journal alone ([`decide`]), so a crashed saga is resumed by reading, not by remembering.
//!
//! Two rules differ from the usual sagas. *Undo is owed from the intent on*: a step that failed half-way is
//! undone too. And there is a *pivot*: before it a failure rolls everything back, after it the saga only goes
//! forward, and where it can't it waits for the operator.

/// Whether this bug was planted into a simulation. In builds for use it is plainly false.
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(feature = "planted")]
        let thrown = crate::planted::is(crate::planted::Planted::$bug);
        #[cfg(not(feature = "planted"))]
        let thrown = false;
        thrown
    }};
}

mod agenda;
pub mod dag;
pub mod decide;
pub mod driver;
mod edges;
pub mod engine;
pub mod event;
pub mod failpoint;
pub mod journal;
#[cfg(feature = "planted")]
pub mod planted;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use dag::{Dag, DagError, Node, RetryPolicy, StepKind};
pub use decide::{Action, decide};
pub use driver::{Driver, Options, RunEnd, StepContext, StepFailure, Steps};
pub use engine::{Engine, Planner, Waker};
pub use event::{Event, FailureClass, Record, SagaOutcome};
pub use failpoint::Failpoints;
pub use journal::{Claim, Journal, JournalError, NewSaga, Owner, SagaHeader};
pub use state::{Corrupt, Output, State, StepPhase, StepState, decision};

#[cfg(test)]
mod tests;
