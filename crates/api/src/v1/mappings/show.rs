//! `GET /v1/{project}/protection-groups/{group}/mappings`

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::App;
use crate::extract::{By, Ids};
use crate::faults::Answer;

pub(crate) async fn show(State(app): State<App>, By(caller): By, ids: Ids) -> Answer<Json<Value>> {
    let group = app.service.group(&caller, ids.group()?).await?;
    Ok(Json(json!({"mappings": group.document.mappings})))
}
