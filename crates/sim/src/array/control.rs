//! The control interface: everything that a test in the same process does with a [`Fabric`], over HTTP.
//!
//! | call | what |
//! |---|---|
//! | `GET /control/arrays` | names, URLs, power |
//! | `GET /control/arrays/{array}/state` | everything on it, with content digests and markers |
//! | `GET /control/arrays/{array}/content?name=` | what a guest reads from a volume or snapshot |
//! | `POST /control/arrays/{array}/content?name=` | a guest writes: `{"marker", "offset"?, "bytes"?}` |
//! | `PATCH /control/arrays/{array}` | `{"powered"?: bool, "manual_eradication"?: bool}` |
//! | `DELETE /control/arrays/{array}/sessions` | end all sessions |
//! | `GET`, `PATCH`, `POST`, `DELETE /control/arrays/{array}/faults` | see, switch (`down`, `hang`, `latency_millis`), add a rule, clear |
//! | `DELETE /control/arrays/{array}/faults/{id}` | remove a rule |
//! | `GET`, `PATCH /control/links` | see; change: `{"between"?: [a, b], "up"?, "transfer_millis"?, ...}` |
//! | `GET`, `DELETE /control/calls` | the log (`service`, `method`, `path`, `after`, `limit`), or forget it |
//! | `GET`, `POST /control/time` | see; change: `{"advance_millis"?, "scale"?}` |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::fabric::{Fabric, GuestWrite};
use crate::http::{CallFilter, Rule, RuleError};

struct Control {
    fabric: Fabric,
    urls: BTreeMap<String, String>,
}

type Shared = State<Arc<Control>>;
type Answer = Result<Json<Value>, Refusal>;

/// Why a call to the control interface fails.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let missing = error
            .errors
            .iter()
            .any(|(_, text)| text.contains("does not exist"));
        let status = if missing {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::CONFLICT
        };
        let texts: Vec<String> = error
            .errors
            .into_iter()
            .map(|(context, text)| format!("{context}: {text}"))
            .collect();
        Self(status, texts.join("; "))
    }
}

impl From<RuleError> for Refusal {
    fn from(error: RuleError) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

pub(super) fn router(fabric: Fabric, urls: BTreeMap<String, String>) -> Router {
    Router::new()
        .route("/control/arrays", get(list))
        .route("/control/arrays/{array}", patch(change))
        .route("/control/arrays/{array}/state", get(state))
        .route("/control/arrays/{array}/content", get(read).post(write))
        .route("/control/arrays/{array}/sessions", delete(expire))
        .route(
            "/control/arrays/{array}/faults",
            get(faults).patch(switch).post(add_rule).delete(clear),
        )
        .route("/control/arrays/{array}/faults/{id}", delete(remove_rule))
        .route("/control/links", get(links).patch(change_links))
        .route("/control/calls", get(calls).delete(forget_calls))
        .route("/control/time", get(time).post(change_time))
        .with_state(Arc::new(Control { fabric, urls }))
}

async fn list(State(control): Shared) -> Answer {
    let mut arrays = Vec::new();
    for (name, url) in &control.urls {
        let state = control.fabric.state(name)?;
        arrays.push(json!({"name": name, "id": state["id"], "url": url, "powered": state["powered"]}));
    }
    Ok(Json(json!({ "arrays": arrays })))
}

async fn state(State(control): Shared, Path(array): Path<String>) -> Answer {
    Ok(Json(control.fabric.state(&array)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    powered: Option<bool>,
    manual_eradication: Option<bool>,
}

async fn change(State(control): Shared, Path(array): Path<String>, Json(change): Json<Change>) -> Answer {
    if let Some(on) = change.powered {
        control.fabric.set_power(&array, on)?;
    }
    if let Some(enabled) = change.manual_eradication {
        control.fabric.set_manual_eradication(&array, enabled)?;
    }
    let state = control.fabric.state(&array)?;
    Ok(Json(
        json!({"powered": state["powered"], "manual_eradication": state["manual_eradication"]}),
    ))
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

async fn read(State(control): Shared, Path(array): Path<String>, Query(named): Query<Named>) -> Answer {
    let mut view = control.fabric.content(&array, &named.name)?.view();
    view["name"] = json!(named.name);
    Ok(Json(view))
}

async fn write(
    State(control): Shared,
    Path(array): Path<String>,
    Query(named): Query<Named>,
    Json(write): Json<GuestWrite>,
) -> Answer {
    Ok(Json(
        json!({"sequence": control.fabric.guest_write(&array, &named.name, write)?}),
    ))
}

async fn expire(State(control): Shared, Path(array): Path<String>) -> Answer {
    control.fabric.faults(&array)?;
    control.fabric.expire_sessions(&array);
    Ok(Json(json!({})))
}

async fn faults(State(control): Shared, Path(array): Path<String>) -> Answer {
    Ok(Json(json!(control.fabric.faults(&array)?.state())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    down: Option<bool>,
    hang: Option<bool>,
    latency_millis: Option<u64>,
}

async fn switch(State(control): Shared, Path(array): Path<String>, Json(switch): Json<Switch>) -> Answer {
    let faults = control.fabric.faults(&array)?;
    if let Some(down) = switch.down {
        faults.set_down(down);
    }
    if let Some(hang) = switch.hang {
        faults.set_hang(hang);
    }
    if let Some(millis) = switch.latency_millis {
        faults.set_latency(Duration::from_millis(millis));
    }
    Ok(Json(json!(faults.state())))
}

async fn add_rule(State(control): Shared, Path(array): Path<String>, Json(rule): Json<Rule>) -> Answer {
    Ok(Json(json!({"id": control.fabric.faults(&array)?.add(rule)?})))
}

async fn clear(State(control): Shared, Path(array): Path<String>) -> Answer {
    control.fabric.faults(&array)?.clear();
    Ok(Json(json!({})))
}

async fn remove_rule(State(control): Shared, Path((array, id)): Path<(String, u64)>) -> Answer {
    Ok(Json(
        json!({"removed": control.fabric.faults(&array)?.remove(id)}),
    ))
}

fn links_view(control: &Control) -> Value {
    let links = control.fabric.links().into_iter().map(|(ends, config)| {
        let mut view = json!(config);
        view["between"] = json!(ends);
        view
    });
    json!({"links": links.collect::<Vec<_>>()})
}

async fn links(State(control): Shared) -> Answer {
    Ok(Json(links_view(&control)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkChange {
    between: Option<[String; 2]>,
    up: Option<bool>,
    transfer_millis: Option<u64>,
    bytes_per_second: Option<u64>,
    announce_millis: Option<u64>,
    start_millis: Option<u64>,
}

async fn change_links(State(control): Shared, Json(change): Json<LinkChange>) -> Answer {
    let between = change.between.as_ref().map(|[a, b]| [a.as_str(), b.as_str()]);
    control.fabric.change_links(between, |link| {
        link.up = change.up.unwrap_or(link.up);
        link.transfer_millis = change.transfer_millis.unwrap_or(link.transfer_millis);
        link.bytes_per_second = change.bytes_per_second.unwrap_or(link.bytes_per_second);
        link.announce_millis = change.announce_millis.unwrap_or(link.announce_millis);
        link.start_millis = change.start_millis.unwrap_or(link.start_millis);
    })?;
    Ok(Json(links_view(&control)))
}

async fn calls(State(control): Shared, Query(filter): Query<CallFilter>) -> Answer {
    Ok(Json(
        json!({"calls": control.fabric.calls().calls(&filter), "last": control.fabric.calls().last()}),
    ))
}

async fn forget_calls(State(control): Shared) -> Answer {
    control.fabric.calls().clear();
    Ok(Json(json!({})))
}

fn time_view(fabric: &Fabric) -> Value {
    json!({"now": fabric.now(), "scale": fabric.time_scale()})
}

async fn time(State(control): Shared) -> Answer {
    Ok(Json(time_view(&control.fabric)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeChange {
    advance_millis: Option<u64>,
    scale: Option<f64>,
}

async fn change_time(State(control): Shared, Json(change): Json<TimeChange>) -> Answer {
    if let Some(scale) = change.scale {
        control.fabric.set_time_scale(scale);
    }
    if let Some(millis) = change.advance_millis {
        control.fabric.advance(Duration::from_millis(millis));
    }
    Ok(Json(time_view(&control.fabric)))
}
