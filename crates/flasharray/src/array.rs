//! One array: calls with a session, lists to their end.

use std::fmt;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::client::{Client, SESSION_HEADER, join, sensitive};
use crate::error::{Error, Kind};
use crate::query::Query;
use crate::retry;
use crate::session::{Key, Session};
use crate::transport::{Answer, Request};
use crate::types::{ArrayConnection, ArrayInfo};
use crate::version::Version;

/// The array cuts longer pages by itself.
const PAGE: usize = 1000;

/// An array and the token for it. Logs in when the first call is made.
#[derive(Clone)]
pub struct Array {
    client: Client,
    origin: Url,
    host: String,
    key: Key,
    token: SecretString,
    timeout: Duration,
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// What every list call answers, and every change that has something to show.
#[derive(Deserialize)]
struct Page<T> {
    items: Option<Vec<T>>,
    continuation_token: Option<String>,
    more_items_remaining: Option<bool>,
}

impl Array {
    pub(crate) fn new(
        client: Client,
        origin: Url,
        host: String,
        key: Key,
        token: SecretString,
        timeout: Duration,
    ) -> Self {
        Self {
            client,
            origin,
            host,
            key,
            token,
            timeout,
        }
    }

    /// Host and port of its address: what a message calls it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The version that is spoken with it.
    pub async fn version(&self) -> Result<Version, Error> {
        Ok(self.session(Instant::now() + self.timeout).await?.version)
    }

    /// Its own name, id and release.
    pub async fn info(&self) -> Result<ArrayInfo, Error> {
        let found = self.list("arrays", Query::new()).await?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| Error::new(Kind::Protocol, "it says nothing about itself"))
    }

    /// The arrays that it is connected to.
    pub async fn connections(&self) -> Result<Vec<ArrayConnection>, Error> {
        self.list("array-connections", Query::new()).await
    }

    /// Everything that a list call answers, page after page.
    pub async fn list<T: DeserializeOwned>(&self, path: &str, query: Query) -> Result<Vec<T>, Error> {
        let deadline = Instant::now() + self.timeout;
        let most = self.client.0.config.max_items;
        let mut all: Vec<T> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut page_query = query.clone().number("limit", PAGE);
            page_query = match &token {
                Some(token) => page_query.text("continuation_token", token),
                None if !all.is_empty() => page_query.number("offset", all.len()),
                None => page_query,
            };
            let answer = self.call(Method::GET, path, &page_query, None, deadline).await?;
            let page: Page<T> = parse(&answer, false)?;
            let items = page
                .items
                .ok_or_else(|| Error::new(Kind::Protocol, "its answer holds no list"))?;
            let (came, before) = (items.len(), token.take());
            all.extend(items);
            if all.len() > most {
                return Err(Error::new(
                    Kind::Protocol,
                    format!("its list has more than {most} items"),
                ));
            }
            token = page.continuation_token.filter(|token| !token.is_empty());
            if !page.more_items_remaining.unwrap_or(token.is_some()) {
                return Ok(all);
            }
            if came == 0 || (token.is_some() && token == before) {
                return Err(Error::new(Kind::Protocol, "its list doesn't come to an end"));
            }
        }
    }

    /// As [`Array::list`]; objects that don't exist make an empty list.
    pub async fn list_known<T: DeserializeOwned>(&self, path: &str, query: Query) -> Result<Vec<T>, Error> {
        match self.list(path, query).await {
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::NotMember) => Ok(Vec::new()),
            other => other,
        }
    }

    /// A change, and the objects that it answers.
    pub async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: Query,
        body: Option<Value>,
    ) -> Result<Vec<T>, Error> {
        let deadline = Instant::now() + self.timeout;
        let answer = self.call(method, path, &query, body, deadline).await?;
        if answer.body.trim_ascii().is_empty() {
            return Ok(Vec::new());
        }
        let page: Page<T> = parse(&answer, true)?;
        Ok(page.items.unwrap_or_default())
    }

    /// A change whose answer holds nothing of interest.
    pub async fn tell(
        &self,
        method: Method,
        path: &str,
        query: Query,
        body: Option<Value>,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + self.timeout;
        self.call(method, path, &query, body, deadline).await.map(drop)
    }

    /// One call with a session. A session that has ended is renewed once; a busy array is waited for, as it did
    /// nothing; an answer that got lost is asked for again if nothing could have been changed.
    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        body: Option<Value>,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let inner = &self.client.0;
        let changes = method != Method::GET;
        let mut renewed = false;
        let mut busy = 0;
        let mut lost = 0;
        loop {
            let session = self.session(deadline).await?;
            let request = self.request(&method, path, query, body.as_ref(), &session)?;
            let shown = format!("{method} {path}");
            let answer = match inner.transport.exchange(request, deadline).await {
                Ok(answer) => answer,
                Err(error) => {
                    // Whether it is worth asking again is seen from what broke: a connection that doesn't come
                    // about will not do so a moment later either.
                    lost += 1;
                    let broke = error.is(Kind::Unavailable) && !connecting(&error);
                    if changes || !broke || lost >= retry::READ_TRIES || Instant::now() >= deadline {
                        return Err(error);
                    }
                    continue;
                }
            };
            if answer.status.is_success() {
                return Ok(answer);
            }
            let secrets = [self.token.expose_secret(), session.token.expose_secret()];
            let mut error = Error::of_answer(answer.status.as_u16(), &answer.body, changes, &secrets);
            error.call = Some(shown);
            match error.kind {
                Kind::Unauthorized if !renewed => {
                    renewed = true;
                    self.forget(&session).await;
                }
                Kind::Busy => {
                    inner.wait(busy, &answer.headers, deadline, error).await?;
                    busy += 1;
                }
                Kind::Unavailable if answer.status.as_u16() > 500 && lost + 1 < retry::READ_TRIES => {
                    inner.wait(lost, &answer.headers, deadline, error).await?;
                    lost += 1;
                }
                _ => return Err(error),
            }
        }
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        query: &Query,
        body: Option<&Value>,
        session: &Session,
    ) -> Result<Request, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(SESSION_HEADER, sensitive(&session.token)?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(Request {
            method: method.clone(),
            url: join(
                &self.origin,
                &format!("api/{}/{path}", session.version),
                &query.encoded(),
            )?,
            headers,
            body: body.map(|body| body.to_string().into_bytes()),
        })
    }

    async fn session(&self, deadline: Instant) -> Result<Session, Error> {
        let place = self.client.0.sessions.place(&self.key);
        let late = |_| Error::new(Kind::Unavailable, "it did not answer the login in time");
        let mut kept = tokio::time::timeout_at(deadline, place.lock())
            .await
            .map_err(late)?;
        if let Some(session) = &*kept {
            return Ok(session.clone());
        }
        let session = self.client.0.login(&self.origin, &self.token, deadline).await?;
        *kept = Some(session.clone());
        Ok(session)
    }

    /// Drops a session that the array no longer knows, unless another caller has renewed it already.
    async fn forget(&self, ended: &Session) {
        let place = self.client.0.sessions.place(&self.key);
        let mut kept = place.lock().await;
        if kept
            .as_ref()
            .is_some_and(|kept| kept.token.expose_secret() == ended.token.expose_secret())
        {
            *kept = None;
        }
    }
}

fn connecting(error: &Error) -> bool {
    let cause = error
        .source
        .as_ref()
        .and_then(|source| source.downcast_ref::<reqwest::Error>());
    cause.is_none_or(reqwest::Error::is_connect)
}

fn parse<T: DeserializeOwned>(answer: &Answer, changes: bool) -> Result<T, Error> {
    serde_json::from_slice(&answer.body).map_err(|cause| {
        let json = serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body).is_ok();
        let error = match (changes, json) {
            (true, _) => Error::new(Kind::Ambiguous, "its answer to a change can't be read"),
            // Most likely a proxy's page in the array's place: that passes.
            (false, false) => Error::new(Kind::Unavailable, "its answer is not JSON"),
            (false, true) => Error::new(Kind::Protocol, "its answer is not in the form of an array's"),
        };
        let error = error.caused_by(cause);
        Error {
            status: Some(answer.status.as_u16()),
            ..error
        }
    })
}
