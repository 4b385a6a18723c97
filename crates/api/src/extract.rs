//! Taking requests apart: strictly, and with words that say what is wrong.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protector_domain::Statement;
use protector_oslo::faults::Fault as Plain;
use protector_ports::store::Page;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::faults::{Answer, Fault};

/// A JSON body of the wanted shape, whatever its content type says.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error| {
            let status = error.status();
            let message = if status == StatusCode::PAYLOAD_TOO_LARGE { "The body is too large.".to_owned() } else { "The body could not be read.".to_owned() };
            Plain::new(status, message).into_response()
        })?;
        serde_json::from_slice(&bytes).map(Body).map_err(|error| Fault::bad_request(format!("The body is not what this call takes: {error}.")).into_response())
    }
}

/// An id of the path; one that can't be an id names nothing.
pub(crate) fn id<T: std::str::FromStr>(what: &str, text: &str) -> Answer<T> {
    text.parse().map_err(|_| Fault::not_found(format!("No {what} with the id '{}' exists.", text.chars().take(80).collect::<String>())))
}

/// The peer's statement, which every modification brings along.
pub(crate) fn statement(headers: &HeaderMap) -> Answer<Statement> {
    from_header(headers, "x-protector-statement")?.ok_or_else(|| {
        Fault::bad_request(
            "A change of a protection group needs the other site's statement in the header X-Protector-Statement: the command line and the dashboard bring it.",
        )
    })
}

/// JSON in base64 in a header.
pub(crate) fn from_header<T: DeserializeOwned>(headers: &HeaderMap, name: &str) -> Answer<Option<T>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let unreadable = || Fault::bad_request(format!("The header {name} is not base64 of the JSON that it should hold."));
    let bytes = STANDARD.decode(value.as_bytes()).map_err(|_| unreadable())?;
    serde_json::from_slice(&bytes).map(Some).map_err(|_| unreadable())
}

/// The usual questions of a list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListQuery {
    limit: Option<String>,
    marker: Option<String>,
    sort_key: Option<String>,
    sort_dir: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) operation_type: Option<String>,
    pub(crate) protection_group_id: Option<String>,
}

const MAX_LIMIT: usize = 1000;

impl ListQuery {
    pub(crate) fn page(&self) -> Answer<Page> {
        let ascending = match self.sort_dir.as_deref() {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(other) => return Err(Fault::bad_request(format!("sort_dir is 'asc' or 'desc', not '{other}'."))),
        };
        Ok(Page { limit: Some(self.limit()?.unwrap_or(MAX_LIMIT)), marker: self.marker.clone(), sort_key: self.sort_key.clone(), ascending })
    }

    pub(crate) fn limit(&self) -> Answer<Option<usize>> {
        match &self.limit {
            None => Ok(None),
            Some(text) => match text.parse::<usize>() {
                Ok(limit) if limit > 0 => Ok(Some(limit.min(MAX_LIMIT))),
                _ => Err(Fault::bad_request(format!("limit is a number greater than zero, not '{text}'."))),
            },
        }
    }
}
