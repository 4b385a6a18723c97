//! `GET /v1/{project}/protection-groups/{group}/consistency-group`

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::extract::{By, Ids};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn show(State(app): State<App>, By(caller): By, ids: Ids) -> Answer<Json<Value>> {
    let (group, pair) = app.service.consistency_group(&caller, ids.group()?).await?;
    let shown = render::consistency_group(&group, &pair, app.service.local_site());
    Ok(Json(json!({"consistency_group": shown})))
}
