//! `GET /v1/{project}/operations`, newest first.

use axum::extract::State;
use axum::response::Response;
use protector_oslo::faults::Fault;
use protector_ports::store::{GroupFilter, OperationFilter, Page};
use protector_service::Caller;

use crate::extract::By;
use crate::faults::{Answer, Refusal};
use crate::list::Listing;
use crate::render::GroupNames;
use crate::{App, render};

pub(crate) async fn index(State(app): State<App>, By(caller): By, listing: Listing) -> Answer<Response> {
    listing.allow(
        &["protection_group_id", "status", "operation_type"],
        &["id", "status", "operation_type", "created_at"],
    )?;
    let group = listing
        .filter("protection_group_id")
        .map(|text| text.parse())
        .transpose()
        .map_err(|_| {
            Refusal::from(Fault::bad_request(
                "Parameter 'protection_group_id' must be an id.",
            ))
        })?;
    let filter = OperationFilter {
        project: None,
        group,
        status: listing.filter("status"),
        operation_type: listing.filter("operation_type"),
    };
    let operations = app.service.operations(&caller, filter, &listing.page()).await?;
    let names = names(&app, &caller).await?;
    let rows = operations
        .iter()
        .map(|operation| render::operation(operation, &names))
        .collect();
    Ok(listing.render("operations", rows))
}

/// The names of the caller's groups; a deleted one has none any more.
pub(super) async fn names(app: &App, caller: &Caller) -> Answer<GroupNames> {
    let groups = app
        .service
        .groups(caller, GroupFilter::default(), &Page::default())
        .await?;
    Ok(groups
        .into_iter()
        .map(|group| (group.id(), group.document.name))
        .collect())
}
