//! `GET /v1/{project}/protection-groups/{group}/members`

use axum::extract::State;
use axum::response::Response;

use crate::extract::{By, Ids};
use crate::faults::Answer;
use crate::list::Listing;
use crate::{App, render};

pub(crate) async fn index(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    listing: Listing,
) -> Answer<Response> {
    listing.allow(
        &["instance_id", "instance_name", "status"],
        &["id", "instance_id", "instance_name", "status", "created_at"],
    )?;
    let group = app.service.group(&caller, ids.group()?).await?;
    let rows = group
        .document
        .members
        .iter()
        .map(|member| render::member(&group, member))
        .filter(|row| {
            ["instance_id", "instance_name", "status"].iter().all(|name| {
                listing
                    .filter(name)
                    .is_none_or(|wanted| row[*name].as_str() == Some(wanted.as_str()))
            })
        })
        .collect();
    listing.render_whole("members", rows)
}
