//! What handlers take out of a request beside its body: ids of the path, the caller, what the other site said.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protector_domain::{GroupId, MemberId, OperationId, SiteId, Statement, TenantMappingId};
use protector_oslo::faults::Fault;
use protector_service::{Caller, Error};
use serde::de::DeserializeOwned;

use crate::App;
use crate::faults::{Answer, Refusal};

/// Ids in the path. A text that can't be one is an object that doesn't exist.
pub(crate) struct Ids(Vec<(String, String)>);

impl FromRequestParts<App> for Ids {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Answer<Self> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| Fault::not_found("The resource could not be found."))?;
        Ok(Ids(params
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()))
    }
}

impl Ids {
    fn get<T: FromStr>(&self, name: &str, what: &str) -> Answer<T> {
        let text = self
            .0
            .iter()
            .find(|(param, _)| param == name)
            .map_or("", |(_, value)| value.as_str());
        text.parse().map_err(|_| {
            let shown: String = text.chars().take(80).collect();
            Error::not_found(what, shown.escape_debug()).into()
        })
    }

    pub fn site(&self) -> Answer<SiteId> {
        self.get("site", "site")
    }

    pub fn group(&self) -> Answer<GroupId> {
        self.get("group", "protection group")
    }

    pub fn member(&self) -> Answer<MemberId> {
        self.get("member", "member")
    }

    pub fn operation(&self) -> Answer<OperationId> {
        self.get("operation", "operation")
    }

    pub fn mapping(&self) -> Answer<TenantMappingId> {
        self.get("mapping", "tenant mapping")
    }
}

/// The caller that the guard let in.
pub(crate) struct By(pub Caller);

impl FromRequestParts<App> for By {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Answer<Self> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller
            .map(By)
            .ok_or_else(|| Fault::forbidden("The route needs a token of a project.").into())
    }
}

pub(crate) const STATEMENT: &str = "x-protector-statement";
pub(crate) const DELETED: &str = "x-protector-deleted";

/// What a header carries as base64 of JSON.
pub(crate) fn carried<T: DeserializeOwned>(
    headers: &HeaderMap,
    name: &str,
    shown: &str,
) -> Answer<Option<T>> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let wrong = |why: &str| Fault::bad_request(format!("The header {shown} is not valid: {why}."));
    let bytes = STANDARD
        .decode(value.as_bytes().trim_ascii())
        .map_err(|_| wrong("it must be base64 of JSON"))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| wrong(&error.to_string()).into())
}

/// The other site's statement, without which nothing is changed.
pub(crate) struct Peer(pub Statement);

impl FromRequestParts<App> for Peer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Answer<Self> {
        statement(&parts.headers).map(Peer)
    }
}

pub(crate) fn statement(headers: &HeaderMap) -> Answer<Statement> {
    carried(headers, STATEMENT, "X-Protector-Statement")?.ok_or_else(|| {
        Fault::bad_request(
            "The header X-Protector-Statement is missing: a modification needs what the other site answers to a nonce of this one.",
        )
        .into()
    })
}
