//! `POST /v1/{project}/tenant-mappings`

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protector_service::tenants::NewTenantMapping;
use serde_json::json;

use crate::body::Fields;
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn create(State(app): State<App>, body: Fields) -> Answer<impl IntoResponse> {
    let mut fields = body.only("tenant_mapping")?;
    let new = NewTenantMapping {
        id: fields.optional("id")?,
        local_tenant: fields.required("local_tenant")?,
        remote_site: fields.required("remote_site")?,
        remote_tenant: fields.required("remote_tenant")?,
        description: fields.text("description", 2000)?.unwrap_or_default(),
    };
    fields.finish()?;
    let mapping = app.service.create_tenant_mapping(new).await?;
    let shown = render::tenant_mapping(&mapping);
    Ok((StatusCode::CREATED, Json(json!({"tenant_mapping": shown}))))
}
