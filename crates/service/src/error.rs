//! Why a use case refused. One place (the API's faults) turns this into HTTP.

use std::fmt::Display;

use protector_domain::{BundleError, IllegalTransition, InvalidId};
use protector_ports::{AccessError, Class, Kind, PortError, StoreError};
use serde_json::{Map, Value};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{message}")]
    NotFound { message: String },
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Forbidden(String),
    /// `facts` go beside the fault's message, for clients that act on them.
    #[error("{message}")]
    Conflict {
        message: String,
        facts: Map<String, Value>,
    },
    /// Somebody we depend on is away.
    #[error("{message}")]
    Unavailable {
        message: String,
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    #[error("an internal error; the log has more")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub fn not_found(what: &str, id: impl Display) -> Self {
        Self::NotFound {
            message: format!("No {what} with the id '{id}' exists."),
        }
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict {
            message: message.into(),
            facts: Map::new(),
        }
    }

    /// Adds a fact for clients to a conflict.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Self::Conflict { facts, .. } = &mut self {
            facts.insert(key.to_owned(), value.into());
        }
        self
    }
}

/// The fact that nothing stood in a change's way but another one that came first.
const OVERTAKEN: &str = "overtaken";

impl Error {
    fn is_overtaken(&self) -> bool {
        matches!(self, Self::Conflict { facts, .. } if facts.contains_key(OVERTAKEN))
    }
}

/// An engine writes at any time what it sees of a group. Where that makes no difference to what somebody brings, it is
/// stored on top.
pub(crate) async fn on_top<T, F>(attempt: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    const TRIES: usize = 8;
    for _ in 1..TRIES {
        match attempt().await {
            Err(error) if error.is_overtaken() => {}
            other => return other,
        }
    }
    attempt().await
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale(_) => Self::conflict(sentence(&error.to_string())).with(OVERTAKEN, true),
            StoreError::Exists(_) | StoreError::InUse(_) | StoreError::Busy(_) | StoreError::Nonce => {
                Self::conflict(sentence(&error.to_string()))
            }
            StoreError::Missing(_) => Self::NotFound {
                message: sentence(&error.to_string()),
            },
            StoreError::Unavailable(_) => Self::Unavailable {
                message: "The database does not answer; try again.".into(),
                source: Some(Box::new(error)),
            },
            StoreError::Fenced | StoreError::Corrupt(_) => Self::Internal(Box::new(error)),
        }
    }
}

impl From<AccessError> for Error {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Store(error) => error.into(),
            AccessError::TokenSecret { ref failure, .. } if failure.class != Class::Permanent => {
                Self::Unavailable {
                    message: sentence(&error.to_string()),
                    source: None,
                }
            }
            other => Self::conflict(sentence(&other.to_string())),
        }
    }
}

impl From<PortError> for Error {
    fn from(error: PortError) -> Self {
        match error.kind {
            Kind::NotFound => Self::NotFound {
                message: error.message,
            },
            Kind::Forbidden => Self::Forbidden(error.message),
            Kind::Quota | Kind::Conflict => Self::conflict(error.message),
            Kind::Invalid => Self::Invalid(error.message),
            Kind::Unauthorized | Kind::Unavailable | Kind::Protocol => Self::Unavailable {
                message: error.message.clone(),
                source: Some(Box::new(error)),
            },
        }
    }
}

impl From<IllegalTransition> for Error {
    fn from(error: IllegalTransition) -> Self {
        Self::conflict(sentence(&error.to_string()))
    }
}

impl From<InvalidId> for Error {
    fn from(error: InvalidId) -> Self {
        Self::Invalid(sentence(&error.to_string()))
    }
}

impl From<BundleError> for Error {
    fn from(error: BundleError) -> Self {
        Self::Invalid(sentence(&error.to_string()))
    }
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    let stop = if text.ends_with(['.', '!', '?', '`']) {
        ""
    } else {
        "."
    };
    format!("{}{}{stop}", first.to_uppercase(), chars.as_str())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_was_overtaken_is_done_again_and_anything_else_is_told() {
        let tried = AtomicU32::new(0);
        let overtaken = || Error::from(StoreError::Stale("web".into()));
        let attempt = async || match tried.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Err(overtaken()),
            n => Ok(n),
        };
        assert_eq!(on_top(attempt).await.unwrap(), 2);
        tried.store(0, Ordering::Relaxed);
        let refused = async || {
            tried.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(Error::conflict("No."))
        };
        assert_eq!(on_top(refused).await.unwrap_err().to_string(), "No.");
        assert_eq!(tried.load(Ordering::Relaxed), 1);
        let always = async || Err::<(), _>(overtaken());
        assert!(on_top(always).await.unwrap_err().is_overtaken());
    }
}
