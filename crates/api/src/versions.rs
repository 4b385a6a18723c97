//! What anybody may read: versions, the site's identity, and whether it is well.

use axum::extract::State;
use axum::http::{HeaderMap, header, uri::Authority};
use axum::routing::get;
use axum::{Json, Router};
use protector_oslo::healthcheck::{Health, healthcheck};
use serde_json::{Value, json};

use crate::layers::wrong_method;
use crate::{App, MICROVERSIONS};

/// When the newest microversion was added.
const UPDATED: &str = "2026-11-21T00:00:00Z";

pub(crate) fn router(health: Health) -> Router<App> {
    Router::new()
        .route("/", get(document))
        .route("/v1", get(document))
        .route("/v1/", get(document))
        .route("/v1/{project}", get(document))
        .route("/v1/{project}/", get(document))
        .route("/healthcheck", get(healthcheck).with_state(health))
        .method_not_allowed_fallback(wrong_method)
}

async fn document(State(app): State<App>, headers: HeaderMap) -> Json<Value> {
    let site = &app.site;
    Json(json!({
        "versions": [{
            "id": "v1.0",
            "status": "CURRENT",
            "version": MICROVERSIONS.max.to_string(),
            "min_version": MICROVERSIONS.min.to_string(),
            "updated": UPDATED,
            "links": [{"rel": "self", "href": format!("{}/v1/", base_url(&headers))}],
        }],
        "site": {
            "id": site.id,
            "public_key": site.public_key,
            "region_name": site.region_name,
        },
    }))
}

/// The address by which the client came here, as far as it can be one.
pub(crate) fn base_url(headers: &HeaderMap) -> String {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST)
        .and_then(|host| host.parse::<Authority>().ok())
        .filter(|host| !host.as_str().contains('@'))
        .map_or_else(|| "localhost".to_owned(), |host| host.to_string());
    let forwarded = headers
        .get("x-forwarded-proto")
        .is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
    let scheme = if forwarded { "https" } else { "http" };
    format!("{scheme}://{host}")
}
