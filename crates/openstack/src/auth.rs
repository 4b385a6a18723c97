//! Tokens: obtained, kept while they are good, renewed early.
//!
//! A token is kept under a hash of everything that it was obtained with, so that nobody is ever served with
//! another's. Whoever needs a token that is being fetched waits for that one fetch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, Method};
use protector_domain::{ProjectId, UserId};
use protector_ports::cloud::{Access, Actor, Credentials};
use protector_ports::{Kind, PortError, PortResult};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::catalog::{self, Catalog};
use crate::failure::{Ask, Service};
use crate::transport::{Answer, Exchange, Transport};
use crate::wire::identity as wire;

/// A token this close to its end isn't used any more.
const RENEW_BEFORE: Duration = Duration::from_secs(60);
/// How long a caller's token is trusted without looking again.
const LOOK_AGAIN: Duration = Duration::from_secs(300);
/// Tokens kept at once; far more than sites times groups.
const MAX_KEPT: usize = 4096;

pub(crate) struct Token {
    /// Marked sensitive: prints as nothing.
    pub header: HeaderValue,
    /// The same, to be struck out of what a service says.
    pub value: SecretString,
    pub user_id: UserId,
    pub project_id: ProjectId,
    pub roles: Vec<String>,
    pub catalog: Catalog,
    /// By Keystone's clock.
    pub issued_at: Option<DateTime<Utc>>,
    obtained_at: Instant,
    renew_at: Instant,
}

impl Token {
    /// Whether the roles in it may have been changed since.
    pub fn may_be_outdated(&self) -> bool {
        self.obtained_at.elapsed() > Duration::from_secs(30)
    }
}

/// The place of one actor's token. The lock is held while it is fetched.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Token>>>>;

#[derive(Default)]
pub(crate) struct Tokens {
    slots: Mutex<HashMap<[u8; 32], Slot>>,
}

impl Tokens {
    pub async fn get(
        &self,
        transport: &Transport,
        access: &Access,
        deadline: Instant,
    ) -> PortResult<Arc<Token>> {
        let slot = self.slot(access);
        let Ok(mut held) = tokio::time::timeout_at(deadline, slot.lock()).await else {
            return Err(PortError::retryable(format!(
                "Keystone at {} did not answer \"sign in\" in time.",
                access.site_name
            )));
        };
        if let Some(token) = held.as_ref()
            && Instant::now() < token.renew_at
        {
            return Ok(token.clone());
        }
        *held = None;
        let token = Arc::new(fetch(transport, access, deadline).await?);
        *held = Some(token.clone());
        Ok(token)
    }

    /// A token of this moment: whether credentials and trusts still hold, no kept token can tell. (A caller's
    /// token is what it is; the middleware has just looked at it.)
    pub async fn fresh(
        &self,
        transport: &Transport,
        access: &Access,
        deadline: Instant,
    ) -> PortResult<Arc<Token>> {
        if matches!(access.actor, Actor::User { .. }) {
            return self.get(transport, access, deadline).await;
        }
        let fetched = fetch(transport, access, deadline).await.map(Arc::new);
        let slot = self.slot(access);
        if let Ok(mut held) = tokio::time::timeout_at(deadline, slot.lock()).await {
            match &fetched {
                Ok(token) => *held = Some(token.clone()),
                Err(error) if error.is(Kind::Unauthorized) => *held = None,
                // A Keystone that is down takes nobody's token away.
                Err(_) => {}
            }
        }
        fetched
    }

    /// Drops a token that a service didn't accept, unless another has taken its place already.
    pub async fn forget(&self, access: &Access, refused: &Arc<Token>, deadline: Instant) {
        let slot = self.slot(access);
        // Whoever holds the place that long is fetching another already.
        let Ok(mut held) = tokio::time::timeout_at(deadline, slot.lock()).await else {
            return;
        };
        if held.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused)) {
            *held = None;
        }
    }

    fn slot(&self, access: &Access) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_KEPT {
            let now = Instant::now();
            // A slot that is locked is being filled: keep it.
            slots.retain(|_, slot| {
                slot.try_lock().map_or(true, |held| {
                    held.as_ref().is_some_and(|token| now < token.renew_at)
                })
            });
            if slots.len() >= MAX_KEPT {
                slots.clear();
            }
        }
        slots.entry(key(access)).or_default().clone()
    }
}

fn key(access: &Access) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(access.auth_url.trim().trim_end_matches('/'));
    let add_credentials = |add: &mut dyn FnMut(&str), credentials: &Credentials| {
        add(&credentials.username);
        add(&credentials.user_domain_name);
        add(&credentials.project_name);
        add(&credentials.project_domain_name);
        add(credentials.password.expose_secret());
    };
    match &access.actor {
        Actor::Service(credentials) => {
            add("service");
            add_credentials(&mut add, credentials);
        }
        Actor::Trust { trustee, trust_id } => {
            add("trust");
            add(trust_id.expose_secret());
            add_credentials(&mut add, trustee);
        }
        Actor::User { token, project_id } => {
            add("user");
            add(token.expose_secret());
            add(project_id.as_str());
        }
    }
    hash.finalize().into()
}

async fn fetch(transport: &Transport, access: &Access, deadline: Instant) -> PortResult<Token> {
    match &access.actor {
        Actor::Service(credentials) => {
            let scope = json!({"project": {
                "name": credentials.project_name, "domain": {"name": credentials.project_domain_name}
            }});
            let signed_in = sign_in(transport, access, credentials, scope, &[], deadline).await;
            signed_in.map_err(|error| unknown_service(error, access))
        }
        Actor::Trust { trustee, trust_id } => {
            let scope = json!({"OS-TRUST:trust": {"id": trust_id.expose_secret()}});
            let signed_in = sign_in(transport, access, trustee, scope, &[trust_id], deadline).await;
            signed_in.map_err(|error| untrusted(error, access))
        }
        Actor::User { token, .. } => look_at(transport, access, token, deadline).await,
    }
}

async fn sign_in(
    transport: &Transport,
    access: &Access,
    credentials: &Credentials,
    scope: Value,
    secrets: &[&SecretString],
    deadline: Instant,
) -> PortResult<Token> {
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": credentials.username,
            "domain": {"name": credentials.user_domain_name},
            "password": credentials.password.expose_secret(),
        }}},
        "scope": scope,
    }});
    let mut ask = ask(access, "sign in");
    ask.secrets.push(&credentials.password);
    ask.secrets.extend_from_slice(secrets);
    let exchange = Exchange {
        method: Method::POST,
        url: tokens_url(access)?,
        shown_path: "/v3/auth/tokens",
        headers: HeaderMap::new(),
        body: Some(body.to_string().into_bytes()),
        longest: None,
    };
    let answer = transport.exchange(access.site, &ask, exchange, deadline).await?;
    if !answer.status.is_success() {
        return Err(not_signed_in(ask.refused(&answer)));
    }
    let header = answer
        .subject_token
        .clone()
        .ok_or_else(|| ask.nonsense(&answer, "no X-Subject-Token"))?;
    read(&ask, &answer, header, None)
}

/// A caller's token says itself who it is; nobody else's rights are needed to look.
async fn look_at(
    transport: &Transport,
    access: &Access,
    token: &SecretString,
    deadline: Instant,
) -> PortResult<Token> {
    let mut ask = ask(access, "look at the caller's token");
    ask.secrets.push(token);
    let unusable = || {
        PortError::permanent(
            Kind::Unauthorized,
            "The caller's token is not in the form of a token.",
        )
    };
    let mut header = HeaderValue::from_str(token.expose_secret()).map_err(|_| unusable())?;
    header.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert("x-auth-token", header.clone());
    headers.insert("x-subject-token", header.clone());
    let exchange = Exchange {
        method: Method::GET,
        url: tokens_url(access)?,
        shown_path: "/v3/auth/tokens",
        headers,
        body: None,
        longest: None,
    };
    let answer = transport.exchange(access.site, &ask, exchange, deadline).await?;
    if !answer.status.is_success() {
        return Err(not_signed_in(ask.refused(&answer)));
    }
    read(&ask, &answer, header, Some(LOOK_AGAIN))
}

/// Keystone answers a trust that died in three ways: 401 (gone, expired), 403 (a role of it was taken away,
/// the trustor is disabled) and 404. All say that our credentials are not good for this any more.
fn not_signed_in(mut error: PortError) -> PortError {
    if matches!(error.kind, Kind::Forbidden | Kind::NotFound) {
        error.kind = Kind::Unauthorized;
    }
    error
}

fn unknown_service(mut error: PortError, access: &Access) -> PortError {
    if error.is(Kind::Unauthorized) {
        error.message = format!(
            "{}. The protector user of site '{}' is not let in with the credentials that are known here: the site's own protector.conf has them in [keystone_authtoken], and the other site is given them with `openstack protector site set`.",
            error.message, access.site_name
        );
    }
    error
}

/// The trustor is gone or lost his role, the trust was deleted, or the password is wrong: Keystone doesn't tell
/// these apart, so all are named.
fn untrusted(mut error: PortError, access: &Access) -> PortError {
    if error.is(Kind::Unauthorized) {
        error.message = format!(
            "The tenant's trust at site '{}' gives no token any more: its user was deleted, disabled or lost his role, or the trust was removed ({}). Any member of the project renews it with `openstack protector protection-group sync-force`, signed in with a password.",
            access.site_name, error.message
        );
    }
    error
}

fn read(
    ask: &Ask<'_>,
    answer: &Answer,
    mut header: HeaderValue,
    at_most: Option<Duration>,
) -> PortResult<Token> {
    header.set_sensitive(true);
    let token = serde_json::from_slice::<wire::TokenBody>(&answer.body)
        .map_err(|error| ask.nonsense(answer, &error.to_string()))?
        .token;
    let Some(project) = token.project else {
        return Err(PortError::permanent(
            Kind::Invalid,
            format!("Keystone at {} gave a token that is not for a project.", ask.site),
        ));
    };
    // Counted from its issue by Keystone's own clock, so that ours may differ.
    let issued = token.issued_at.unwrap_or_else(Utc::now);
    let mut life = lifetime(issued, token.expires_at);
    if let Some(at_most) = at_most {
        // Looked at long after its issue: only the end counts.
        life = lifetime(Utc::now(), token.expires_at).min(at_most + RENEW_BEFORE);
    }
    let value = header
        .to_str()
        .map_err(|_| ask.nonsense(answer, "a token that is not text"))?;
    Ok(Token {
        value: SecretString::from(value.to_owned()),
        header,
        user_id: token.user.id,
        project_id: project.id,
        roles: token
            .roles
            .unwrap_or_default()
            .into_iter()
            .map(|role| role.name)
            .collect(),
        catalog: token.catalog.unwrap_or_default(),
        issued_at: token.issued_at,
        obtained_at: Instant::now(),
        renew_at: Instant::now() + life.saturating_sub(RENEW_BEFORE),
    })
}

fn lifetime(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    // Nothing is kept for more than a day, whatever a Keystone says.
    (to - from)
        .to_std()
        .unwrap_or_default()
        .min(Duration::from_secs(86_400))
}

fn ask<'a>(access: &'a Access, what: &'static str) -> Ask<'a> {
    // A token that nobody got changes nothing.
    Ask {
        service: Service::Identity,
        site: &access.site_name,
        what,
        changes: false,
        secrets: Vec::new(),
    }
}

pub(crate) fn identity_root(access: &Access) -> PortResult<url::Url> {
    catalog::identity_root(&access.auth_url).ok_or_else(|| {
        PortError::permanent(
            Kind::Invalid,
            format!(
                "The auth_url of {} is not an http or https URL.",
                access.site_name
            ),
        )
    })
}

fn tokens_url(access: &Access) -> PortResult<url::Url> {
    let mut url = identity_root(access)?;
    // The root is an http URL and can be extended.
    let _ = catalog::extend(&mut url, &["auth", "tokens"]);
    Ok(url)
}
