//! `GET /v1/admin/sites/{site}/volume-types`: the types that can be protected.

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::App;
use crate::extract::Ids;
use crate::faults::Answer;
use crate::list::Listing;

pub(crate) async fn volume_types(State(app): State<App>, ids: Ids, listing: Listing) -> Answer<Response> {
    listing.allow(&[], &["id", "name"])?;
    let rows = app
        .service
        .eligible_types(ids.site()?)
        .await?
        .into_iter()
        .map(|(found, mode)| {
            json!({
                "id": found.id,
                "name": found.name,
                "replication_enabled": "<is> True",
                "replication_type": format!("<in> {}", mode.as_str()),
            })
        })
        .collect();
    listing.render_whole("volume_types", rows)
}
