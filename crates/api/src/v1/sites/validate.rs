//! `POST /v1/admin/sites/{site}/validate`: 200 whatever it finds.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::extract::Ids;
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn validate(State(app): State<App>, ids: Ids) -> Answer<Json<Value>> {
    let (site, checks) = app.service.validate_site(ids.site()?).await?;
    let has_credentials = app.service.has_credentials(&site).await?;
    let shown = render::site(&site, app.service.local_site(), has_credentials);
    Ok(Json(json!({"site": shown, "checks": checks})))
}
