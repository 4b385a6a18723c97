//! `GET /v1/{project}/protection-groups/{group}/sync-log`

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::extract::{By, Ids};
use crate::faults::Answer;
use crate::list::Listing;
use crate::{App, render};

pub(crate) async fn log(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    listing: Listing,
) -> Answer<Json<Value>> {
    listing.allow(&["event"], &[])?;
    let event = listing.filter("event");
    let (group, entries) = app
        .service
        .sync_log(&caller, ids.group()?, event.as_deref(), listing.limit())
        .await?;
    let rows: Vec<Value> = entries
        .iter()
        .map(|entry| render::sync_entry(entry, &group.document))
        .collect();
    Ok(Json(json!({"sync_log": rows})))
}
