//! The client against an array that answers whatever a test wants, odd things above all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod places;
mod sessions;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use protector_flasharray::{Array, Client, ClientConfig};
use secrecy::SecretString;
use serde_json::{Value, json};

pub const TOKEN: &str = "t0ken-that-nobody-may-see";

/// What comes back to one call.
pub enum Reply {
    Json(u16, Value),
    Text(u16, &'static str),
    Headers(u16, Value, Vec<(&'static str, &'static str)>),
    /// Nothing ever.
    Hang,
    /// Half of what was promised, then the end of the connection.
    Cut,
    Long(usize),
}

/// One call that came in: method, path after the version, query, session.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub session: String,
}

#[derive(Default)]
pub struct Script {
    pub replies: Mutex<VecDeque<Reply>>,
    pub seen: Mutex<Vec<Seen>>,
    pub logins: Mutex<VecDeque<Reply>>,
    pub versions: Mutex<Option<Value>>,
}

impl Script {
    pub fn then(&self, reply: Reply) -> &Self {
        self.replies.lock().unwrap().push_back(reply);
        self
    }

    /// Calls other than those of a login.
    pub fn calls(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| !["login", "api_version"].contains(&seen.path.as_str()))
            .cloned()
            .collect()
    }

    pub fn count(&self, path: &str) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| seen.path == path)
            .count()
    }
}

pub struct Mock {
    pub script: Arc<Script>,
    pub url: String,
}

fn respond(reply: Reply) -> Response {
    let build = |status: u16| {
        Response::builder()
            .status(status)
            .header("content-type", "application/json")
    };
    match reply {
        Reply::Json(status, body) => build(status).body(Body::from(body.to_string())).unwrap(),
        Reply::Text(status, body) => build(status).body(Body::from(body)).unwrap(),
        Reply::Headers(status, body, headers) => {
            let builder = headers.into_iter().fold(build(status), |builder, (name, value)| {
                builder.header(name, value)
            });
            builder.body(Body::from(body.to_string())).unwrap()
        }
        Reply::Cut => build(200)
            .header("content-length", "1000")
            .body(Body::from_stream(cut()))
            .unwrap(),
        Reply::Long(bytes) => build(200).body(Body::from(vec![b' '; bytes])).unwrap(),
        Reply::Hang => unreachable!(),
    }
}

fn cut() -> impl futures::Stream<Item = Result<&'static str, std::io::Error>> + Send {
    futures::stream::iter([Ok("{\"items\":"), Err(std::io::Error::other("cut"))])
}

async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response {
    let path = request.uri().path();
    let path = path.strip_prefix("/api/").unwrap_or(path);
    let path = path.split_once('/').map_or(path, |(_, rest)| rest).to_owned();
    let session = request
        .headers()
        .get("x-auth-token")
        .map(|value| value.to_str().unwrap().to_owned());
    let number = {
        let mut seen = script.seen.lock().unwrap();
        seen.push(Seen {
            method: request.method().to_string(),
            path: path.clone(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            session: session.unwrap_or_default(),
        });
        seen.iter().filter(|seen| seen.path == "login").count()
    };
    let reply = match path.as_str() {
        "api_version" => {
            let versions = script.versions.lock().unwrap().clone();
            Some(Reply::Json(
                200,
                versions.unwrap_or_else(|| json!({"version": ["1.19", "2.4", "2.26"]})),
            ))
        }
        "login" => {
            assert_eq!(request.headers()["api-token"], TOKEN);
            let scripted = script.logins.lock().unwrap().pop_front();
            scripted.or_else(|| {
                let token: &'static str = ["", "session-1", "session-2", "session-3", "session-4"][number];
                Some(Reply::Headers(
                    200,
                    json!({"items": []}),
                    vec![("x-auth-token", token)],
                ))
            })
        }
        "logout" => Some(Reply::Text(200, "")),
        _ => script.replies.lock().unwrap().pop_front(),
    };
    match reply {
        Some(Reply::Hang) => std::future::pending().await,
        Some(reply) => respond(reply),
        None => respond(Reply::Json(200, json!({"items": []}))),
    }
}

impl Mock {
    pub async fn start() -> Self {
        let script = Arc::new(Script::default());
        let router = Router::new().fallback(answer).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { script, url }
    }

    pub fn array(&self) -> Array {
        self.array_of(&client(), Duration::from_secs(5))
    }

    pub fn array_of(&self, client: &Client, timeout: Duration) -> Array {
        client.array(&self.url, &token(), timeout).unwrap()
    }
}

pub fn token() -> SecretString {
    SecretString::from(TOKEN)
}

pub fn config() -> ClientConfig {
    ClientConfig {
        allow_loopback: true,
        max_body_bytes: 100_000,
        max_items: 50,
        max_pause: Duration::from_millis(20),
        ..ClientConfig::default()
    }
}

pub fn client() -> Client {
    Client::new(&config()).unwrap()
}
