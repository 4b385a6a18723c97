//! The two calls to Keystone: signing in ourselves, and asking about a caller's token.

use reqwest::header::HeaderValue;
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::identity::{Body, Identity};
use super::settings::{KeystoneSettings, SettingsError};
use super::{LOG, TokenError};

/// Catalogs of large clouds stay far below; a runaway answer must not fill the memory.
const LARGEST: usize = 4 * 1024 * 1024;

pub(super) struct KeystoneClient {
    http: Client,
    settings: KeystoneSettings,
}

/// What Keystone said about a caller's token.
pub(super) enum Verdict {
    Valid(Box<Identity>),
    Invalid,
    /// It doesn't accept *our* token.
    OwnTokenRefused,
}

impl KeystoneClient {
    pub fn new(settings: KeystoneSettings) -> Result<Self, SettingsError> {
        let mut builder = Client::builder()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.request_timeout)
            // A redirect would carry our token to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(path) = &settings.cafile {
            let pem = std::fs::read(path).map_err(|source| SettingsError::CaFile {
                path: path.clone(),
                source,
            })?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if authorities.is_empty() {
                return Err(SettingsError::NoCertificate { path: path.clone() });
            }
            builder = builder.tls_certs_only(authorities);
        }
        if settings.insecure {
            tracing::warn!(target: LOG, "[keystone_authtoken] insecure is set: Keystone's certificate is not checked");
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        let http = builder.build().map_err(SettingsError::Client)?;
        Ok(KeystoneClient { http, settings })
    }

    pub fn settings(&self) -> &KeystoneSettings {
        &self.settings
    }

    fn url(&self) -> String {
        format!("{}/auth/tokens", self.settings.auth_url)
    }

    /// A token of our own.
    pub async fn sign_in(&self) -> Result<SecretString, TokenError> {
        let own = &self.settings;
        let request = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": own.username,
                "domain": {"name": own.user_domain_name},
                "password": own.password.expose_secret(),
            }}},
            "scope": {"project": {
                "name": own.project_name,
                "domain": {"name": own.project_domain_name},
            }},
        }});
        let response = self
            .http
            .post(self.url())
            .query(&[("nocatalog", "")])
            .json(&request)
            .send()
            .await
            .map_err(|e| self.unreachable(&e))?;
        if response.status() != StatusCode::CREATED {
            return Err(self.refused(response.status(), "the sign-in of the service's own user"));
        }
        let token = response
            .headers()
            .get("x-subject-token")
            .and_then(|value| value.to_str().ok());
        token
            .map(SecretString::from)
            .ok_or_else(|| self.misunderstood("it sent no X-Subject-Token"))
    }

    pub async fn ask(&self, own: &SecretString, token: &SecretString) -> Result<Verdict, TokenError> {
        let (Some(own), Some(subject)) = (sensitive(own), sensitive(token)) else {
            return Ok(Verdict::Invalid);
        };
        let response = self
            .http
            .get(self.url())
            .header("X-Auth-Token", own)
            .header("X-Subject-Token", subject)
            .header("OpenStack-Identity-Access-Rules", "1.0")
            .send()
            .await
            .map_err(|e| self.unreachable(&e))?;
        match response.status() {
            StatusCode::OK => {
                let bytes = self.read(response).await?;
                let body: Body = serde_json::from_slice(&bytes)
                    .map_err(|_| self.misunderstood("its answer is no token document"))?;
                Ok(Verdict::Valid(Box::new(body.into())))
            }
            StatusCode::NOT_FOUND => Ok(Verdict::Invalid),
            StatusCode::UNAUTHORIZED => Ok(Verdict::OwnTokenRefused),
            status => Err(self.refused(status, "validating a token")),
        }
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, TokenError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(&e))? {
            if bytes.len() + chunk.len() > LARGEST {
                return Err(self.misunderstood("its answer is too large"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Says in the log, and in the error, what an operator has to look at.
    pub fn refused(&self, status: StatusCode, what: &str) -> TokenError {
        let own = &self.settings;
        let remedy = match status {
            StatusCode::UNAUTHORIZED => "check username, password and project_name in [keystone_authtoken]",
            StatusCode::FORBIDDEN => "give that user the role admin (or service) in that project",
            StatusCode::NOT_FOUND => "check auth_url in [keystone_authtoken]",
            _ => "look at Keystone's own log",
        };
        tracing::warn!(target: LOG, "Identity response: {status}");
        tracing::error!(
            target: LOG,
            "Unable to validate token: Keystone at {} refused {what} (user {}, project {}): {remedy}",
            own.auth_url, own.username, own.project_name,
        );
        TokenError::Unavailable(format!(
            "Keystone at {} answered {status} to {what}",
            own.auth_url
        ))
    }

    fn misunderstood(&self, what: &str) -> TokenError {
        tracing::error!(target: LOG, "Unable to validate token: Keystone at {}: {what}", self.settings.auth_url);
        TokenError::Unavailable(format!("Keystone at {}: {what}", self.settings.auth_url))
    }

    fn unreachable(&self, error: &reqwest::Error) -> TokenError {
        let why = innermost(error);
        tracing::error!(
            target: LOG,
            "Unable to validate token: Failed to fetch token data from identity server at {}: {why}",
            self.settings.auth_url,
        );
        TokenError::Unavailable(format!(
            "Keystone at {} cannot be reached: {why}",
            self.settings.auth_url
        ))
    }
}

/// A header value that no debug output shows; `None` for what can't stand in a header, and so is no token.
fn sensitive(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(token.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The last cause says `Connection refused`, while the first one only says that sending failed.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
