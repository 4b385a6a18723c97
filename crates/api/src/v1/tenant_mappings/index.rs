//! `GET /v1/{project}/tenant-mappings`

use axum::extract::State;
use axum::response::Response;

use crate::faults::Answer;
use crate::list::Listing;
use crate::{App, render};

pub(crate) async fn index(State(app): State<App>, listing: Listing) -> Answer<Response> {
    listing.allow(
        &["local_tenant", "remote_site", "remote_tenant"],
        &["id", "local_tenant", "remote_site", "remote_tenant", "created_at"],
    )?;
    let rows = app
        .service
        .tenant_mappings()
        .await?
        .iter()
        .map(render::tenant_mapping)
        .filter(|row| {
            ["local_tenant", "remote_site", "remote_tenant"]
                .iter()
                .all(|name| {
                    listing
                        .filter(name)
                        .is_none_or(|wanted| row[*name].as_str() == Some(wanted.as_str()))
                })
        })
        .collect();
    listing.render_whole("tenant_mappings", rows)
}
