//! `PUT /v1/{project}/protection-groups/{group}/metadata`

use axum::Json;
use axum::extract::State;
use protector_domain::Bundle;
use serde_json::{Value, json};

use crate::App;
use crate::body::Fields;
use crate::extract::{By, Ids};
use crate::faults::Answer;

pub(crate) async fn update(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    body: Fields,
) -> Answer<Json<Value>> {
    let id = ids.group()?;
    let bundle: Bundle = body.only("bundle")?.whole()?;
    let receipt = app.service.import_bundle(&caller, id, &bundle).await?;
    Ok(Json(json!({"receipt": receipt})))
}
