//! The door of an array: versions, login, sessions. Behind it one call after the other is carried out.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::ask::Ask;
use super::config::ArrayConfig;
use super::error::{ApiError, ApiResult};
use super::fabric::Inner;
use super::query::Query;
use super::routes;
use super::world::new_id;

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const API_TOKEN: HeaderName = HeaderName::from_static("api-token");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The REST 1.x versions that an array of our days lists too.
const OLD_VERSIONS: std::ops::RangeInclusive<u32> = 16..=19;

/// The sessions of one array: token and when it was last used.
pub(super) type Sessions = HashMap<String, u64>;

struct Door {
    fabric: Arc<Inner>,
    config: ArrayConfig,
}

/// The whole REST interface of one array.
pub(super) fn router(fabric: Arc<Inner>, config: ArrayConfig) -> Router {
    Router::new()
        .fallback(enter)
        .with_state(Arc::new(Door { fabric, config }))
}

async fn enter(
    State(door): State<Arc<Door>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let mut answer = match door.handle(&method, &uri, &headers, &body) {
        Ok((body, token)) => {
            let mut answer = respond(StatusCode::OK, body.as_ref());
            if let Some(token) = token.and_then(|token| HeaderValue::from_str(&token).ok()) {
                answer.headers_mut().insert(TOKEN, token);
            }
            answer
        }
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            // What the gateway says has another form than what the array says.
            let body = match error.status {
                404 | 405 => json!({"message": error.errors.first().map(|(_, text)| text)}),
                _ => error.body(),
            };
            respond(status, Some(&body))
        }
    };
    if let Some(id) = headers.get(&REQUEST_ID) {
        answer.headers_mut().insert(REQUEST_ID, id.clone());
    }
    answer
}

fn respond(status: StatusCode, body: Option<&Value>) -> Response<Body> {
    let mut answer = Response::new(Body::from(body.map(Value::to_string).unwrap_or_default()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

type Reply = (Option<Value>, Option<String>);

impl Door {
    fn handle(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> ApiResult<Reply> {
        let path = uri.path().trim_matches('/');
        if path == "api/api_version" && method == Method::GET {
            return Ok((Some(json!({"version": self.versions()})), None));
        }
        let not_found = || ApiError::with_status(404, path, "Not found.");
        let (version, path) = path
            .strip_prefix("api/2.")
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(not_found)?;
        let version: u32 = version.parse().map_err(|_| not_found())?;
        if !self.config.versions.contains(&version) {
            return Err(not_found());
        }
        let header = |name: &HeaderName| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        match (method.as_str(), path) {
            ("POST", "login") => {
                if header(&API_TOKEN) != self.config.token.expose_secret() {
                    return Err(ApiError::with_status(401, "", "Invalid API token."));
                }
                let token = new_id();
                self.fabric.with_sessions(&self.config.name, |sessions, now| {
                    sessions.insert(token.clone(), now)
                });
                Ok((Some(json!({"items": [{"username": "pureuser"}]})), Some(token)))
            }
            ("POST", "logout") => {
                self.fabric
                    .with_sessions(&self.config.name, |sessions, _| sessions.remove(header(&TOKEN)));
                Ok((None, None))
            }
            _ => {
                self.check_session(header(&TOKEN))?;
                let body = read_body(body)?;
                let answer = self.carry_out(
                    method.as_str(),
                    path,
                    &Query::parse(uri.query().unwrap_or_default()),
                    &body,
                    version,
                )?;
                Ok((answer, None))
            }
        }
    }

    fn versions(&self) -> Vec<String> {
        let old = OLD_VERSIONS.map(|minor| format!("1.{minor}"));
        old.chain(self.config.versions.iter().map(|minor| format!("2.{minor}")))
            .collect()
    }

    fn check_session(&self, token: &str) -> ApiResult<()> {
        let timeout = self.config.idle_timeout_millis;
        let valid = self.fabric.with_sessions(&self.config.name, |sessions, now| {
            sessions.retain(|_, used| timeout == 0 || now.saturating_sub(*used) <= timeout);
            sessions.get_mut(token).map(|used| *used = now).is_some()
        });
        if valid {
            Ok(())
        } else {
            Err(ApiError::with_status(401, "", "Unauthorized"))
        }
    }

    fn carry_out(
        &self,
        method: &str,
        path: &str,
        query: &Query,
        body: &Value,
        version: u32,
    ) -> ApiResult<Option<Value>> {
        self.fabric.with_world(method != "GET", |world, now| {
            let array = self.config.name.as_str();
            let ask = Ask {
                array,
                query,
                body,
                version,
                strict: self.fabric.strict,
                now,
            };
            routes::dispatch(world, method, path, &ask)
        })
    }
}

fn read_body(body: &[u8]) -> ApiResult<Value> {
    if body.trim_ascii().is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|_| ApiError::new("", "The request body is not valid JSON."))
}
