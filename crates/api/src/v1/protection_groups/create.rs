//! `POST /v1/{project}/protection-groups`

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protector_service::groups::NewGroup;
use serde_json::json;

use crate::body::Fields;
use crate::extract::{By, Peer};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn create(
    State(app): State<App>,
    By(caller): By,
    Peer(statement): Peer,
    body: Fields,
) -> Answer<impl IntoResponse> {
    let mut fields = body.only("protection_group")?;
    let new = NewGroup {
        id: fields.required("id")?,
        name: fields.required("name")?,
        description: fields.text("description", 2000)?.unwrap_or_default(),
        replication_type: fields.required("replication_type")?,
        primary_site: fields.required("primary_site_id")?,
        secondary_site: fields.required("secondary_site_id")?,
        volume_type: fields.required("volume_type")?,
    };
    fields.finish()?;
    let group = app.service.create_group(&caller, new, &statement).await?;
    let shown = render::group(&group, app.service.local_site());
    Ok((StatusCode::ACCEPTED, Json(json!({"protection_group": shown}))))
}
