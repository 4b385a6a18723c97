//! `POST /v1/admin/sites/{site}/validate`: 200 whatever it finds.

use axum::Json;
use axum::extract::State;
use chrono::Utc;
use serde_json::{Value, json};

use crate::extract::Ids;
use crate::faults::Answer;
use crate::{App, MICROVERSIONS, render};

pub(crate) async fn validate(State(app): State<App>, ids: Ids) -> Answer<Json<Value>> {
    let (site, checks) = app.service.validate_site(ids.site()?).await?;
    let has_credentials = app.service.has_credentials(&site).await?;
    let shown = render::site(&site, app.service.local_site(), has_credentials);
    // Whoever asks both sites sees what they differ in.
    let own = json!({
        "release": env!("CARGO_PKG_VERSION"), "max_version": MICROVERSIONS.max.to_string(), "now": Utc::now()
    });
    Ok(Json(json!({"site": shown, "checks": checks, "protector": own})))
}
