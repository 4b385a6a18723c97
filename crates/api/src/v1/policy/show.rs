//! `GET /v1/{project}/protection-groups/{group}/policy`

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::extract::{By, Ids};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn show(State(app): State<App>, By(caller): By, ids: Ids) -> Answer<Json<Value>> {
    let (group, policy) = app.service.policy(&caller, ids.group()?).await?;
    Ok(Json(json!({"policy": render::policy(&group, &policy)})))
}
