//! The one place where a refusal becomes an answer: an OpenStack fault, with the facts that clients act on inside.

use std::error::Error as StdError;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protector_oslo::faults::{self, Fault};
use protector_service::Error;
use serde_json::{Map, Value, json};

/// What a handler answers when it doesn't answer what was asked.
#[derive(Debug)]
pub struct Refusal {
    fault: Fault,
    facts: Option<Box<Map<String, Value>>>,
}

pub type Answer<T> = Result<T, Refusal>;

impl Refusal {
    pub fn status(&self) -> StatusCode {
        self.fault.status()
    }

    pub fn message(&self) -> &str {
        self.fault.message()
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, facts: None }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { message } => Fault::not_found(message).into(),
            Error::Invalid(message) => Fault::bad_request(message).into(),
            Error::Forbidden(message) => Fault::forbidden(message).into(),
            Error::Conflict { message, facts } => Refusal {
                fault: Fault::conflict(message),
                facts: Some(Box::new(facts)),
            },
            Error::Unavailable { .. } => {
                tracing::warn!("503 Service Unavailable: {}", chain(&error));
                Fault::unavailable(error.to_string()).into()
            }
            Error::Internal(_) => {
                tracing::error!("{}", chain(&error));
                internal().into()
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Some(facts) = self.facts else {
            return self.fault.into_response();
        };
        let status = self.fault.status();
        let mut inner = Map::new();
        inner.insert("code".to_owned(), json!(status.as_u16()));
        inner.insert("message".to_owned(), json!(self.fault.message()));
        inner.extend(*facts);
        let mut body = Map::new();
        body.insert(faults::name(status).to_owned(), Value::Object(inner));
        (status, axum::Json(body)).into_response()
    }
}

/// Says nothing: the log has it, under the request's id.
pub(crate) fn internal() -> Fault {
    Fault::internal().named("protectorFault")
}

/// The error with all its causes, without saying anything twice.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_beside_code_and_message() {
        let refusal: Refusal = Error::conflict("Go there.").with("sync_status", "pending").into();
        assert_eq!(refusal.status(), StatusCode::CONFLICT);
        assert_eq!(refusal.facts.unwrap()["sync_status"], "pending");
    }

    #[test]
    fn an_internal_error_tells_nothing() {
        let refusal: Refusal = Error::Internal("a secret".into()).into();
        assert_eq!(refusal.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!refusal.message().contains("secret"));
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        let io = std::io::Error::other("disk full");
        let error = Error::Unavailable {
            message: "The database does not answer".into(),
            source: Some(Box::new(io)),
        };
        assert_eq!(chain(&error), "The database does not answer: disk full");
    }
}
