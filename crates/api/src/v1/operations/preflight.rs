//! `POST /v1/{project}/protection-groups/{group}/preflight`
//!
//! What an operation would find, all of it at once. Nothing is changed, and no statement is needed.

use axum::Json;
use axum::extract::State;
use protector_domain::Mappings;
use protector_oslo::faults::Fault;
use protector_service::preflight::Manner;
use serde_json::{Value, json};

use crate::body::Fields;
use crate::extract::{By, Ids};
use crate::faults::Answer;
use crate::v1::mappings::update::mappings;
use crate::{App, render};

pub(crate) async fn preflight(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    body: Fields,
) -> Answer<Json<Value>> {
    let id = ids.group()?;
    let mut fields = body.only("preflight")?;
    let word = fields
        .optional::<String>("type")?
        .unwrap_or_else(|| "planned".to_owned());
    let manner = Manner::from_word(&word).ok_or_else(|| {
        Fault::bad_request(format!(
            "Field 'preflight.type' is not valid: it is {}.",
            Manner::WORDS.join(" or ")
        ))
    })?;
    let mappings = match fields.maybe_inner("mappings")? {
        Some(inner) => mappings(inner)?,
        None => Mappings::default(),
    };
    fields.finish()?;
    let found = app.service.preflight(&caller, id, manner, &mappings).await?;
    let mut shown = render::preflight(&found);
    shown["type"] = json!(word);
    Ok(Json(json!({"preflight": shown})))
}
