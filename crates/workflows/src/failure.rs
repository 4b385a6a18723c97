//! From a failed call to a failed step: the class decides what the saga does next.

use std::fmt::Display;

use protector_domain::IllegalTransition;
use protector_ports::{AccessError, Class, Kind, PortError, StoreError};
use protector_saga::{FailureClass, StepFailure};

pub(crate) type StepResult<T> = Result<T, StepFailure>;

pub(crate) fn permanent(message: impl Into<String>) -> StepFailure {
    StepFailure {
        class: FailureClass::Permanent,
        message: message.into(),
    }
}

pub(crate) fn retryable(message: impl Into<String>) -> StepFailure {
    StepFailure {
        class: FailureClass::Retryable,
        message: message.into(),
    }
}

/// A call that failed fails its step, and says how that can be mended.
pub(crate) fn failed(error: PortError) -> StepFailure {
    let message = match remedy(error.kind) {
        Some(remedy) => format!("{} {remedy}", full(&error.message)),
        None => error.message,
    };
    let class = match error.class {
        Class::Retryable => FailureClass::Retryable,
        Class::Permanent => FailureClass::Permanent,
        Class::Ambiguous => FailureClass::Ambiguous,
    };
    StepFailure { class, message }
}

/// What helps, where the kind of a failure tells. Nothing of starting again: that depends on how the operation ends.
fn remedy(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Quota => Some("Make room there: raise the limit, or free what nobody needs."),
        Kind::Forbidden => Some(
            "Its policy or the user's roles don't allow it: an administrator of that site can change them.",
        ),
        Kind::Unavailable => Some("Look whether it runs, and whether it can be reached from this site."),
        Kind::Protocol => Some(
            "Something else than the service may have answered: look at its endpoint and at what stands in front of it.",
        ),
        // The message says it already, or the words of the service are all there is to say.
        Kind::Unauthorized | Kind::Conflict | Kind::Invalid | Kind::NotFound => None,
    }
}

/// A text as a sentence that another one may follow.
pub(crate) fn full(text: &str) -> String {
    let text = text.trim_end();
    if text.is_empty() || text.ends_with(['.', '!', '?']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// Turns the errors of ports into step failures.
pub(crate) trait OrFail<T> {
    fn or_fail(self) -> StepResult<T>;
}

impl<T> OrFail<T> for Result<T, PortError> {
    fn or_fail(self) -> StepResult<T> {
        self.map_err(failed)
    }
}

impl<T> OrFail<T> for Result<T, StoreError> {
    fn or_fail(self) -> StepResult<T> {
        self.map_err(|error| match &error {
            StoreError::Unavailable(_) | StoreError::Stale(_) => retryable(chain(&error)),
            _ => permanent(chain(&error)),
        })
    }
}

impl<T> OrFail<T> for Result<T, AccessError> {
    fn or_fail(self) -> StepResult<T> {
        self.map_err(|error| match error {
            AccessError::Store(error) => match Err::<(), _>(error).or_fail() {
                Err(failure) => failure,
                Ok(()) => retryable("the database could not be asked"),
            },
            AccessError::TokenSecret { ref failure, .. } if failure.class != Class::Permanent => {
                retryable(error.to_string())
            }
            other => permanent(chain(&other)),
        })
    }
}

impl<T> OrFail<T> for Result<T, IllegalTransition> {
    fn or_fail(self) -> StepResult<T> {
        self.map_err(|error| permanent(error.to_string()))
    }
}

impl<T> OrFail<T> for serde_json::Result<T> {
    fn or_fail(self) -> StepResult<T> {
        self.map_err(|error| permanent(format!("a step's record in the journal can't be read: {error}")))
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Says what was being done when it failed.
pub(crate) trait While<T> {
    fn during(self, what: impl Display) -> StepResult<T>;
}

impl<T> While<T> for StepResult<T> {
    fn during(self, what: impl Display) -> StepResult<T> {
        self.map_err(|failure| StepFailure {
            message: format!("{what} failed: {}", failure.message),
            ..failure
        })
    }
}
