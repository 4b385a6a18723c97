//! The one place where an error becomes an HTTP answer, and where its causes are logged.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protector_oslo::faults::{Fault as Plain, name};
use protector_service::Error;
use serde_json::{Map, Value, json};

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Fault {
    status: StatusCode,
    message: String,
    /// What clients act on, beside code and message.
    facts: Map<String, Value>,
}

pub(crate) type Answer<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), facts: Map::new() }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match &error {
            Error::Unavailable { .. } => tracing::warn!(cause = chain(&error), "a request could not be served"),
            Error::Internal(_) => tracing::error!(cause = chain(&error), "a request failed"),
            other => tracing::info!(reason = %other, "a request was refused"),
        }
        match error {
            Error::NotFound { message } => Self::new(StatusCode::NOT_FOUND, message),
            Error::Invalid(message) => Self::bad_request(message),
            Error::Forbidden(message) => Self::new(StatusCode::FORBIDDEN, message),
            Error::Conflict { message, facts } => Self { facts, ..Self::new(StatusCode::CONFLICT, message) },
            Error::Unavailable { message, .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, message),
            Error::Internal(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, Plain::internal().message()),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let word = if self.status == StatusCode::INTERNAL_SERVER_ERROR { "protectorFault" } else { name(self.status) };
        let mut inner = self.facts;
        inner.insert("code".to_owned(), json!(self.status.as_u16()));
        inner.insert("message".to_owned(), json!(self.message));
        let mut body = Map::new();
        body.insert(word.to_owned(), Value::Object(inner));
        (self.status, axum::Json(body)).into_response()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
