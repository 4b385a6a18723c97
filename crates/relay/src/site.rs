//! Protector at one cloud.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::session::Session;
use crate::types::Identity;

/// The type of the service in Keystone's catalog.
const SERVICE: &str = "protector";

/// The newest microversion that this client speaks.
const VERSION: (&str, &str) = ("OpenStack-API-Version", "protector 1.1");

pub(crate) const STATEMENT: &str = "X-Protector-Statement";
pub(crate) const DELETED: &str = "X-Protector-Deleted";

/// A site that the user is signed in to, and that has said who it is.
#[derive(Debug)]
pub struct Site {
    session: Session,
    /// With the project: `http://host:8788/v1/<project>`.
    endpoint: String,
    identity: Identity,
}

impl Site {
    /// Find protector in the catalog and ask it who it is.
    pub async fn find(session: Session) -> Result<Self> {
        let endpoint = session.endpoint(SERVICE).await?;
        let root = root_of(&endpoint);
        let document = session.send(Method::GET, &format!("{root}/"), &[], None).await?;
        let identity = take(session.site(), "/", &document, "site")?;
        Ok(Self {
            session,
            endpoint,
            identity,
        })
    }

    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What the site is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.session.site()
    }

    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where the API is, with the project.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Call below the project's URL.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        self.call_with(method, path, &[], body).await
    }

    pub(crate) async fn call_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value> {
        let url = format!("{}{path}", self.endpoint);
        self.send(method, &url, headers, body).await
    }

    /// Call what only administrators may: it is not below a project.
    pub async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("{}/v1/admin{path}", root_of(&self.endpoint));
        self.send(method, &url, &[], body).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value> {
        let mut all = vec![VERSION];
        all.extend_from_slice(headers);
        self.session.send(method, url, &all, body).await
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, path: &str, body: &Value, field: &str) -> Result<T> {
        take(self.name(), path, body, field)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, field: &str) -> Result<T> {
        let answer = self.call(Method::GET, path, None).await?;
        self.read(path, &answer, field)
    }

    pub(crate) async fn nonce(&self, group: &str) -> Result<String> {
        let path = format!("/protection-groups/{group}/sync");
        let answer = self
            .call(Method::POST, &path, Some(&json!({"nonce": {}})))
            .await?;
        let value: Value = self.read(&path, &answer, "nonce")?;
        self.read(&path, &value, "value")
    }

    /// What this site knows of the group, as the value of a header.
    pub(crate) async fn statement(&self, group: &str, nonce: &str) -> Result<String> {
        let path = format!("/protection-groups/{group}/sync");
        let ask = json!({"statement": {"nonce": nonce}});
        let answer = self.call(Method::POST, &path, Some(&ask)).await?;
        let statement: Value = self.read(&path, &answer, "statement")?;
        Ok(header_value(&statement))
    }
}

/// A document as the value of a header.
pub(crate) fn header_value(document: &Value) -> String {
    STANDARD.encode(document.to_string())
}

fn take<T: DeserializeOwned>(site: &str, path: &str, body: &Value, field: &str) -> Result<T> {
    serde_json::from_value(body[field].clone()).map_err(|error| Error::Unexpected {
        site: site.to_owned(),
        path: path.to_owned(),
        what: format!("'{field}': {error}"),
    })
}

/// `http://host:8788/v1/<project>` without version and project. A path in front of them stays.
fn root_of(endpoint: &str) -> &str {
    endpoint
        .rfind("/v1")
        .map_or(endpoint, |at| &endpoint[..at])
        .trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_in_front_of_version_and_project() {
        assert_eq!(root_of("http://h:8788/v1/abc"), "http://h:8788");
        assert_eq!(root_of("https://h/dr/v1/abc"), "https://h/dr");
        assert_eq!(root_of("http://h:8788"), "http://h:8788");
    }

    #[test]
    fn a_document_survives_the_header() {
        let text = header_value(&json!({"nonce": "n", "epoch": 1}));
        let back: Value = serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap();
        assert_eq!(back, json!({"nonce": "n", "epoch": 1}));
    }
}
