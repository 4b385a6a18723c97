//! `POST /v1/{project}/operations/{operation}/action`

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protector_oslo::faults::Fault;
use protector_service::control::{Decision, Word};
use serde_json::json;

use super::index::names;
use crate::body::Fields;
use crate::extract::{By, Ids};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn control(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    body: Fields,
) -> Answer<impl IntoResponse> {
    let id = ids.operation()?;
    let (what, mut fields) = body.one_of(&["cancel", "retry", "resolve"])?;
    let word = match what {
        "cancel" => Word::Cancel,
        "retry" => Word::Retry,
        _ => {
            let decision: String = fields.required("decision")?;
            let note = fields.optional("note")?.unwrap_or_default();
            let decision = Decision::from_word(&decision).ok_or_else(|| {
                Fault::bad_request(format!(
                    "Field 'resolve.decision' is not valid: it is one of {}.",
                    Decision::WORDS.join(", ")
                ))
            })?;
            Word::Resolve { decision, note }
        }
    };
    fields.finish()?;
    let operation = app.service.tell_operation(&caller, id, word).await?;
    let names = names(&app, &caller).await?;
    let shown = render::operation(&operation, &names);
    Ok((StatusCode::ACCEPTED, Json(json!({"operation": shown}))))
}
