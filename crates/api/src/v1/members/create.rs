//! `POST /v1/{project}/protection-groups/{group}/members`

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protector_domain::ServerId;
use serde_json::json;

use crate::body::Fields;
use crate::extract::{By, Ids, Peer};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn create(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    Peer(statement): Peer,
    body: Fields,
) -> Answer<impl IntoResponse> {
    let group = ids.group()?;
    let mut fields = body.only("member")?;
    let instance: ServerId = fields.required("instance_id")?;
    fields.finish()?;
    let (group, id) = app
        .service
        .add_member(&caller, group, instance, &statement)
        .await?;
    let shown = render::member_of(&group, id);
    Ok((StatusCode::ACCEPTED, Json(json!({"member": shown}))))
}
