//! `GET /v1/{project}/protection-groups`

use axum::extract::State;
use axum::response::Response;
use protector_ports::store::GroupFilter;

use crate::extract::By;
use crate::faults::Answer;
use crate::list::Listing;
use crate::{App, render};

pub(crate) async fn index(State(app): State<App>, By(caller): By, listing: Listing) -> Answer<Response> {
    listing.allow(
        &["name", "status"],
        &["id", "name", "status", "created_at", "updated_at"],
    )?;
    let filter = GroupFilter {
        project: None,
        name: listing.filter("name"),
        status: listing.filter("status"),
    };
    let groups = app.service.groups(&caller, filter, &listing.page()).await?;
    let local = app.service.local_site();
    let rows = groups.iter().map(|group| render::group(group, local)).collect();
    Ok(listing.render("protection_groups", rows))
}
