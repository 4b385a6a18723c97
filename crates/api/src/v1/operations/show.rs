//! `GET /v1/{project}/operations/{operation}`

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::index::names;
use crate::extract::{By, Ids};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn show(State(app): State<App>, By(caller): By, ids: Ids) -> Answer<Json<Value>> {
    let operation = app.service.operation(&caller, ids.operation()?).await?;
    let names = names(&app, &caller).await?;
    Ok(Json(json!({"operation": render::operation(&operation, &names)})))
}
