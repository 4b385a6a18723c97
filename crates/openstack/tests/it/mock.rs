//! A cloud that answers as it is told and remembers what it was asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Router, serve};
use protector_domain::{ProjectId, SiteId};
use protector_openstack::{AddressPolicy, ClientConfig, OpenStackClient};
use protector_ports::cloud::{Access, Actor, Credentials};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub const PASSWORD: &str = "correct-horse-battery";
pub const TRUST: &str = "7ru57ru57ru57ru5";
pub const USER_TOKEN: &str = "gAAAA-the-callers-token";

/// What was asked.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub token: String,
    pub version: String,
    pub accept: String,
    pub body: Value,
}

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
    pub delay: Duration,
}

pub fn reply(status: u16, body: Value) -> Reply {
    Reply {
        status,
        headers: vec![],
        body: Body::from(body.to_string()),
        delay: Duration::ZERO,
    }
}

pub fn text(status: u16, body: impl Into<Body>) -> Reply {
    Reply {
        status,
        headers: vec![("content-type", "text/html".into())],
        body: body.into(),
        delay: Duration::ZERO,
    }
}

impl Reply {
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

pub struct Mock {
    pub port: u16,
    inner: Arc<Inner>,
    server: tokio::task::JoinHandle<()>,
}

struct Inner {
    port: u16,
    seen: Mutex<Vec<Seen>>,
    script: Box<Script>,
    /// How Keystone answers to the sign-in of that number, if not with a token.
    sign_in: Box<dyn Fn(usize) -> Option<Reply> + Send + Sync>,
    life: i64,
    /// Where the catalog sends callers; the port of the mock itself if none.
    volume_url: Option<String>,
}

pub struct Builder {
    script: Box<Script>,
    sign_in: Box<dyn Fn(usize) -> Option<Reply> + Send + Sync>,
    life: i64,
    volume_url: Option<String>,
}

/// A cloud whose services, but for signing in, answer by `script`.
pub fn cloud(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Builder {
    Builder {
        script: Box::new(script),
        sign_in: Box::new(|_| None),
        life: 3600,
        volume_url: None,
    }
}

impl Builder {
    pub fn sign_in(mut self, answer: impl Fn(usize) -> Option<Reply> + Send + Sync + 'static) -> Self {
        self.sign_in = Box::new(answer);
        self
    }

    pub fn life(mut self, seconds: i64) -> Self {
        self.life = seconds;
        self
    }

    pub fn volume_url(mut self, url: impl Into<String>) -> Self {
        self.volume_url = Some(url.into());
        self
    }

    pub async fn start(self) -> Mock {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner {
            port,
            seen: Mutex::default(),
            script: self.script,
            sign_in: self.sign_in,
            life: self.life,
            volume_url: self.volume_url,
        });
        let app = Router::new().fallback(handle).with_state(inner.clone());
        let server = tokio::spawn(async move { serve(listener, app).await.unwrap() });
        Mock { port, inner, server }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn handle(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value: &axum::http::HeaderValue| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        token: header("x-auth-token"),
        version: header("openstack-api-version"),
        accept: header("accept"),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    inner.seen.lock().unwrap().push(seen.clone());
    let reply = if seen.path == "/v3/auth/tokens" {
        sign_in(&inner, &seen)
    } else {
        (inner.script)(&seen)
    };
    tokio::time::sleep(reply.delay).await;
    let mut response = Response::builder()
        .status(reply.status)
        .header("x-openstack-request-id", "req-mock");
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(reply.body).unwrap()
}

fn sign_in(inner: &Inner, seen: &Seen) -> Reply {
    let number = inner
        .seen
        .lock()
        .unwrap()
        .iter()
        .filter(|seen| seen.path == "/v3/auth/tokens")
        .count();
    if let Some(reply) = (inner.sign_in)(number) {
        return reply;
    }
    let now = chrono::Utc::now();
    let own = format!("http://127.0.0.1:{}", inner.port);
    let volume = inner
        .volume_url
        .clone()
        .unwrap_or_else(|| format!("{own}/volume/v3/%(p)s").replace("%(p)s", "proj"));
    let endpoint =
        |url: String| json!([{"interface": "public", "region": "r1", "region_id": "r1", "url": url}]);
    let token = json!({"token": {
        "user": {"id": "user1", "name": "protector", "domain": {"id": "default"}},
        "project": {"id": "proj", "name": "service"},
        "roles": [{"id": "1", "name": "admin"}],
        "issued_at": now, "expires_at": now + chrono::TimeDelta::seconds(inner.life),
        "catalog": [
            {"type": "volumev3", "endpoints": endpoint(volume)},
            {"type": "compute", "endpoints": endpoint(format!("{own}/compute/v2.1"))},
            {"type": "network", "endpoints": endpoint(format!("{own}/network"))},
            {"type": "key-manager", "endpoints": endpoint(format!("{own}/barbican"))},
        ],
    }});
    let status = if seen.method == "GET" { 200 } else { 201 };
    reply(status, token).header("x-subject-token", format!("token-{}-{number}", inner.port))
}

impl Mock {
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    pub fn sign_ins(&self) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.path == "/v3/auth/tokens")
            .count()
    }

    pub fn calls(&self) -> Vec<Seen> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.path != "/v3/auth/tokens")
            .collect()
    }

    pub fn access(&self) -> Access {
        Access {
            site: SiteId(uuid::Uuid::from_u128(u128::from(self.port))),
            site_name: "site-b".into(),
            auth_url: format!("http://127.0.0.1:{}/v3", self.port),
            region: Some("r1".into()),
            actor: Actor::Service(credentials()),
            timeout: Duration::from_secs(5),
        }
    }

    pub fn as_user(&self) -> Access {
        let actor = Actor::User {
            token: USER_TOKEN.into(),
            project_id: ProjectId::new("proj").unwrap(),
        };
        Access {
            actor,
            ..self.access()
        }
    }

    pub fn as_trust(&self) -> Access {
        let actor = Actor::Trust {
            trustee: credentials(),
            trust_id: TRUST.into(),
        };
        Access {
            actor,
            ..self.access()
        }
    }
}

pub fn credentials() -> Credentials {
    Credentials {
        username: "protector".into(),
        password: PASSWORD.into(),
        project_name: "service".into(),
        user_domain_name: "Default".into(),
        project_domain_name: "Default".into(),
    }
}

pub fn config() -> ClientConfig {
    ClientConfig {
        addresses: AddressPolicy { allow_loopback: true },
        max_body_bytes: 64 << 10,
        ..ClientConfig::default()
    }
}

pub fn client() -> OpenStackClient {
    OpenStackClient::new(config()).unwrap()
}

/// A server that reads a request whole and then does with the connection what it is told.
pub async fn raw<F>(after: F) -> String
where
    F: Fn(tokio::net::TcpStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let after = Arc::new(after);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let after = after.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 8192];
                let _ = stream.read(&mut head).await;
                after(stream).await;
            });
        }
    });
    format!("http://127.0.0.1:{port}/v3/proj")
}

/// Reads the request, then closes without a word.
pub async fn hangs_up() -> String {
    raw(|stream| Box::pin(async move { drop(stream) })).await
}

/// Answers a byte at a time, for ever.
pub async fn trickles() -> String {
    raw(|mut stream| {
        Box::pin(async move {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{")
                .await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    })
    .await
}

/// Promises more than it sends.
pub async fn breaks_off() -> String {
    raw(|mut stream| {
        Box::pin(async move {
            let _ = stream
                .write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 500\r\n\r\n{\"volume\": {")
                .await;
        })
    })
    .await
}
