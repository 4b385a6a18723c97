//! The layer between a connection and a simulated service: it applies the faults and writes the calls down.
//!
//! Dropping a connection without an answer isn't a thing that an axum handler can do. A service whose future
//! ends in an error can: the server then closes the connection. That is why this is a `tower` service around
//! the router and not a middleware within it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody, to_bytes};
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::{Map, Value};
use tower::{BoxError, Service, ServiceExt};

use super::calls::{Call, CallLog, now_millis};
use super::faults::{Action, Faults, Then};

/// Larger bodies are no calls that a simulated service knows.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Larger bodies aren't written into the log of calls.
const MAX_LOGGED: usize = 64 * 1024;

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
pub(super) struct Dropped;

/// A router with faults and a log of calls before it.
#[derive(Clone)]
pub(super) struct Guarded {
    pub name: String,
    pub router: Router,
    pub faults: Faults,
    pub calls: CallLog,
}

impl<B> Service<Request<B>> for Guarded
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Dropped;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Dropped>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Dropped>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.handle(request.map(Body::new)).await })
    }
}

impl Guarded {
    async fn handle(self, request: Request<Body>) -> Result<Response<Body>, Dropped> {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MAX_BODY).await.map_err(|_| Dropped)?;
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let mut call = Call {
            number: 0,
            time: now_millis(),
            service: self.name.clone(),
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query,
            body: if body.len() <= MAX_LOGGED {
                serde_json::from_slice(&body).ok()
            } else {
                None
            },
            status: None,
            error: None,
            millis: 0,
            agent: parts
                .headers
                .get(header::USER_AGENT)
                .and_then(|v| v.to_str().ok())
                .map(str::to_owned),
        };
        let text: Vec<String> = call
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let verdict = self.faults.judge(&call.method, &call.path, &text.join("&"));
        if !verdict.delay.is_zero() {
            tokio::time::sleep(verdict.delay).await;
        }
        let request = Request::from_parts(parts, Body::from(body));
        let answer = match verdict.then {
            Then::Pass | Then::Act(Action::Delay { .. }) => Some(self.run(request, &mut call).await?),
            Then::Act(Action::Status {
                status,
                body,
                headers,
            }) => {
                let answer = canned(status, body.as_ref(), &headers)?;
                call.status = Some(status);
                call.error = body;
                Some(answer)
            }
            Then::Act(Action::Page { status, text, effect }) => {
                if effect {
                    self.run(request, &mut call).await?;
                }
                call.status = Some(status);
                Some(page(status, Body::from(text))?)
            }
            Then::Act(Action::Endless) => {
                call.status = Some(200);
                Some(page(200, endless())?)
            }
            Then::Act(Action::LostAnswer) => {
                self.run(request, &mut call).await?;
                None
            }
            Then::Act(Action::Swallow) => {
                self.run(request, &mut call).await?;
                self.log(call, started);
                self.faults.change().await;
                return Err(Dropped);
            }
            Then::Act(Action::Drop) => None,
            Then::Act(Action::Hang) => {
                self.log(call, started);
                self.faults.change().await;
                return Err(Dropped);
            }
        };
        if answer.is_none() {
            call.status = None;
        }
        self.log(call, started);
        answer.ok_or(Dropped)
    }

    /// Let the service carry the call out.
    async fn run(&self, request: Request<Body>, call: &mut Call) -> Result<Response<Body>, Dropped> {
        let answer: Result<Response<Body>, Infallible> = self.router.clone().oneshot(request).await;
        let answer = answer.unwrap_or_else(|never| match never {});
        call.status = Some(answer.status().as_u16());
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, MAX_BODY).await.map_err(|_| Dropped)?;
        call.error = serde_json::from_slice(&body).ok();
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    fn log(&self, mut call: Call, started: Instant) {
        call.millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.calls.record(call);
    }
}

/// What isn't from the service, though it says that it were JSON.
fn page(status: u16, body: Body) -> Result<Response<Body>, Dropped> {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).map_err(|_| Dropped)?;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

/// Blanks for ever: a parser of JSON has nothing to complain about.
fn endless() -> Body {
    let blanks = Bytes::from_static(&[b' '; 64 * 1024]);
    Body::from_stream(futures::stream::repeat_with(move || {
        Ok::<_, Infallible>(blanks.clone())
    }))
}

/// An answer that the service had no part in.
fn canned(
    status: u16,
    body: Option<&Value>,
    headers: &Map<String, Value>,
) -> Result<Response<Body>, Dropped> {
    let bytes = body.map(Value::to_string).unwrap_or_default();
    let mut answer = Response::new(Body::from(bytes));
    *answer.status_mut() = StatusCode::from_u16(status).map_err(|_| Dropped)?;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Dropped)?;
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_str(&text).map_err(|_| Dropped)?);
    }
    Ok(answer)
}
