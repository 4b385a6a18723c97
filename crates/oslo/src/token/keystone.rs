//! The validator: a cache in front of Keystone, one question at a time about the same token, one sign-in at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use moka::Expiry;
use moka::future::Cache;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::client::{KeystoneClient, Verdict};
use super::settings::{KeystoneSettings, SettingsError};
use super::{Identity, LOG, TokenError, TokenValidator};

/// A refused token may be one that another Keystone node doesn't know yet, so a refusal is kept only long enough
/// to shield Keystone from a client in a tight loop.
const REFUSAL_KEPT: Duration = Duration::from_secs(5);
/// After a failed sign-in, requests fail at once for a moment: each attempt counts towards a lock-out in Keystone.
const SIGN_IN_PAUSE: Duration = Duration::from_secs(2);
const CACHED_TOKENS: u64 = 10_000;
/// Longer than any token; not worth a question.
const LONGEST_TOKEN: usize = 16 * 1024;

/// The cache holds no token: its key is a hash.
type Key = [u8; 32];

#[derive(Clone)]
enum Known {
    Valid(Arc<Identity>),
    Invalid,
}

/// Keeps an answer for the configured time, but not beyond the token's own end.
struct Lifetime(Duration);

impl Expiry<Key, Known> for Lifetime {
    fn expire_after_create(&self, _key: &Key, known: &Known, _now: Instant) -> Option<Duration> {
        Some(match known {
            Known::Valid(identity) => self.0.min(
                (identity.expires_at - Utc::now())
                    .to_std()
                    .unwrap_or(Duration::ZERO),
            ),
            Known::Invalid => self.0.min(REFUSAL_KEPT),
        })
    }
}

/// Our own token, numbered so that many requests that saw the same one refused renew it once.
#[derive(Default)]
struct Own {
    token: Option<SecretString>,
    generation: u64,
    failed: Option<(Instant, TokenError)>,
}

pub struct KeystoneValidator {
    client: KeystoneClient,
    own: Mutex<Own>,
    cache: Cache<Key, Known>,
}

impl KeystoneValidator {
    pub fn new(settings: KeystoneSettings) -> Result<Self, SettingsError> {
        let cache = Cache::builder()
            .max_capacity(CACHED_TOKENS)
            .expire_after(Lifetime(settings.cache_time))
            .build();
        Ok(KeystoneValidator {
            client: KeystoneClient::new(settings)?,
            own: Mutex::default(),
            cache,
        })
    }

    /// The token to use, other than the one of generation `refused`.
    async fn own_token(&self, refused: Option<u64>) -> Result<(SecretString, u64), TokenError> {
        let mut own = self.own.lock().await;
        if refused == Some(own.generation) {
            own.token = None;
        }
        if let Some(token) = &own.token {
            return Ok((token.clone(), own.generation));
        }
        if let Some((when, error)) = &own.failed
            && when.elapsed() < SIGN_IN_PAUSE
        {
            return Err(error.clone());
        }
        match self.client.sign_in().await {
            Ok(token) => {
                own.generation += 1;
                own.failed = None;
                own.token = Some(token.clone());
                Ok((token, own.generation))
            }
            Err(error) => {
                own.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn ask(&self, token: &SecretString) -> Result<Known, TokenError> {
        let (own, generation) = self.own_token(None).await?;
        let verdict = match self.client.ask(&own, token).await? {
            Verdict::OwnTokenRefused => {
                tracing::warn!(target: LOG, "Identity response: {}; signing in again", StatusCode::UNAUTHORIZED);
                let (own, _) = self.own_token(Some(generation)).await?;
                self.client.ask(&own, token).await?
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Valid(identity) if identity.expires_at > Utc::now() => {
                self.look_for_us(&identity.catalog);
                Ok(Known::Valid(Arc::from(identity)))
            }
            Verdict::Valid(_) => Ok(Known::Invalid),
            Verdict::Invalid => {
                // Asked of another site's Keystone, every token is unknown: that must show here.
                tracing::warn!(
                    target: LOG,
                    "Identity response: Keystone at {} doesn't know the caller's token: it is expired or revoked, or was issued by another Keystone; where all of them are unknown, check auth_url in [keystone_authtoken]",
                    self.client.settings().auth_url
                );
                Ok(Known::Invalid)
            }
            Verdict::OwnTokenRefused => Err(self
                .client
                .refused(StatusCode::UNAUTHORIZED, "a token that it has just issued to us")),
        }
    }

    /// Clients find a service by the catalog: a service that isn't there gets requests from nobody but experts.
    fn look_for_us(&self, catalog: &Value) {
        let (Some(wanted), Some(services)) = (&self.client.settings().service_type, catalog.as_array())
        else {
            return;
        };
        let ours = |service: &Value| service.get("type").and_then(Value::as_str) == Some(wanted);
        if !services.is_empty() && !services.iter().any(ours) {
            tracing::error!(target: LOG, "Could not find endpoint for service '{wanted}' in catalog");
        }
    }
}

#[async_trait::async_trait]
impl TokenValidator for KeystoneValidator {
    async fn validate(&self, token: &SecretString) -> Result<Arc<Identity>, TokenError> {
        if token.expose_secret().is_empty() || token.expose_secret().len() > LONGEST_TOKEN {
            return Err(TokenError::Invalid);
        }
        let key: Key = Sha256::digest(token.expose_secret().as_bytes()).into();
        let known = self.cache.try_get_with(key, self.ask(token)).await;
        match known {
            Ok(Known::Valid(identity)) if identity.expires_at > Utc::now() => Ok(identity),
            Ok(_) => Err(TokenError::Invalid),
            Err(error) => Err((*error).clone()),
        }
    }
}
