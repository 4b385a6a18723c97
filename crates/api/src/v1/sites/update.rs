//! `PATCH /v1/admin/sites/{site}`

use axum::Json;
use axum::extract::State;
use protector_service::sites::SiteChange;
use serde_json::{Value, json};

use super::create::credentials;
use crate::body::Fields;
use crate::extract::Ids;
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn update(State(app): State<App>, ids: Ids, body: Fields) -> Answer<Json<Value>> {
    let id = ids.site()?;
    let mut fields = body.only("site")?;
    let change = SiteChange {
        name: fields.optional("name")?,
        description: fields.text("description", 2000)?,
        site_type: fields.optional("site_type")?,
        auth_url: fields.optional("auth_url")?,
        region_name: fields.text("region_name", 255)?,
        public_key: fields.text("public_key", 255)?,
        credentials: credentials(&mut fields)?,
    };
    fields.finish()?;
    let site = app.service.update_site(id, change).await?;
    let has_credentials = app.service.has_credentials(&site).await?;
    let shown = render::site(&site, app.service.local_site(), has_credentials);
    Ok(Json(json!({"site": shown})))
}
