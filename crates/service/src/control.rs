//! A hand on an operation that runs: cancel it, try again what was given up, or decide where it waits for somebody.
//!
//! A word is written into the journal, and the engine finds it there; nothing is done to the clouds here.

use protector_domain::{Operation, OperationId, SagaId};
use protector_saga::state::decision;
use protector_saga::{Event, JournalError};

use crate::error::{Error, Result};
use crate::{Caller, Service};

/// What an operation is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Take everything back, while that is possible.
    Cancel,
    /// Try again what was given up.
    Retry,
    Resolve {
        decision: Decision,
        note: String,
    },
}

/// How it goes on where it waits for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Without what was given up.
    Accept,
    /// The point of no return, whose outcome nobody knows, wasn't passed.
    RollBack,
    /// Not at all: what there is stays as it is.
    Abandon,
}

impl Decision {
    pub const WORDS: [&'static str; 3] = ["accept", "roll_back", "abandon"];

    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "accept" => Some(Self::Accept),
            "roll_back" => Some(Self::RollBack),
            "abandon" => Some(Self::Abandon),
            _ => None,
        }
    }
}

/// The step behind which nothing is taken back any more.
const POINT_OF_NO_RETURN: &str = "commit";

impl Service {
    pub async fn tell_operation(&self, caller: &Caller, id: OperationId, word: Word) -> Result<Operation> {
        let operation = self.operation(caller, id).await?;
        if operation.status.is_final() {
            return Err(Error::conflict(format!(
                "Operation {id} is over: it is {}{}.",
                operation.status.as_str(),
                operation
                    .outcome
                    .map_or_else(String::new, |outcome| format!(" ({})", outcome.as_str()))
            )));
        }
        let waits = operation.waiting_for.is_some();
        let event = match word {
            Word::Cancel => {
                check_cancellable(&operation)?;
                Event::Cancelled
            }
            _ if !waits => {
                return Err(Error::conflict(format!(
                    "Operation {id} doesn't wait for anybody: it goes on by itself. Only one that shows waiting_for 'operator' takes a decision."
                )));
            }
            Word::Retry => decided(decision::RETRY, String::new()),
            Word::Resolve { decision, note } => match decision {
                Decision::Accept => decided(decision::ACCEPT, note),
                Decision::RollBack => decided(decision::ROLL_BACK, note),
                Decision::Abandon if note.trim().is_empty() => {
                    return Err(Error::Invalid(
                        "Abandoning an operation needs a note: it is kept with the operation.".into(),
                    ));
                }
                Decision::Abandon => Event::Abandoned {
                    reason: note,
                    superseded: false,
                },
            },
        };
        match self.store.request(SagaId(id.0), event).await {
            Ok(()) => {}
            Err(JournalError::Unavailable(source)) => {
                return Err(Error::Unavailable {
                    message: "The database does not answer; try again.".into(),
                    source: Some(source),
                });
            }
            // It ended while it was told.
            Err(error) => {
                tracing::info!(operation = %id, %error, "a word came too late");
                return Err(Error::conflict(format!(
                    "Operation {id} takes no word any more: look at it again."
                )));
            }
        }
        self.wake.wake();
        self.operation(caller, id).await
    }
}

fn decided(decision: &str, note: String) -> Event {
    Event::OperatorDecision {
        decision: decision.to_owned(),
        note,
    }
}

fn check_cancellable(operation: &Operation) -> Result<()> {
    let passed = operation
        .steps
        .iter()
        .any(|step| step.name == POINT_OF_NO_RETURN && step.state == "done");
    if passed {
        return Err(Error::conflict(format!(
            "Operation {} can't be cancelled any more: the group runs on the other site already, and what is left is finished there.",
            operation.id
        )));
    }
    Ok(())
}
