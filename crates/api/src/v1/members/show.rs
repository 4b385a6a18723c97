//! `GET /v1/{project}/protection-groups/{group}/members/{member}`

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::extract::{By, Ids};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn show(State(app): State<App>, By(caller): By, ids: Ids) -> Answer<Json<Value>> {
    let (group, member) = app.service.member(&caller, ids.group()?, ids.member()?).await?;
    Ok(Json(json!({"member": render::member(&group, &member)})))
}
