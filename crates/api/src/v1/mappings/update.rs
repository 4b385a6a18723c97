//! `PUT /v1/{project}/protection-groups/{group}/mappings`

use axum::Json;
use axum::extract::State;
use protector_domain::Mappings;
use serde_json::{Value, json};

use crate::App;
use crate::body::Fields;
use crate::extract::{By, Ids, Peer};
use crate::faults::Answer;

pub(crate) async fn update(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    Peer(statement): Peer,
    body: Fields,
) -> Answer<Json<Value>> {
    let group = ids.group()?;
    let mappings = mappings(body.only("mappings")?)?;
    let group = app
        .service
        .set_mappings(&caller, group, mappings, &statement)
        .await?;
    Ok(Json(json!({"mappings": group.document.mappings})))
}

pub(crate) fn mappings(mut fields: Fields) -> Answer<Mappings> {
    let mappings = Mappings {
        networks: fields.optional("networks")?.unwrap_or_default(),
        flavors: fields.optional("flavors")?.unwrap_or_default(),
        security_groups: fields.optional("security_groups")?.unwrap_or_default(),
        keypairs: fields.optional("keypairs")?.unwrap_or_default(),
        availability_zones: fields.optional("availability_zones")?.unwrap_or_default(),
    };
    fields.finish()?;
    Ok(mappings)
}
