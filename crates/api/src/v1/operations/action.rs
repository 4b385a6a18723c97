//! `POST /v1/{project}/protection-groups/{group}/action`

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protector_domain::Mappings;
use protector_oslo::faults::Fault;
use serde_json::json;

use super::index::names;
use crate::body::Fields;
use crate::extract::{By, Ids, Peer};
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
    Peer(statement): Peer,
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
    match kind.as_str() {
        "planned" => {}
        "unplanned" => return Err(not_offered("unplanned failover")),
        _ => {
            let message = "Field 'failover.type' is not valid: it is planned or unplanned.";
            return Err(Fault::bad_request(message).into());
        }
    }
    let operation = app
        .service
        .planned_failover(&caller, id, &mappings, &statement)
        .await?;
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
