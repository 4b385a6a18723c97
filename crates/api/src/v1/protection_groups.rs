//! `/v1/{project}/protection-groups`

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use protector_domain::{GroupId, Mappings, ReplicationType, SiteId};
use protector_ports::store::GroupFilter;
use protector_service::Caller;
use protector_service::groups::{GroupChange, NewGroup, Tombstone};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::extract::{Body, ListQuery, from_header, id, statement};
use crate::faults::Answer;
use crate::{App, render};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    protection_group: Wanted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    id: GroupId,
    name: String,
    #[serde(default)]
    description: Option<String>,
    replication_type: ReplicationType,
    primary_site_id: SiteId,
    secondary_site_id: SiteId,
    /// Name or id at the primary site.
    volume_type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    protection_group: Change,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetMappings {
    mappings: Mappings,
}

pub(crate) async fn list(State(app): State<App>, Extension(caller): Extension<Caller>, Path(project): Path<String>, Query(query): Query<ListQuery>) -> Answer<Json<Value>> {
    let filter = GroupFilter { project: None, name: query.name.clone(), status: query.status.clone() };
    let groups = app.service.groups(&caller, filter, &query.page()?).await?;
    let items = groups.iter().map(|group| render::group(group, app.site.id)).collect();
    Ok(Json(render::list("protection_groups", items, query.limit()?, &format!("/v1/{project}/protection-groups"))))
}

pub(crate) async fn create(State(app): State<App>, Extension(caller): Extension<Caller>, headers: HeaderMap, Body(body): Body<Create>) -> Answer<(StatusCode, Json<Value>)> {
    let statement = statement(&headers)?;
    let wanted = body.protection_group;
    let new = NewGroup {
        id: wanted.id,
        name: wanted.name,
        description: wanted.description.unwrap_or_default(),
        replication_type: wanted.replication_type,
        primary_site: wanted.primary_site_id,
        secondary_site: wanted.secondary_site_id,
        volume_type: wanted.volume_type,
    };
    let group = app.service.create_group(&caller, new, &statement).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "protection_group": render::group(&group, app.site.id) }))))
}

pub(crate) async fn show(State(app): State<App>, Extension(caller): Extension<Caller>, Path((_, group)): Path<(String, String)>) -> Answer<Json<Value>> {
    let group = app.service.group(&caller, id("protection group", &group)?).await?;
    Ok(Json(json!({ "protection_group": render::group(&group, app.site.id) })))
}

pub(crate) async fn update(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((_, group)): Path<(String, String)>,
    headers: HeaderMap,
    Body(body): Body<Update>,
) -> Answer<Json<Value>> {
    let statement = statement(&headers)?;
    let change = GroupChange { name: body.protection_group.name, description: body.protection_group.description };
    let group = app.service.update_group(&caller, id("protection group", &group)?, change, &statement).await?;
    Ok(Json(json!({ "protection_group": render::group(&group, app.site.id) })))
}

/// With a tombstone this is the peer's part of a deletion that the other site began.
pub(crate) async fn remove(State(app): State<App>, Extension(caller): Extension<Caller>, Path((_, group)): Path<(String, String)>, headers: HeaderMap) -> Answer<(StatusCode, Json<Value>)> {
    let group = id("protection group", &group)?;
    if let Some(tombstone) = from_header::<Tombstone>(&headers, "x-protector-deleted")? {
        app.service.bury_group(&caller, group, &tombstone).await?;
        return Ok((StatusCode::ACCEPTED, Json(json!({ "tombstone": tombstone }))));
    }
    let statement = from_header(&headers, "x-protector-statement")?;
    let tombstone = app.service.delete_group(&caller, group, statement.as_ref()).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "tombstone": tombstone }))))
}

pub(crate) async fn mappings(State(app): State<App>, Extension(caller): Extension<Caller>, Path((_, group)): Path<(String, String)>) -> Answer<Json<Value>> {
    let group = app.service.group(&caller, id("protection group", &group)?).await?;
    Ok(Json(json!({ "mappings": group.document.mappings })))
}

pub(crate) async fn set_mappings(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((_, group)): Path<(String, String)>,
    headers: HeaderMap,
    Body(body): Body<SetMappings>,
) -> Answer<Json<Value>> {
    let statement = statement(&headers)?;
    let group = app.service.set_mappings(&caller, id("protection group", &group)?, body.mappings, &statement).await?;
    Ok(Json(json!({ "mappings": group.document.mappings })))
}
