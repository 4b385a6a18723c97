//! `/v1/{project}/operations`, and the action that starts one.

use std::collections::HashMap;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use protector_domain::{GroupId, Mappings};
use protector_ports::store::{GroupFilter, OperationFilter, Page};
use protector_service::Caller;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::extract::{Body, ListQuery, id, statement};
use crate::faults::{Answer, Fault};
use crate::{App, render};

/// Exactly one of the actions, with its options inside.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Action {
    failover: Failover,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failover {
    #[serde(rename = "type", default)]
    kind: FailoverType,
    #[serde(default)]
    mappings: Mappings,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
enum FailoverType {
    #[default]
    Planned,
    Unplanned,
}

pub(crate) async fn start(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((_, group)): Path<(String, String)>,
    headers: HeaderMap,
    Body(body): Body<Action>,
) -> Answer<(StatusCode, Json<Value>)> {
    let group: GroupId = id("protection group", &group)?;
    if body.failover.kind == FailoverType::Unplanned {
        return Err(Fault::bad_request("Unplanned failover is not offered by this release: only type 'planned'."));
    }
    let statement = statement(&headers)?;
    let operation = app.service.planned_failover(&caller, group, &body.failover.mappings, &statement).await?;
    let group = app.service.group(&caller, group).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "operation": render::operation(&operation, Some(&group.document.name)) }))))
}

pub(crate) async fn list(State(app): State<App>, Extension(caller): Extension<Caller>, Path(project): Path<String>, Query(query): Query<ListQuery>) -> Answer<Json<Value>> {
    let group = query.protection_group_id.as_deref().map(|text| id("protection group", text)).transpose()?;
    let filter = OperationFilter { project: None, group, status: query.status.clone(), operation_type: query.operation_type.clone() };
    let operations = app.service.operations(&caller, filter, &query.page()?).await?;
    let names: HashMap<GroupId, String> = app
        .service
        .groups(&caller, GroupFilter::default(), &Page::default())
        .await?
        .into_iter()
        .map(|group| (group.id(), group.document.name))
        .collect();
    let items = operations.iter().map(|one| render::operation(one, names.get(&one.group_id).map(String::as_str))).collect();
    Ok(Json(render::list("operations", items, query.limit()?, &format!("/v1/{project}/operations"))))
}

pub(crate) async fn show(State(app): State<App>, Extension(caller): Extension<Caller>, Path((_, operation)): Path<(String, String)>) -> Answer<Json<Value>> {
    let operation = app.service.operation(&caller, id("operation", &operation)?).await?;
    // The group may be gone; its operations stay.
    let group = app.service.group(&caller, operation.group_id).await.ok();
    Ok(Json(json!({ "operation": render::operation(&operation, group.as_ref().map(|group| group.document.name.as_str())) })))
}
