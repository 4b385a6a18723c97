//! `GET /v1/admin/sites/{site}` and `GET /v1/{project}/sites/{site}`

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::extract::Ids;
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn show(State(app): State<App>, ids: Ids) -> Answer<Json<Value>> {
    let site = app.service.site(ids.site()?).await?;
    let has_credentials = app.service.has_credentials(&site).await?;
    let shown = render::site(&site, app.service.local_site(), has_credentials);
    Ok(Json(json!({"site": shown})))
}
