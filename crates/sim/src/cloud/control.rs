//! The control interface of simulated sites: what a test in another process can see and do.
//!
//! Everything is under `/control/sites`. `{site}` is a site's name, or `keystone` where two sites have one Keystone.
//!
//! | call | what |
//! |---|---|
//! | `GET .` | all sites with URLs, accounts and arrays |
//! | `GET {site}/state` | everything in the cloud |
//! | `GET {site}/calls?method=&path=&after=&limit=` | the calls that came |
//! | `GET`, `PUT`, `DELETE {site}/faults` | `{"down", "hang", "latency_millis"}`; `DELETE` clears all |
//! | `POST {site}/faults/rules` | a [`Rule`]; answers its `id` |
//! | `PUT {site}/power` | `{"on": bool}`: the cloud and its array |
//! | `PUT {site}/settings` | [`Settings`] |
//! | `POST {site}/advance` | `{"millis"}` |
//! | `POST {site}/servers` | `{"name", "disks", "user", "volume_type"}`: boot one at once |
//! | `GET {site}/servers/{server}/disks` | device, volume, array, name on the array |
//! | `GET`, `POST {site}/servers/{server}/disks/{device}` | read markers; write `{"marker"}` |
//! | `PUT checkpoints/{name}` | keep everything as it is now, arrays included |
//! | `POST checkpoints/{name}` | everything is again as it was then |
//! | `POST {site}/endpoints` | `{"type", "name", "url"}` |
//! | `POST {site}/fronts` | `{"service"}`, an address: answers the `url` by which it is reached there, HTTPS if the site speaks it |

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::checkpoint::Checkpoint;
use super::settings::Settings;
use super::site::Cloud;
use crate::array::{Arrays, Fabric};
use crate::http::{CallFilter, Rule};

#[derive(Clone)]
struct Control {
    clouds: Vec<Cloud>,
    described: Value,
    fabric: Fabric,
    checkpoints: Arc<Mutex<BTreeMap<String, Arc<Checkpoint>>>>,
}

type Outcome = Result<Json<Value>, Refused>;

struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

fn refused(error: &dyn std::fmt::Display) -> Refused {
    Refused(StatusCode::BAD_REQUEST, error.to_string())
}

impl Control {
    fn cloud(&self, name: &str) -> Result<&Cloud, Refused> {
        let found = self.clouds.iter().find(|cloud| cloud.name() == name);
        found.ok_or_else(|| Refused(StatusCode::NOT_FOUND, format!("There is no site {name}.")))
    }
}

/// All sites as other processes need to know them. The accounts are those of a simulation: no secrets.
pub(super) fn describe(clouds: &[Cloud], arrays: &Arrays) -> Value {
    let site = |cloud: &Cloud| {
        let spec = cloud.spec();
        let accounts = spec.accounts.iter().map(|account| {
            json!({
                "part": account.part, "user": account.user, "password": account.password.expose_secret(),
                "project": account.project, "role": account.role, "domain": account.domain
            })
        });
        json!({
            "name": spec.name, "region": spec.region, "url": cloud.url(), "auth_url": cloud.auth_url(),
            "authority": cloud.authority(), "accounts": accounts.collect::<Vec<_>>(),
            "array": {"name": spec.array, "url": arrays.url(&spec.array), "certificate": arrays.certificate(&spec.array)}
        })
    };
    json!({"sites": clouds.iter().map(site).collect::<Vec<_>>(), "arrays_control": arrays.control_url()})
}

pub(super) fn router(clouds: Vec<Cloud>, fabric: Fabric, described: Value) -> Router {
    let sites = Router::new()
        .route(
            "/",
            get(|State(control): State<Control>| async move { Json(control.described) }),
        )
        .route("/checkpoints/{name}", put(keep).post(restore))
        .route("/{site}/state", get(state))
        .route("/{site}/calls", get(calls))
        .route("/{site}/faults", get(faults).put(disturb).delete(clear))
        .route("/{site}/faults/rules", post(add_rule))
        .route("/{site}/power", put(power))
        .route("/{site}/settings", put(settings))
        .route("/{site}/advance", post(advance))
        .route("/{site}/servers", post(boot))
        .route("/{site}/servers/{server}/disks", get(disks))
        .route("/{site}/servers/{server}/disks/{device}", get(read).post(write))
        .route("/{site}/endpoints", post(endpoint))
        .route("/{site}/fronts", post(in_front));
    Router::new().nest("/control/sites", sites).with_state(Control {
        clouds,
        described,
        fabric,
        checkpoints: Arc::default(),
    })
}

async fn keep(State(control): State<Control>, Path(name): Path<String>) -> Outcome {
    let now = Checkpoint::take(&control.clouds, &control.fabric);
    let mut checkpoints = control.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
    checkpoints.insert(name, Arc::new(now));
    Ok(Json(json!({})))
}

async fn restore(State(control): State<Control>, Path(name): Path<String>) -> Outcome {
    let checkpoints = control.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
    let then = checkpoints.get(&name).cloned();
    drop(checkpoints);
    let missing = || Refused(StatusCode::NOT_FOUND, format!("There is no checkpoint {name}."));
    then.ok_or_else(missing)?
        .restore(&control.clouds, &control.fabric);
    Ok(Json(json!({})))
}

async fn state(State(control): State<Control>, Path(site): Path<String>) -> Outcome {
    Ok(Json(control.cloud(&site)?.state()))
}

async fn calls(
    State(control): State<Control>,
    Path(site): Path<String>,
    Query(mut filter): Query<CallFilter>,
) -> Outcome {
    let cloud = control.cloud(&site)?;
    filter.service = Some(site);
    Ok(Json(
        json!({"calls": cloud.calls().calls(&filter), "last": cloud.calls().last()}),
    ))
}

async fn faults(State(control): State<Control>, Path(site): Path<String>) -> Outcome {
    Ok(Json(json!(control.cloud(&site)?.faults().state())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disturbance {
    down: Option<bool>,
    hang: Option<bool>,
    latency_millis: Option<u64>,
}

async fn disturb(
    State(control): State<Control>,
    Path(site): Path<String>,
    Json(wanted): Json<Disturbance>,
) -> Outcome {
    let faults = control.cloud(&site)?.faults();
    if let Some(down) = wanted.down {
        faults.set_down(down);
    }
    if let Some(hang) = wanted.hang {
        faults.set_hang(hang);
    }
    if let Some(millis) = wanted.latency_millis {
        faults.set_latency(Duration::from_millis(millis));
    }
    Ok(Json(json!(faults.state())))
}

async fn clear(State(control): State<Control>, Path(site): Path<String>) -> Outcome {
    let faults = control.cloud(&site)?.faults();
    faults.clear();
    Ok(Json(json!(faults.state())))
}

async fn add_rule(
    State(control): State<Control>,
    Path(site): Path<String>,
    Json(rule): Json<Rule>,
) -> Outcome {
    let id = control
        .cloud(&site)?
        .faults()
        .add(rule)
        .map_err(|error| refused(&error))?;
    Ok(Json(json!({"id": id})))
}

#[derive(Deserialize)]
struct Power {
    on: bool,
}

async fn power(
    State(control): State<Control>,
    Path(site): Path<String>,
    Json(power): Json<Power>,
) -> Outcome {
    control.cloud(&site)?.set_power(power.on);
    Ok(Json(json!({"on": power.on})))
}

async fn settings(
    State(control): State<Control>,
    Path(site): Path<String>,
    Json(settings): Json<Settings>,
) -> Outcome {
    control.cloud(&site)?.set(settings);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct Advance {
    millis: u64,
}

async fn advance(
    State(control): State<Control>,
    Path(site): Path<String>,
    Json(by): Json<Advance>,
) -> Outcome {
    control.cloud(&site)?.advance(Duration::from_millis(by.millis));
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Boot {
    name: String,
    #[serde(default)]
    disks: Option<usize>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    volume_type: Option<String>,
}

async fn boot(State(control): State<Control>, Path(site): Path<String>, Json(wanted): Json<Boot>) -> Outcome {
    let user = wanted.user.as_deref().unwrap_or("demo");
    let kind = wanted.volume_type.as_deref().unwrap_or("replicated-ssd");
    let id = control
        .cloud(&site)?
        .boot_as(&wanted.name, wanted.disks.unwrap_or(1), user, kind)
        .map_err(|error| refused(&error))?;
    Ok(Json(json!({"id": id, "name": wanted.name})))
}

async fn disks(State(control): State<Control>, Path((site, server)): Path<(String, String)>) -> Outcome {
    let disks = control
        .cloud(&site)?
        .disks(&server)
        .map_err(|error| refused(&error))?;
    Ok(Json(json!({"disks": disks})))
}

async fn read(
    State(control): State<Control>,
    Path((site, server, device)): Path<(String, String, String)>,
) -> Outcome {
    let markers = control
        .cloud(&site)?
        .read(&server, &device)
        .map_err(|error| refused(&error))?;
    Ok(Json(json!({"markers": markers})))
}

#[derive(Deserialize)]
struct Write {
    marker: String,
}

async fn write(
    State(control): State<Control>,
    Path((site, server, device)): Path<(String, String, String)>,
    Json(write): Json<Write>,
) -> Outcome {
    let cloud = control.cloud(&site)?;
    let sequence = cloud
        .write(&server, &device, &write.marker)
        .map_err(|error| refused(&error))?;
    Ok(Json(json!({"sequence": sequence})))
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    url: String,
}

async fn endpoint(
    State(control): State<Control>,
    Path(site): Path<String>,
    Json(wanted): Json<Endpoint>,
) -> Outcome {
    control
        .cloud(&site)?
        .register(&wanted.kind, &wanted.name, &wanted.url);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Behind {
    service: SocketAddr,
}

async fn in_front(
    State(control): State<Control>,
    Path(site): Path<String>,
    Json(behind): Json<Behind>,
) -> Outcome {
    let front = control.cloud(&site)?.front(behind.service).await;
    Ok(Json(json!({"url": front.map_err(|error| refused(&error))?})))
}
