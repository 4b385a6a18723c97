//! `/v1/{project}/protection-groups/{group}/sync` and its log.

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use protector_domain::{GroupId, Receipt};
use protector_service::Caller;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::extract::{Body, ListQuery, id};
use crate::faults::Answer;
use crate::{App, render};

/// Exactly one of the things that sites exchange.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exchange {
    Nonce(Nothing),
    Statement(StatementOf),
    Receipt(Receipt),
    Failed(Failure),
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

#[derive(Deserialize)]
pub(crate) struct StatementOf {
    nonce: String,
}

#[derive(Deserialize)]
pub(crate) struct Failure {
    #[serde(default)]
    reason: String,
}

pub(crate) async fn show(State(app): State<App>, Extension(caller): Extension<Caller>, Path((_, group)): Path<(String, String)>) -> Answer<Json<Value>> {
    state(&app, &caller, id("protection group", &group)?).await
}

async fn state(app: &App, caller: &Caller, group: GroupId) -> Answer<Json<Value>> {
    let (group, checksum) = app.service.sync_state(caller, group).await?;
    Ok(Json(json!({ "sync": render::sync(&group, &checksum, app.site.id) })))
}

pub(crate) async fn exchange(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((_, group)): Path<(String, String)>,
    Body(body): Body<Exchange>,
) -> Answer<Json<Value>> {
    let group: GroupId = id("protection group", &group)?;
    match body {
        Exchange::Nonce(Nothing {}) => Ok(Json(json!({ "nonce": app.service.nonce(&caller, group).await? }))),
        Exchange::Statement(wanted) => Ok(Json(json!({ "statement": app.service.statement(&caller, group, wanted.nonce).await? }))),
        Exchange::Receipt(receipt) => {
            app.service.receipt(&caller, group, receipt).await?;
            state(&app, &caller, group).await
        }
        Exchange::Failed(failure) => {
            app.service.push_failed(&caller, group, &failure.reason).await?;
            state(&app, &caller, group).await
        }
    }
}

pub(crate) async fn log(State(app): State<App>, Extension(caller): Extension<Caller>, Path((_, group)): Path<(String, String)>, Query(query): Query<ListQuery>) -> Answer<Json<Value>> {
    const DEFAULT: usize = 50;
    let entries = app.service.sync_log(&caller, id("protection group", &group)?, query.limit()?.unwrap_or(DEFAULT)).await?;
    Ok(Json(json!({ "sync_log": entries.iter().map(render::sync_entry).collect::<Vec<_>>() })))
}
