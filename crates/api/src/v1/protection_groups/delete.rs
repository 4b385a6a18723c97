//! `DELETE /v1/{project}/protection-groups/{group}`
//!
//! Where the group runs this begins its end and answers the tombstone; with that tombstone in a header it brings
//! the end to the other site. A deletion that has begun is answered again, for a client that comes later.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, response::IntoResponse};
use protector_domain::Tombstone;
use serde_json::json;

use crate::App;
use crate::extract::{By, DELETED, Ids, carried, statement};
use crate::faults::Answer;

pub(crate) async fn delete(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    headers: HeaderMap,
) -> Answer<impl IntoResponse> {
    let id = ids.group()?;
    let brought: Option<Tombstone> = carried(&headers, DELETED, "X-Protector-Deleted")?;
    let tombstone = if let Some(tombstone) = brought {
        app.service.bury_group(&caller, id, &tombstone).await?;
        tombstone
    } else if let Some(begun) = app.service.tombstone(&caller, id).await? {
        begun
    } else {
        app.service
            .delete_group(&caller, id, &statement(&headers)?)
            .await?
    };
    Ok((StatusCode::ACCEPTED, Json(json!({"tombstone": tombstone}))))
}
