//! The client: one for all arrays of a process.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::array::Array;
use crate::config::{ClientConfig, ConfigError};
use crate::error::{Error, Kind};
use crate::retry;
use crate::session::{Key, Session, Sessions};
use crate::transport::{Answer, Request, Transport};
use crate::version::Version;

pub(crate) const SESSION_HEADER: &str = "x-auth-token";
const TOKEN_HEADER: &str = "api-token";
/// At the end of a process nobody waits long for an array.
const LOGOUT_TIME: Duration = Duration::from_secs(3);

/// Connections and sessions. Cheap to clone.
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub transport: Transport,
    pub sessions: Sessions,
    pub config: ClientConfig,
}

#[derive(Deserialize)]
struct Versions {
    version: Vec<String>,
}

impl Client {
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(Inner {
            transport: Transport::new(config)?,
            sessions: Sessions::default(),
            config: config.clone(),
        })))
    }

    /// One array, as the token's user. Every call to it, with all its repetitions, takes `timeout` at most.
    /// Nothing is asked of it yet.
    pub fn array(&self, url: &str, token: &SecretString, timeout: Duration) -> Result<Array, Error> {
        let origin = self.origin(url)?;
        let host = match (origin.host_str(), origin.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(Error::invalid("its address has no host")),
        };
        let key = Key::new(origin.as_str(), token);
        Ok(Array::new(
            self.clone(),
            origin,
            host,
            key,
            token.clone(),
            timeout,
        ))
    }

    fn origin(&self, text: &str) -> Result<Url, Error> {
        let text = text.trim();
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let url = Url::parse(&with_scheme)
            .map_err(|error| Error::invalid("its address is not a URL").caused_by(error))?;
        match url.scheme() {
            "https" => {}
            "http" if self.0.config.allow_loopback => {}
            _ => return Err(Error::new(Kind::Address, "its address must begin with https://")),
        }
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && matches!(url.path(), "" | "/" | "/api" | "/api/");
        if !bare {
            return Err(Error::invalid("its address may have a host and a port only"));
        }
        self.0.transport.check(&url)?;
        let mut origin = url;
        origin.set_path("/");
        Ok(origin)
    }

    /// Ends all sessions, as far as arrays answer.
    pub async fn logout(&self) {
        let mut ending = tokio::task::JoinSet::new();
        for (key, place) in self.0.sessions.take_all() {
            let inner = self.0.clone();
            ending.spawn(async move {
                if let Some(session) = place.lock().await.take() {
                    inner.close(&key.origin, &session).await;
                }
            });
        }
        while ending.join_next().await.is_some() {}
    }
}

impl Inner {
    /// Finds out which version to speak and opens a session.
    pub async fn login(
        &self,
        origin: &Url,
        token: &SecretString,
        deadline: Instant,
    ) -> Result<Session, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(TOKEN_HEADER, sensitive(token)?);
        let asked = self
            .patiently(
                origin,
                Method::GET,
                "api/api_version",
                &HeaderMap::new(),
                deadline,
            )
            .await?;
        let versions: Versions = serde_json::from_slice(&asked.body).map_err(|error| {
            Error::new(Kind::Protocol, "it does not answer as a FlashArray does").caused_by(error)
        })?;
        let version = Version::choose(versions.version.iter().map(String::as_str)).ok_or_else(|| {
            let (oldest, newest) = (Version::OLDEST, Version::NEWEST);
            let words = format!("it speaks no REST version between {oldest} and {newest}");
            Error::new(Kind::Protocol, words)
        })?;
        let path = format!("api/{version}/login");
        let answer = match self
            .patiently(origin, Method::POST, &path, &headers, deadline)
            .await
        {
            // A login changes nothing that anyone would have to look for.
            Err(error) if error.is(Kind::Ambiguous) => Err(Error {
                kind: Kind::Unavailable,
                words: "it did not answer the login".to_owned(),
                ..error
            }),
            Err(error)
                if error.status.is_some_and(|status| (400..500).contains(&status))
                    && !error.is(Kind::Busy) =>
            {
                Err(Error {
                    kind: Kind::Unauthorized,
                    words: format!("it does not accept the API token ({})", error.words),
                    ..error
                })
            }
            other => other,
        }?;
        let session = answer
            .headers
            .get(SESSION_HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(|value| !value.is_empty() && value.len() <= 4096);
        match session {
            Some(session) => Ok(Session {
                version,
                token: SecretString::from(session),
            }),
            None => Err(Error::new(
                Kind::Protocol,
                "its answer to the login holds no session",
            )),
        }
    }

    /// A call without a session, repeated a few times if the array is busy.
    async fn patiently(
        &self,
        origin: &Url,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let mut attempt = 0;
        loop {
            let request = Request {
                method: method.clone(),
                url: join(origin, path, "")?,
                headers: headers.clone(),
                body: None,
            };
            let changes = request.changes();
            let answer = self.transport.exchange(request, deadline).await?;
            if answer.status.is_success() {
                return Ok(answer);
            }
            let secret = headers.get(TOKEN_HEADER).and_then(|value| value.to_str().ok());
            let error = Error::of_answer(answer.status.as_u16(), &answer.body, changes, secret.as_slice());
            attempt += 1;
            if !error.is(Kind::Busy) || attempt >= retry::LOGIN_TRIES {
                return Err(error);
            }
            self.wait(attempt - 1, &answer.headers, deadline, error).await?;
        }
    }

    /// Waits before another try; gives the error back where there is no time for that.
    pub async fn wait(
        &self,
        attempt: u32,
        headers: &HeaderMap,
        deadline: Instant,
        error: Error,
    ) -> Result<(), Error> {
        let pause = retry::pause(attempt, retry::asked_pause(headers), self.config.max_pause);
        if Instant::now() + pause >= deadline {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        // A busy machine may have slept for longer than it was asked to.
        if Instant::now() >= deadline {
            return Err(error);
        }
        Ok(())
    }

    pub async fn close(&self, origin: &str, session: &Session) {
        let Ok(url) = Url::parse(origin)
            .map_err(|_| ())
            .and_then(|origin| join(&origin, &format!("api/{}/logout", session.version), "").map_err(|_| ()))
        else {
            return;
        };
        let Ok(token) = sensitive(&session.token) else {
            return;
        };
        let mut headers = HeaderMap::new();
        headers.insert(SESSION_HEADER, token);
        let request = Request {
            method: Method::POST,
            url,
            headers,
            body: None,
        };
        // An array that doesn't answer forgets the session by itself.
        drop(
            self.transport
                .exchange(request, Instant::now() + LOGOUT_TIME)
                .await,
        );
    }
}

pub(crate) fn sensitive(secret: &SecretString) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(secret.expose_secret().trim()).map_err(|_| {
        Error::new(
            Kind::Unauthorized,
            "its API token holds characters that no token has",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

pub(crate) fn join(origin: &Url, path: &str, query: &str) -> Result<Url, Error> {
    let mut url = origin
        .join(path)
        .map_err(|error| Error::invalid("the request can't be made").caused_by(error))?;
    url.set_query(Some(query).filter(|query| !query.is_empty()));
    Ok(url)
}
