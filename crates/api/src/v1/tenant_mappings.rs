//! `/v1/{project}/tenant-mappings`

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::Json;
use protector_domain::{ProjectId, SiteId, TenantMappingId};
use protector_service::tenants::NewTenantMapping;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::extract::{Body, id};
use crate::faults::Answer;
use crate::{App, render};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    tenant_mapping: Wanted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    id: Option<TenantMappingId>,
    local_tenant: ProjectId,
    remote_site: SiteId,
    remote_tenant: ProjectId,
    #[serde(default)]
    description: Option<String>,
}

pub(crate) async fn create(State(app): State<App>, Body(body): Body<Create>) -> Answer<(StatusCode, Json<Value>)> {
    let wanted = body.tenant_mapping;
    let new = NewTenantMapping {
        id: wanted.id,
        local_tenant: wanted.local_tenant,
        remote_site: wanted.remote_site,
        remote_tenant: wanted.remote_tenant,
        description: wanted.description.unwrap_or_default(),
    };
    let mapping = app.service.create_tenant_mapping(new).await?;
    Ok((StatusCode::CREATED, Json(json!({ "tenant_mapping": render::tenant_mapping(&mapping) }))))
}

pub(crate) async fn list(State(app): State<App>) -> Answer<Json<Value>> {
    let mappings = app.service.tenant_mappings().await?;
    Ok(Json(json!({ "tenant_mappings": mappings.iter().map(render::tenant_mapping).collect::<Vec<_>>() })))
}

pub(crate) async fn show(State(app): State<App>, Path((_, mapping)): Path<(String, String)>) -> Answer<Json<Value>> {
    let mapping = app.service.tenant_mapping(id("tenant mapping", &mapping)?).await?;
    Ok(Json(json!({ "tenant_mapping": render::tenant_mapping(&mapping) })))
}

pub(crate) async fn remove(State(app): State<App>, Path((_, mapping)): Path<(String, String)>) -> Answer<StatusCode> {
    app.service.delete_tenant_mapping(id("tenant mapping", &mapping)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
