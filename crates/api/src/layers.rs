//! What lies around all handlers, from the outside: request id, panics, sizes, microversion, token, time.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use protector_oslo::faults::Fault;
use protector_oslo::token::{AuthToken, authenticate};
use protector_oslo::{microversion, request_id};
use tower_http::catch_panic::CatchPanicLayer;

use crate::faults::internal;
use crate::guard::keep_token;
use crate::{App, MICROVERSIONS};

/// The bundle of a group with a thousand members stays well below.
pub(crate) const LARGEST_BODY: usize = 4 << 20;
/// What takes longer is the engine's.
const LONGEST_REQUEST: Duration = Duration::from_secs(120);

/// For routes that want a token. Unknown paths want one too: who isn't signed in learns nothing about routes.
pub(crate) fn guarded(router: Router<App>, auth: AuthToken) -> Router<App> {
    router
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(auth, authenticate))
        .layer(middleware::from_fn(keep_token))
}

pub(crate) fn around(router: Router<App>) -> Router<App> {
    router
        .layer(middleware::from_fn_with_state(
            MICROVERSIONS,
            microversion::negotiate,
        ))
        .layer(middleware::from_fn(small_enough))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(answered))
        .layer(middleware::from_fn(request_id::assign))
}

async fn no_such_route() -> Fault {
    Fault::not_found("The resource could not be found.")
}

pub(crate) async fn wrong_method() -> Fault {
    Fault::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "The method is not allowed for this resource.",
    )
}

/// One line for every request, as the service's access log.
async fn answered(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let begun = std::time::Instant::now();
    let response = next.run(request).await;
    let took = begun.elapsed();
    tracing::info!(
        "{method} {path} status: {} time: {:.3}",
        response.status().as_u16(),
        took.as_secs_f64()
    );
    response
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!("the request took too long and was given up");
            Fault::unavailable("The request took too long. Look at what came of it before you try again.")
                .into_response()
        }
    }
}

/// Refuses a body that is announced as too large; one that isn't announced is measured while it is read.
async fn small_enough(request: Request, next: Next) -> Response {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > LARGEST_BODY as u64) {
        return too_large().into_response();
    }
    next.run(request).await
}

pub(crate) fn too_large() -> Fault {
    Fault::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("The request is too large: its body may have {LARGEST_BODY} bytes."),
    )
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!("a request handler panicked: {text}");
    internal().into_response()
}
