//! `/v1/{project}/protection-groups/{group}/members`

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use protector_domain::ServerId;
use protector_service::Caller;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::extract::{Body, id, statement};
use crate::faults::{Answer, Fault};
use crate::{App, render};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    member: NewMember,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMember {
    instance_id: String,
}

pub(crate) async fn list(State(app): State<App>, Extension(caller): Extension<Caller>, Path((_, group)): Path<(String, String)>) -> Answer<Json<Value>> {
    let group = app.service.group(&caller, id("protection group", &group)?).await?;
    let members: Vec<Value> = group.document.members.iter().map(|member| render::member(&group, member)).collect();
    Ok(Json(json!({ "members": members })))
}

pub(crate) async fn show(State(app): State<App>, Extension(caller): Extension<Caller>, Path((_, group, member)): Path<(String, String, String)>) -> Answer<Json<Value>> {
    let (group, member) = app.service.member(&caller, id("protection group", &group)?, id("member", &member)?).await?;
    Ok(Json(json!({ "member": render::member(&group, &member) })))
}

pub(crate) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((_, group)): Path<(String, String)>,
    headers: HeaderMap,
    Body(body): Body<Create>,
) -> Answer<(StatusCode, Json<Value>)> {
    let group = id("protection group", &group)?;
    let statement = statement(&headers)?;
    let instance = ServerId::new(body.member.instance_id).map_err(|error| Fault::bad_request(format!("instance_id: {error}.")))?;
    let (group, member) = app.service.add_member(&caller, group, instance, &statement).await?;
    let member = group.document.member(member).map(|member| render::member(&group, member));
    Ok((StatusCode::ACCEPTED, Json(json!({ "member": member }))))
}

pub(crate) async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((_, group, member)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Answer<StatusCode> {
    let statement = statement(&headers)?;
    app.service.remove_member(&caller, id("protection group", &group)?, id("member", &member)?, &statement).await?;
    Ok(StatusCode::ACCEPTED)
}
