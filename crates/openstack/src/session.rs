//! A call as one actor at one cloud, within one deadline.
//!
//! The deadline belongs to the port's method, not to the HTTP call: signing in, renewal, pages and retries
//! all come out of the same time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use protector_ports::cloud::{Access, Actor};
use protector_ports::{Kind, PortError, PortResult};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::auth::{Token, Tokens, identity_root};
use crate::catalog::{self, NoEndpoint};
use crate::failure::{Ask, Service};
use crate::microversion;
use crate::transport::{Answer, Exchange, Transport};

/// Reads that met an overloaded service are asked again this often.
const MAX_RETRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Things asked for per page, which is also what the services allow at most by default.
const PAGE: usize = 1000;
/// More pages than any project has; a list that goes on is not to be believed.
const MAX_PAGES: usize = 200;
/// A list is begun anew this often when what its last page ended with is deleted before the next one is asked for.
const MAX_BEGINNINGS: u32 = 5;

/// No call is given more, whatever is configured.
const LONGEST: Duration = Duration::from_secs(3600);

pub(crate) struct Inner {
    pub transport: Transport,
    pub tokens: Tokens,
    pub interface: String,
}

#[derive(Clone, Copy)]
pub(crate) struct Session<'a> {
    inner: &'a Inner,
    pub access: &'a Access,
    deadline: Instant,
}

impl<'a> Session<'a> {
    pub fn new(inner: &'a Inner, access: &'a Access) -> Self {
        Self {
            inner,
            access,
            deadline: Instant::now() + access.timeout.min(LONGEST),
        }
    }

    pub async fn token(&self) -> PortResult<Arc<Token>> {
        self.inner
            .tokens
            .get(&self.inner.transport, self.access, self.deadline)
            .await
    }

    pub async fn fresh_token(&self) -> PortResult<Arc<Token>> {
        self.inner
            .tokens
            .fresh(&self.inner.transport, self.access, self.deadline)
            .await
    }

    pub fn interface(&self) -> &str {
        &self.inner.interface
    }

    pub fn get(&self, service: Service, what: &'static str, path: &[&str]) -> Call<'a> {
        Call::new(*self, Method::GET, service, what, path)
    }

    pub fn post(&self, service: Service, what: &'static str, path: &[&str], body: Value) -> Call<'a> {
        Call {
            body: Some(body),
            ..Call::new(*self, Method::POST, service, what, path)
        }
    }

    pub fn put(&self, service: Service, what: &'static str, path: &[&str], body: Value) -> Call<'a> {
        Call {
            body: Some(body),
            ..Call::new(*self, Method::PUT, service, what, path)
        }
    }

    pub fn delete(&self, service: Service, what: &'static str, path: &[&str]) -> Call<'a> {
        Call::new(*self, Method::DELETE, service, what, path)
    }

    fn root(&self, service: Service, token: &Token) -> PortResult<url::Url> {
        // The catalog's Keystone may be another name of the one that gave the token; ask the one we know.
        if service == Service::Identity {
            return identity_root(self.access);
        }
        let (region, site, name) = (
            self.access.region.as_deref(),
            &self.access.site_name,
            service.name(),
        );
        let place = region
            .map(|region| format!(" in region {region}"))
            .unwrap_or_default();
        token
            .catalog
            .root(service, region, self.interface(), token.project_id.as_str())
            .map_err(|missing| {
                PortError::permanent(
                    Kind::Invalid,
                    match missing {
                        NoEndpoint::Missing => {
                            format!(
                                "The catalog of {site} has no {} endpoint of {name}{place}.",
                                self.interface()
                            )
                        }
                        NoEndpoint::Ambiguous(regions) => {
                            format!(
                                "The catalog of {site} has {name} in several regions ({}), and it is not said which of them is {site}: \
                                 type `openstack protector site set {site} --region-name REGION`, and set [DEFAULT] region_name at that \
                                 site.",
                                regions.join(", ")
                            )
                        }
                        NoEndpoint::Unusable(url) => {
                            format!(
                                "The catalog of {site} has an unusable endpoint of {name}{place}: '{url}'."
                            )
                        }
                    },
                )
            })
    }
}

/// One call, which may become several exchanges.
pub(crate) struct Call<'a> {
    session: Session<'a>,
    method: Method,
    service: Service,
    what: &'static str,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    longest: Option<usize>,
    /// Struck out of messages and logs.
    secrets: Vec<&'a SecretString>,
    /// Whether the answer holds a secret, so that no part of it may be repeated.
    secret_answer: bool,
    without_token: bool,
}

impl<'a> Call<'a> {
    fn new(
        session: Session<'a>,
        method: Method,
        service: Service,
        what: &'static str,
        path: &[&str],
    ) -> Self {
        Self {
            session,
            method,
            service,
            what,
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            query: Vec::new(),
            body: None,
            headers: Vec::new(),
            longest: None,
            secrets: Vec::new(),
            secret_answer: false,
            without_token: false,
        }
    }

    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub fn query_if(self, wanted: bool, name: &'static str, value: &str) -> Self {
        if wanted { self.query(name, value) } else { self }
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A longer answer than this many bytes is refused.
    pub fn at_most(mut self, longest: usize) -> Self {
        self.longest = Some(longest);
        self
    }

    /// A text in the path or the body that must not be repeated anywhere.
    pub fn hiding(mut self, secret: &'a SecretString) -> Self {
        self.secrets.push(secret);
        self
    }

    pub fn with_secret_answer(mut self) -> Self {
        self.secret_answer = true;
        self
    }

    /// For what a service shows to everybody.
    pub fn without_token(mut self) -> Self {
        self.without_token = true;
        self
    }

    /// For calls whose answer says nothing.
    pub async fn send(self) -> PortResult<()> {
        self.answer().await.map(|_| ())
    }

    /// For deletions and the like: what isn't there needs no doing.
    pub async fn send_unless_gone(self) -> PortResult<()> {
        match self.send().await {
            Err(error) if error.is(Kind::NotFound) => Ok(()),
            other => other,
        }
    }

    /// The answer as it came, and how to speak of it.
    pub async fn taken(&self) -> PortResult<(Ask<'_>, Answer)> {
        let answer = self.answer().await?;
        Ok((self.ask(), answer))
    }

    pub async fn json<T: DeserializeOwned>(self) -> PortResult<T> {
        let answer = self.answer().await?;
        self.parse(&answer)
    }

    /// All pages of a list that is under `key`.
    pub async fn list<T: DeserializeOwned>(self, key: &str) -> PortResult<Vec<T>> {
        self.list_as::<T, T>(key).await
    }

    /// The same, each item turned into what is wanted of it as soon as it is read: of ten thousand servers the answers
    /// are several times as large as that.
    pub async fn list_as<W: DeserializeOwned, T: From<W>>(mut self, key: &str) -> PortResult<Vec<T>> {
        let mut all: Vec<T> = Vec::new();
        let asked = self.query.len();
        let mut marker: Option<String> = None;
        let mut beginnings = 1;
        for _ in 0..MAX_PAGES {
            self.query.truncate(asked);
            self.query.push(("limit", PAGE.to_string()));
            if let Some(marker) = &marker {
                self.query.push(("marker", marker.clone()));
            }
            let answer = match self.answer().await {
                Err(error)
                    if marker.is_some()
                        && matches!(error.kind, Kind::Invalid | Kind::NotFound)
                        && beginnings < MAX_BEGINNINGS =>
                {
                    beginnings += 1;
                    marker = None;
                    all.clear();
                    continue;
                }
                answer => answer?,
            };
            let page: HashMap<String, &RawValue> = self.parse(&answer)?;
            let items: Option<Vec<&RawValue>> = page.get(key).and_then(|list| read(list).ok());
            let Some(items) = items else {
                return Err(self.ask().nonsense(&answer, &format!("no list '{key}'")));
            };
            let next = items.last().and_then(|item| read::<Named>(item).ok()?.id);
            let ended = items.is_empty() || !has_next(&page);
            for item in items {
                let item: W = read(item).map_err(|error| self.ask().nonsense(&answer, &error.to_string()))?;
                all.push(item.into());
            }
            if ended {
                return Ok(all);
            }
            if next.is_none() || next == marker {
                return Err(self.ask().nonsense(&answer, "a list that doesn't go on"));
            }
            marker = next;
        }
        Err(PortError::permanent(
            Kind::Protocol,
            format!(
                "{} at {} answered \"{}\" with a list that doesn't end.",
                self.service.name(),
                self.session.access.site_name,
                self.what
            ),
        ))
    }

    fn parse<'b, T: Deserialize<'b>>(&self, answer: &'b Answer) -> PortResult<T> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            let why = if self.secret_answer {
                "not shown".to_owned()
            } else {
                error.to_string()
            };
            self.ask()
                .nonsense(answer, &why.chars().take(200).collect::<String>())
        })
    }

    fn ask(&self) -> Ask<'_> {
        self.ask_with(None)
    }

    fn ask_with<'c>(&'c self, token: Option<&'c Token>) -> Ask<'c> {
        let access = self.session.access;
        let mut secrets: Vec<&SecretString> = self.secrets.clone();
        secrets.extend(token.map(|token| &token.value));
        match &access.actor {
            Actor::Service(credentials) => secrets.push(&credentials.password),
            Actor::Trust { trustee, trust_id } => secrets.extend([&trustee.password, trust_id]),
            Actor::User { token, .. } => secrets.push(token),
        }
        Ask {
            service: self.service,
            site: &access.site_name,
            what: self.what,
            changes: self.method != Method::GET,
            secrets,
        }
    }

    async fn answer(&self) -> PortResult<Answer> {
        let session = self.session;
        let is_read = self.method == Method::GET;
        // A caller's token isn't ours to renew.
        let mut may_renew = !self.without_token && !matches!(session.access.actor, Actor::User { .. });
        let mut retries = 0;
        loop {
            let token = if self.without_token {
                None
            } else {
                Some(session.token().await?)
            };
            let result = self.once(token.as_deref()).await;
            let (error, pause) = match result {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) => {
                    if answer.status == http::StatusCode::UNAUTHORIZED
                        && let Some(token) = &token
                    {
                        session
                            .inner
                            .tokens
                            .forget(session.access, token, session.deadline)
                            .await;
                        if may_renew {
                            may_renew = false;
                            continue;
                        }
                    }
                    // Granting the missing role must help at the next try, not when the token ends.
                    if answer.status == http::StatusCode::FORBIDDEN
                        && let Some(token) = token.as_ref().filter(|token| token.may_be_outdated())
                    {
                        session
                            .inner
                            .tokens
                            .forget(session.access, token, session.deadline)
                            .await;
                    }
                    let throttled = matches!(answer.status.as_u16(), 429 | 503);
                    let pause =
                        throttled.then(|| answer.retry_after.unwrap_or(FIRST_PAUSE * 2u32.pow(retries)));
                    (self.ask_with(token.as_deref()).refused(&answer), pause)
                }
                Err(error) => (error, None),
            };
            let Some(pause) = pause.filter(|_| is_read && retries < MAX_RETRIES) else {
                return Err(error);
            };
            // A pause that leaves no time to ask again helps nobody.
            if Instant::now()
                .checked_add(pause)
                .is_none_or(|then| then >= session.deadline)
            {
                return Err(error);
            }
            tokio::time::sleep(pause.max(Duration::from_millis(50))).await;
            retries += 1;
        }
    }

    async fn once(&self, token: Option<&Token>) -> PortResult<Answer> {
        let session = self.session;
        let mut url = match token {
            Some(token) => session.root(self.service, token)?,
            None => identity_root(session.access)?,
        };
        let ask = self.ask();
        if catalog::extend(&mut url, &self.path).is_none() {
            return Err(PortError::permanent(
                Kind::Invalid,
                format!("\"{}\" has no URL.", self.what),
            ));
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let shown_path = if self.secrets.is_empty() {
            url.path().to_owned()
        } else {
            self.path.first().cloned().unwrap_or_default()
        };
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert("x-auth-token", token.header.clone());
        }
        match self.service {
            Service::Compute => {
                headers.insert("openstack-api-version", version("compute", microversion::COMPUTE))
            }
            Service::Volume => {
                headers.insert("openstack-api-version", version("volume", microversion::VOLUME))
            }
            Service::Identity | Service::Network | Service::KeyManager => None,
        };
        headers.extend(
            self.headers
                .iter()
                .cloned()
                .map(|(name, value)| (Some(name), value)),
        );
        let body = self.body.as_ref().map(|body| body.to_string().into_bytes());
        let exchange = Exchange {
            method: self.method.clone(),
            url,
            shown_path: &shown_path,
            headers,
            body,
            longest: self.longest,
        };
        session
            .inner
            .transport
            .exchange(session.access.site, &ask, exchange, session.deadline)
            .await
    }
}

fn version(service: &str, version: &str) -> HeaderValue {
    // Constants of visible ASCII.
    HeaderValue::try_from(format!("{service} {version}")).unwrap_or(HeaderValue::from_static(""))
}

/// Nova names the links after the list, Cinder often after its singular: `volume_type_links`, `group_links`.
fn has_next(page: &HashMap<String, &RawValue>) -> bool {
    let is_next = |links: &RawValue| {
        let links: Vec<Link> = read(links).unwrap_or_default();
        links.iter().any(|link| link.rel.as_deref() == Some("next"))
    };
    page.iter()
        .any(|(name, value)| name.ends_with("_links") && is_next(value))
}

/// What a page's marker is made of.
#[derive(Deserialize)]
struct Named {
    id: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    rel: Option<String>,
}

fn read<'b, T: Deserialize<'b>>(raw: &'b RawValue) -> serde_json::Result<T> {
    serde_json::from_str(raw.get())
}
