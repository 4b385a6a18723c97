//! A number for every request, so that an answer, a log line and a complaint can be brought together.
//!
//! The service always mints its own; one that came in is the *global* id, which several services log for one cause.
//! Only a well-formed one is taken: it goes into logs and into further requests.
//!
//! `router.layer(axum::middleware::from_fn(request_id::assign))`, outside of everything that answers by itself.

use std::fmt;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use uuid::Uuid;

pub const HEADER: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// In the extensions of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId {
    pub own: String,
    pub global: Option<String>,
}

impl RequestId {
    pub fn mint(inbound: Option<&HeaderValue>) -> Self {
        let global = inbound
            .and_then(|value| value.to_str().ok())
            .filter(|text| well_formed(text));
        RequestId {
            own: format!("req-{}", Uuid::new_v4()),
            global: global.map(str::to_owned),
        }
    }

    /// The id to send along to other services.
    pub fn forwarded(&self) -> &str {
        self.global.as_deref().unwrap_or(&self.own)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.own)
    }
}

fn well_formed(text: &str) -> bool {
    let lower = |b: u8| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.strip_prefix("req-")
        .is_some_and(|uuid| uuid.len() == 36 && uuid.bytes().all(lower) && Uuid::try_parse(uuid).is_ok())
}

/// Mints the id, opens the span that log lines take it from, and returns it with the answer.
pub async fn assign(mut request: Request, next: Next) -> Response {
    let id = RequestId::mint(request.headers().get(&HEADER));
    // Of the highest level, so that the id is there whatever is filtered.
    let span = tracing::error_span!(
        "request",
        request_id = %id.own,
        global_request_id = tracing::field::Empty,
        user_id = tracing::field::Empty,
        project_id = tracing::field::Empty,
    );
    if let Some(global) = &id.global {
        span.record("global_request_id", global.as_str());
    }
    let header = HeaderValue::from_str(&id.own);
    request.extensions_mut().insert(id);
    let mut response = next.run(request).instrument(span).await;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    const GLOBAL: &str = "req-0b8f3e0e-4bd1-4fa4-8f8a-0f3d1d1e7a11";

    async fn ask(inbound: Option<&str>) -> (String, String) {
        let app =
            Router::new()
                .route(
                    "/",
                    get(|axum::Extension(id): axum::Extension<RequestId>| async move {
                        id.forwarded().to_owned()
                    }),
                )
                .layer(axum::middleware::from_fn(assign));
        let request = inbound
            .into_iter()
            .fold(Request::get("/"), |request, id| request.header(HEADER, id));
        let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let own = response.headers()[&HEADER].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        (own, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_answer_has_an_id_of_our_own() {
        let (own, forwarded) = ask(None).await;
        assert!(well_formed(&own), "{own}");
        assert_eq!(own, forwarded);
        assert_ne!(ask(None).await.0, own);
    }

    #[tokio::test]
    async fn a_well_formed_inbound_id_is_forwarded_but_never_returned() {
        let (own, forwarded) = ask(Some(GLOBAL)).await;
        assert_ne!(own, GLOBAL);
        assert_eq!(forwarded, GLOBAL);
        for wrong in [
            "x",
            "req-1",
            &GLOBAL[4..],
            &GLOBAL.to_uppercase(),
            &format!("{GLOBAL} x"),
        ] {
            let (own, forwarded) = ask(Some(wrong)).await;
            assert_eq!(own, forwarded, "{wrong}");
        }
    }
}
