//! Errors as an array words them.

use serde_json::{Value, json};

/// What an array answers to a call that it refuses: each object it has something to say about, and what.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{status}: {}", .errors.iter().map(|(context, text)| format!("{context}: {text}")).collect::<Vec<_>>().join("; "))]
pub struct ApiError {
    /// The HTTP status; nearly always 400, even for what doesn't exist.
    pub status: u16,
    /// Context (usually a name) and message.
    pub errors: Vec<(String, String)>,
}

impl ApiError {
    pub(super) fn new(context: impl Into<String>, message: impl Into<String>) -> Self {
        Self::with_status(400, context, message)
    }

    pub(super) fn with_status(status: u16, context: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            errors: vec![(context.into(), message.into())],
        }
    }

    pub(super) fn missing(what: &str, name: &str) -> Self {
        Self::new(name, format!("{what} does not exist."))
    }

    pub(super) fn destroyed(what: &str, name: &str) -> Self {
        Self::new(name, format!("{what} has been destroyed."))
    }

    pub(super) fn exists(what: &str, name: &str) -> Self {
        Self::new(name, format!("{what} already exists."))
    }

    pub(super) fn body(&self) -> Value {
        let errors: Vec<Value> = self
            .errors
            .iter()
            .map(|(context, message)| json!({"context": context, "message": message}))
            .collect();
        json!({ "errors": errors })
    }
}

pub(super) type ApiResult<T> = Result<T, ApiError>;
