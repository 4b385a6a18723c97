//! `/v1/{project}/protection-groups/{group}/consistency-group`

use axum::extract::{Path, State};
use axum::{Extension, Json};
use protector_service::Caller;
use serde_json::{Value, json};

use crate::extract::id;
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn show(State(app): State<App>, Extension(caller): Extension<Caller>, Path((_, group)): Path<(String, String)>) -> Answer<Json<Value>> {
    let (group, pair) = app.service.consistency_group(&caller, id("protection group", &group)?).await?;
    Ok(Json(json!({ "consistency_group": render::consistency_group(&group, &pair, app.site.id) })))
}
