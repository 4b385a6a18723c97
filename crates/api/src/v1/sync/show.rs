//! `GET /v1/{project}/protection-groups/{group}/sync`

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::extract::{By, Ids};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn show(State(app): State<App>, By(caller): By, ids: Ids) -> Answer<Json<Value>> {
    let (group, checksum) = app.service.sync_state(&caller, ids.group()?).await?;
    let shown = render::sync(&group, &checksum.0, app.service.local_site());
    Ok(Json(json!({"sync": shown})))
}
