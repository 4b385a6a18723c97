//! `PATCH /v1/{project}/protection-groups/{group}`

use axum::Json;
use axum::extract::State;
use protector_service::groups::GroupChange;
use serde_json::{Value, json};

use crate::body::Fields;
use crate::extract::{By, Ids, Peer};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn update(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    Peer(statement): Peer,
    body: Fields,
) -> Answer<Json<Value>> {
    let id = ids.group()?;
    let mut fields = body.only("protection_group")?;
    let change = GroupChange {
        name: fields.optional("name")?,
        description: fields.text("description", 2000)?,
    };
    fields.finish()?;
    let group = app.service.update_group(&caller, id, change, &statement).await?;
    let shown = render::group(&group, app.service.local_site());
    Ok(Json(json!({"protection_group": shown})))
}
