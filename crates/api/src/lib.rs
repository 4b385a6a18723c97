//! The REST API: what a request may ask, who may ask it, and how answers look.
//!
//! One table ([`routes`]) says which rule guards which route; a route that isn't in it is refused. Handlers
//! take a request apart, call one use case and put the answer together; errors become HTTP in [`faults`] only.

mod extract;
mod faults;
mod guard;
pub mod policy;
mod render;
pub mod routes;
mod v1;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use protector_domain::SiteId;
use protector_oslo::healthcheck::{Health, healthcheck};
use protector_oslo::microversion::{Microversions, Version, negotiate};
use protector_oslo::policy::Enforcer;
use protector_oslo::token::{AuthToken, authenticate};
use protector_oslo::{faults as oslo_faults, request_id};
use protector_service::Service;
use tower_http::catch_panic::CatchPanicLayer;

/// The service type in the catalog and in the microversion header.
pub const SERVICE_TYPE: &str = "protector";
pub const MIN_VERSION: Version = Version::new(1, 0);
pub const MAX_VERSION: Version = Version::new(1, 1);

/// A bundle of a thousand members is well below this.
const MAX_BODY: usize = 8 << 20;
/// No request waits longer; what takes time is the engine's.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// What the version documents say about this site.
#[derive(Debug, Clone)]
pub struct SiteFacts {
    pub id: SiteId,
    pub public_key: Option<String>,
    pub region_name: Option<String>,
}

/// Everything that handlers need.
#[derive(Clone)]
pub struct App {
    pub service: Service,
    pub enforcer: Arc<Enforcer>,
    pub site: Arc<SiteFacts>,
}

/// The whole service, ready to be served.
pub fn router(app: App, auth: AuthToken, health: Health) -> Router {
    let spoken = Microversions { service_type: SERVICE_TYPE, min: MIN_VERSION, max: MAX_VERSION };
    let guarded = routes::guarded()
        .route_layer(from_fn_with_state(app.clone(), guard::authorize))
        .route_layer(from_fn_with_state(auth, authenticate));
    Router::new()
        .merge(guarded)
        .route("/", get(versions::root))
        .route("/v1", get(versions::root))
        .route("/v1/", get(versions::root))
        .route("/v1/{project}", get(versions::of_project))
        .with_state(app)
        .route("/healthcheck", get(healthcheck).with_state(health))
        .fallback(async || oslo_faults::Fault::not_found("The resource could not be found."))
        .method_not_allowed_fallback(async || {
            oslo_faults::Fault::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed for this resource.")
        })
        .layer(from_fn(limit_time))
        .layer(from_fn_with_state(spoken, negotiate))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CatchPanicLayer::custom(|_| {
            use axum::response::IntoResponse;
            oslo_faults::Fault::internal().named("protectorFault").into_response()
        }))
        .layer(from_fn(request_id::assign))
}

async fn limit_time(request: axum::extract::Request, next: axum::middleware::Next) -> axum::response::Response {
    use axum::response::IntoResponse;
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => oslo_faults::Fault::unavailable(
            "The request took too long. What it changed, if anything, is shown by the resource itself.",
        )
        .into_response(),
    }
}
