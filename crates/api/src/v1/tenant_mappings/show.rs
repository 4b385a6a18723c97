//! `GET /v1/{project}/tenant-mappings/{mapping}`

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::extract::Ids;
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn show(State(app): State<App>, ids: Ids) -> Answer<Json<Value>> {
    let mapping = app.service.tenant_mapping(ids.mapping()?).await?;
    Ok(Json(json!({"tenant_mapping": render::tenant_mapping(&mapping)})))
}
