//! The simulated clouds over their REST interfaces, with a client that knows nothing but HTTP and JSON.

mod failover;
mod identity;
mod network;
mod servers;
mod volumes;

use std::time::{Duration, Instant};

use protector_sim::cloud::{Cloud, Delays, Settings, Sites};
use reqwest::{Client, Method};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// Two sites that work fast.
pub async fn sites() -> Sites {
    let sites = Sites::start_default().await.unwrap();
    for cloud in sites.clouds() {
        cloud.set(Settings {
            delays: Some(Delays {
                build: 60,
                stop: 40,
                start: 40,
                delete: 40,
                volume: 40,
                group: 40,
                builds_at_once: 0,
                manages_at_once: 0,
            }),
            ..Settings::default()
        });
    }
    sites
}

/// What a call answered.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

impl Got {
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }

    /// A refusal whose message contains this.
    #[track_caller]
    pub fn refused(self, status: u16, text: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(
            self.body.to_string().contains(text),
            "{:?} doesn't contain {text:?}",
            self.body
        );
    }
}

/// Somebody with a token.
pub struct User {
    http: Client,
    root: String,
    pub token: String,
    pub id: String,
    pub project: String,
    pub body: Value,
}

/// Ask for a token.
pub async fn sign_in(cloud: &Cloud, auth: Value) -> Got {
    let url = format!("{}/auth/tokens", cloud.auth_url());
    let response = Client::new()
        .post(url)
        .json(&json!({"auth": auth}))
        .send()
        .await
        .unwrap();
    got(response).await
}

async fn got(response: reqwest::Response) -> Got {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    assert!(headers.contains_key("x-openstack-request-id"));
    let text = response.text().await.unwrap();
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap()
    };
    Got {
        status,
        body,
        headers,
    }
}

/// The password part of a login.
pub fn password(cloud: &Cloud, user: &str) -> Value {
    let account = cloud.spec().account(user).unwrap();
    json!({"methods": ["password"], "password": {"user": {
        "name": user, "domain": {"name": "Default"}, "password": account.password.expose_secret()
    }}})
}

pub fn scope(cloud: &Cloud, user: &str) -> Value {
    let project = &cloud.spec().account(user).unwrap().project;
    json!({"project": {"name": project, "domain": {"name": "Default"}}})
}

impl User {
    pub async fn named(cloud: &Cloud, user: &str) -> Self {
        Self::with(
            cloud,
            json!({"identity": password(cloud, user), "scope": scope(cloud, user)}),
        )
        .await
    }

    pub async fn with(cloud: &Cloud, auth: Value) -> Self {
        let got = sign_in(cloud, auth).await;
        assert_eq!(got.status, 201, "{got:?}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            http: Client::new(),
            root: cloud.url().to_owned(),
            token: got.headers["x-subject-token"].to_str().unwrap().to_owned(),
            id: text(&got.body["token"]["user"]["id"]),
            project: text(&got.body["token"]["project"]["id"]),
            body: got.body["token"].clone(),
        }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Got {
        let path = match path.strip_prefix("/volume/") {
            Some(rest) => format!("/volume/v3/{}/{rest}", self.project),
            None => path
                .replace("/compute/", "/compute/v2.1/")
                .replace("/network/", "/network/v2.0/")
                .replace("/identity/", "/identity/v3/"),
        };
        let version = if path.starts_with("/volume") {
            "volume 3.62"
        } else {
            "compute 2.87"
        };
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.root))
            .header("x-auth-token", &self.token)
            .header("openstack-api-version", version);
        if let Some(body) = body {
            request = request.json(&body);
        }
        got(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Got {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Got {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Got {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Got {
        self.call(Method::DELETE, path, None).await
    }

    /// Wait until the object of that path has this status; 404 is the status `gone`.
    pub async fn wait(&self, path: &str, what: &str, status: &str) -> Value {
        let started = Instant::now();
        loop {
            let got = self.get(path).await;
            if got.status == 404 && status == "gone" {
                return Value::Null;
            }
            if got.body[what]["status"] == status {
                return got.body[what].clone();
            }
            assert!(
                started.elapsed() < Duration::from_secs(5),
                "{path} never is {status}: {got:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
