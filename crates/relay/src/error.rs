//! What can go wrong, told in the API's own words where it has any.

use serde_json::Value;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No HTTP client can be made on this machine.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    /// Nothing came back.
    #[error("{site} does not answer at {url}")]
    Unreachable {
        site: String,
        url: String,
        #[source]
        source: reqwest::Error,
    },
    /// The service said no; `body` has what stands beside the message.
    #[error("{site}: {message} (HTTP {status}, {method} {path})")]
    Refused {
        site: String,
        status: u16,
        method: String,
        path: String,
        message: String,
        body: Box<Value>,
    },
    /// The answer is not what the API's description says.
    #[error("{site} answered {path} with something else than described: {what}")]
    Unexpected {
        site: String,
        path: String,
        what: String,
    },
    /// The catalog lacks a service.
    #[error("the catalog of {site} has no service of type '{service}' in the interface public")]
    NoEndpoint { site: String, service: String },
    /// A thing didn't become what was waited for.
    #[error("{0}")]
    Stuck(String),
}

impl Error {
    /// The status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// A field that stands beside code and message in a refusal, such as `current_primary_site_id`.
    #[must_use]
    pub fn beside(&self, field: &str) -> Option<&str> {
        let Self::Refused { body, .. } = self else {
            return None;
        };
        let fault = body.as_object()?.values().next()?;
        fault.get(field).or_else(|| body.get(field))?.as_str()
    }
}

/// The message of an OpenStack fault: `{"itemNotFound": {"message": ...}}`, Keystone's and Neutron's forms too.
pub(crate) fn message_of(body: &Value, raw: &str) -> String {
    let found = body
        .as_object()
        .and_then(|fields| fields.values().find_map(|fault| fault.get("message")))
        .or_else(|| body.get("message"))
        .and_then(Value::as_str);
    match found {
        Some(message) => message.to_owned(),
        None if raw.trim().is_empty() => "no reason given".to_owned(),
        None => raw.trim().chars().take(300).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(body: Value) -> Error {
        Error::Refused {
            site: "site-a".into(),
            status: 409,
            method: "POST".into(),
            path: "/sync".into(),
            message: message_of(&body, ""),
            body: Box::new(body),
        }
    }

    #[test]
    fn a_refusal_carries_the_message_and_what_stands_beside_it() {
        let error = refused(json!({"conflict": {
            "code": 409, "message": "Not here.", "current_primary_site_id": "b"
        }}));
        assert_eq!(error.to_string(), "site-a: Not here. (HTTP 409, POST /sync)");
        assert_eq!(error.beside("current_primary_site_id"), Some("b"));
        assert_eq!(error.beside("sync_status"), None);
        assert_eq!(error.status(), Some(409));
    }

    #[test]
    fn an_answer_that_is_no_fault_is_shown_as_it_is() {
        assert_eq!(
            message_of(&Value::Null, " <html>bad gateway "),
            "<html>bad gateway"
        );
        assert_eq!(message_of(&Value::Null, ""), "no reason given");
        assert_eq!(message_of(&json!({"message": "top"}), "x"), "top");
    }
}
