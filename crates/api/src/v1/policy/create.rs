//! `POST /v1/{project}/protection-groups/{group}/policy`

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protector_service::policies::{GivenToken, NewPolicy};
use serde_json::json;

use crate::body::Fields;
use crate::extract::{By, Ids, Peer};
use crate::faults::Answer;
use crate::{App, render};

pub(crate) async fn create(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    Peer(statement): Peer,
    body: Fields,
) -> Answer<impl IntoResponse> {
    let group = ids.group()?;
    let mut fields = body.only("policy")?;
    let new = NewPolicy {
        primary_fa_url: fields.required("primary_fa_url")?,
        primary_fa_token: token(&mut fields, "primary")?,
        secondary_fa_url: fields.required("secondary_fa_url")?,
        secondary_fa_token: token(&mut fields, "secondary")?,
        pure_pg_name: fields.required("pure_pg_name")?,
        replication_interval_seconds: fields.optional("replication_interval")?,
        rpo_minutes: fields.optional("rpo_minutes")?,
    };
    fields.finish()?;
    let group = app.service.create_policy(&caller, group, new, &statement).await?;
    let shown = group
        .document
        .policy
        .as_ref()
        .map(|policy| render::policy(&group, policy));
    Ok((StatusCode::ACCEPTED, Json(json!({"policy": shown}))))
}

/// A side's token, or the secret that has it.
fn token(fields: &mut Fields, side: &str) -> Answer<GivenToken> {
    let token = fields.secret(&format!("{side}_fa_token"))?;
    let secret: Option<String> = fields.optional(&format!("{side}_fa_token_secret"))?;
    Ok(GivenToken::one_of(side, token, secret.as_deref())?)
}
