//! The version documents. They need no token, and say which site answers.

use axum::extract::{Path, Request, State};
use axum::http::header::HOST;
use axum::{Extension, Json};
use protector_oslo::faults::Fault;
use serde_json::{Value, json};

use crate::{App, MAX_VERSION, MIN_VERSION};

pub(crate) async fn root(State(app): State<App>, request: Request) -> Json<Value> {
    document(&app, &request)
}

pub(crate) async fn of_project(
    State(app): State<App>,
    Path(project): Path<String>,
    _version: Option<Extension<protector_oslo::microversion::Version>>,
    request: Request,
) -> Result<Json<Value>, Fault> {
    match protector_domain::ProjectId::new(project) {
        Ok(_) => Ok(document(&app, &request)),
        Err(_) => Err(Fault::not_found("The resource could not be found.")),
    }
}

fn document(app: &App, request: &Request) -> Json<Value> {
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or("localhost");
    Json(json!({
        "versions": [{
            "id": "v1.0",
            "status": "CURRENT",
            "version": MAX_VERSION.to_string(),
            "min_version": MIN_VERSION.to_string(),
            "updated": "2026-11-21T00:00:00Z",
            "links": [{ "rel": "self", "href": format!("http://{host}/v1/") }],
        }],
        "site": { "id": app.site.id, "public_key": app.site.public_key, "region_name": app.site.region_name },
    }))
}
