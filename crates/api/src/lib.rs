//! The REST API: what stands in `docs/api.md`, and nothing else.
//!
//! A handler takes a request apart, calls one use case and renders the answer. Everything that all of them need
//! happens once, around them: who is asking ([`guard`]), whether a rule allows it ([`policy`]), which routes
//! there are at all ([`routes`]), and how a refusal looks ([`faults`]).

mod body;
mod extract;
pub mod faults;
mod guard;
mod layers;
mod list;
pub mod policy;
mod render;
pub mod routes;
mod v1;
mod versions;

use std::sync::Arc;

use axum::Router;
use protector_domain::SiteId;
use protector_oslo::healthcheck::Health;
use protector_oslo::microversion::{Microversions, Version};
use protector_oslo::policy::Enforcer;
use protector_oslo::token::AuthToken;
use protector_service::Service;

/// The service type in the catalog and in the microversion header.
pub const SERVICE_TYPE: &str = "protector";

/// What the API speaks.
pub const MICROVERSIONS: Microversions = Microversions {
    service_type: SERVICE_TYPE,
    min: Version::new(1, 0),
    max: Version::new(1, 1),
};

/// How this site introduces itself.
#[derive(Debug, Clone)]
pub struct SiteFacts {
    pub id: SiteId,
    pub public_key: Option<String>,
    pub region_name: Option<String>,
}

/// What every handler can reach.
#[derive(Clone)]
pub struct App {
    pub service: Service,
    pub enforcer: Arc<Enforcer>,
    pub site: Arc<SiteFacts>,
}

/// The whole API, to be served.
pub fn router(app: App, auth: AuthToken, health: Health) -> Router {
    let guarded = layers::guarded(routes::router(&app), auth);
    layers::around(versions::router(health).merge(guarded)).with_state(app)
}
