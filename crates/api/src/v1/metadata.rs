//! `/v1/{project}/protection-groups/{group}/metadata`: the bundle, out and in.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use protector_domain::Bundle;
use protector_service::Caller;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::extract::{Body, id};
use crate::faults::Answer;

#[derive(Deserialize)]
pub(crate) struct Import {
    bundle: Bundle,
}

pub(crate) async fn export(State(app): State<App>, Extension(caller): Extension<Caller>, Path((_, group)): Path<(String, String)>) -> Answer<Json<Value>> {
    let bundle = app.service.export_bundle(&caller, id("protection group", &group)?).await?;
    Ok(Json(json!({ "bundle": bundle })))
}

pub(crate) async fn import(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((_, group)): Path<(String, String)>,
    Body(body): Body<Import>,
) -> Answer<Json<Value>> {
    let receipt = app.service.import_bundle(&caller, id("protection group", &group)?, &body.bundle).await?;
    Ok(Json(json!({ "receipt": receipt })))
}
