//! `POST /v1/{project}/protection-groups/{group}/sync`: one of nonce, statement, receipt, failed, reapplied.

use axum::Json;
use axum::extract::State;
use protector_domain::Stamp;
use serde_json::{Value, json};

use crate::body::Fields;
use crate::extract::{By, Ids};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn update(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    body: Fields,
) -> Answer<Json<Value>> {
    let id = ids.group()?;
    let (what, mut fields) = body.one_of(&["nonce", "statement", "receipt", "failed", "reapplied"])?;
    match what {
        "nonce" => {
            fields.finish()?;
            let nonce = app.service.nonce(&caller, id).await?;
            return Ok(Json(json!({"nonce": nonce})));
        }
        "statement" => {
            let nonce = fields.required("nonce")?;
            fields.finish()?;
            let statement = app.service.statement(&caller, id, nonce).await?;
            return Ok(Json(json!({"statement": statement})));
        }
        "receipt" => {
            app.service.receipt(&caller, id, fields.whole()?).await?;
        }
        "reapplied" => {
            let edit = Stamp {
                epoch: fields.required("epoch")?,
                version: fields.required("version")?,
            };
            fields.finish()?;
            app.service.reapplied(&caller, id, edit).await?;
        }
        _ => {
            let reason = fields.text("reason", 4000)?.unwrap_or_default();
            fields.finish()?;
            app.service.push_failed(&caller, id, &reason).await?;
        }
    }
    let (group, checksum) = app.service.sync_state(&caller, id).await?;
    let shown = render::sync(&group, &checksum.0, app.service.local_site());
    Ok(Json(json!({"sync": shown})))
}
