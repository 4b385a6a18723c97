//! `/v1/{project}/protection-groups/{group}/policy`

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use protector_service::Caller;
use protector_service::policies::NewPolicy;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::extract::{Body, id, statement};
use crate::faults::Answer;
use crate::{App, render};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    policy: Wanted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    primary_fa_url: String,
    primary_fa_token: SecretString,
    secondary_fa_url: String,
    secondary_fa_token: SecretString,
    pure_pg_name: String,
    /// Seconds.
    replication_interval: Option<u64>,
    rpo_minutes: Option<u64>,
}

pub(crate) async fn show(State(app): State<App>, Extension(caller): Extension<Caller>, Path((_, group)): Path<(String, String)>) -> Answer<Json<Value>> {
    let (group, policy) = app.service.policy(&caller, id("protection group", &group)?).await?;
    Ok(Json(json!({ "policy": render::policy(&group, &policy) })))
}

pub(crate) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((_, group)): Path<(String, String)>,
    headers: HeaderMap,
    Body(body): Body<Create>,
) -> Answer<(StatusCode, Json<Value>)> {
    let statement = statement(&headers)?;
    let wanted = body.policy;
    let new = NewPolicy {
        primary_fa_url: wanted.primary_fa_url,
        primary_fa_token: wanted.primary_fa_token,
        secondary_fa_url: wanted.secondary_fa_url,
        secondary_fa_token: wanted.secondary_fa_token,
        pure_pg_name: wanted.pure_pg_name,
        replication_interval_seconds: wanted.replication_interval,
        rpo_minutes: wanted.rpo_minutes,
    };
    let group = app.service.create_policy(&caller, id("protection group", &group)?, new, &statement).await?;
    let policy = group.document.policy.as_ref().map(|policy| render::policy(&group, policy));
    Ok((StatusCode::ACCEPTED, Json(json!({ "policy": policy }))))
}
