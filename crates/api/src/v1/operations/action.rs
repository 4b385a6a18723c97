//! `POST /v1/{project}/protection-groups/{group}/action`
//!
//! A planned operation is a modification and carries the other site's statement; an unplanned failover is none.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, response::IntoResponse};
use protector_domain::Mappings;
use protector_oslo::faults::Fault;
use serde_json::json;

use super::index::names;
use crate::body::Fields;
use crate::extract::{By, Ids, statement};
use crate::faults::{Answer, Refusal};
use crate::v1::mappings::update::mappings;
use crate::{App, render};

const ACTIONS: [&str; 5] = [
    "failover",
    "failback",
    "test_failover",
    "test_cleanup",
    "sync_volumes",
];

pub(crate) async fn action(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    headers: HeaderMap,
    body: Fields,
) -> Answer<impl IntoResponse> {
    let id = ids.group()?;
    let (what, mut fields) = body.one_of(&ACTIONS)?;
    if what != "failover" {
        // Whether the group is there is told first, to those who may know.
        app.service.group(&caller, id).await?;
        return Err(not_offered(what));
    }
    let kind = fields
        .optional::<String>("type")?
        .unwrap_or_else(|| "planned".to_owned());
    let mappings = match fields.maybe_inner("mappings")? {
        Some(inner) => mappings(inner)?,
        None => Mappings::default(),
    };
    fields.finish()?;
    let operation = match kind.as_str() {
        "planned" => {
            let statement = statement(&headers)?;
            app.service
                .planned_failover(&caller, id, &mappings, &statement)
                .await?
        }
        // The site that could give a statement is dead.
        "unplanned" => app.service.unplanned_failover(&caller, id, &mappings).await?,
        _ => {
            let message = "Field 'failover.type' is not valid: it is planned or unplanned.";
            return Err(Fault::bad_request(message).into());
        }
    };
    let names = names(&app, &caller).await?;
    let shown = render::operation(&operation, &names);
    Ok((StatusCode::ACCEPTED, Json(json!({"operation": shown}))))
}

fn not_offered(what: &str) -> Refusal {
    let what = what.replace('_', " ");
    Fault::new(
        StatusCode::NOT_IMPLEMENTED,
        format!("This release does not offer: {what}."),
    )
    .into()
}
