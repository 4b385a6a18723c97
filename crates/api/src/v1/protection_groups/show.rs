//! `GET /v1/{project}/protection-groups/{group}`

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::extract::{By, Ids};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn show(State(app): State<App>, By(caller): By, ids: Ids) -> Answer<Json<Value>> {
    let group = app.service.group(&caller, ids.group()?).await?;
    let mut shown = render::group(&group, app.service.local_site());
    let facts = app.service.facts(&group).await?;
    shown["facts_read_at"] = json!(facts.read_at);
    shown["facts_complete"] = json!(facts.complete);
    let fence = app.service.fence(&group).await?;
    shown["fencing"] = json!(fence.map(|fence| render::fence(&fence, &group)));
    Ok(Json(json!({"protection_group": shown})))
}
