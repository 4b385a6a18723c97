//! `GET /v1/admin/sites` and `GET /v1/{project}/sites`

use axum::extract::State;
use axum::response::Response;

use crate::faults::Answer;
use crate::list::Listing;
use crate::{App, render};

pub(crate) async fn index(State(app): State<App>, listing: Listing) -> Answer<Response> {
    listing.allow(&["name", "status", "site_type"], &["id", "name", "created_at"])?;
    let (name, status, kind) = (
        listing.filter("name"),
        listing.filter("status"),
        listing.filter("site_type"),
    );
    let mut rows = Vec::new();
    for site in app.service.sites().await? {
        let wanted = name.as_ref().is_none_or(|name| *name == site.name)
            && status
                .as_ref()
                .is_none_or(|status| status == site.status.as_str())
            && kind.as_ref().is_none_or(|kind| kind == site.site_type.as_str());
        if wanted {
            let has_credentials = app.service.has_credentials(&site).await?;
            rows.push(render::site(&site, app.service.local_site(), has_credentials));
        }
    }
    listing.render_whole("sites", rows)
}
