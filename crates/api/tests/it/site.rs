//! One site under test, and how to ask it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use chrono::Utc;
use http::{HeaderMap, Request, StatusCode};
use protector_api::{App, SiteFacts, policy, router};
use protector_domain::{Preflight, Signed, SiteId, Work};
use protector_openstack::{AddressPolicy, ClientConfig, OpenStackClient};
use protector_oslo::healthcheck::Health;
use protector_oslo::policy::Enforcer;
use protector_oslo::token::{AuthToken, Identity, Role, TokenError, TokenValidator};
use protector_ports::cloud::Credentials;
use protector_ports::{DatabaseOnly, Directory, PeerKeys, Preflights, SealError, Sealer, Store, SystemClock};
use protector_service::{Options, Ports, Service};
use protector_store::{NewIdentity, SqlStore, migrate, sqlite_dsn};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// Tokens are called by who holds them.
struct Keystone;

#[async_trait::async_trait]
impl TokenValidator for Keystone {
    async fn validate(&self, token: &SecretString) -> Result<Arc<Identity>, TokenError> {
        let (project, roles): (Option<&str>, &[&str]) = match token.expose_secret() {
            "admin" => (Some("p0"), &["admin"]),
            "system-admin" => (None, &["admin"]),
            "tenant" => (Some("p1"), &["member"]),
            "stranger" => (Some("p2"), &["member"]),
            "down" => return Err(TokenError::Unavailable("Keystone is down".into())),
            _ => return Err(TokenError::Invalid),
        };
        let role = |name: &&str| Role {
            id: (*name).to_owned(),
            name: (*name).to_owned(),
        };
        Ok(Arc::new(Identity {
            user_id: token.expose_secret().to_owned(),
            user_name: token.expose_secret().to_owned(),
            user_domain_id: "default".into(),
            user_domain_name: "Default".into(),
            project_id: project.map(str::to_owned),
            project_name: project.map(str::to_owned),
            project_domain_id: None,
            project_domain_name: None,
            domain_id: None,
            system_scope: project.is_none(),
            roles: roles.iter().map(role).collect(),
            is_admin_project: true,
            expires_at: Utc::now() + Duration::from_secs(3600),
            trust_id: None,
            auth_methods: vec!["password".into()],
            catalog: Value::Null,
        }))
    }
}

struct InClear;

impl Sealer for InClear {
    fn seal(&self, plain: &SecretString, _: &str) -> Result<String, SealError> {
        Ok(plain.expose_secret().to_owned())
    }

    fn open(&self, sealed: &str, _: &str) -> Result<SecretString, SealError> {
        Ok(SecretString::from(sealed))
    }
}

/// The site's public key.
pub const KEY: &str = "a-key";

/// Boxes with the address, the context and the content on the lid.
pub struct Boxes;

/// No test of this crate gets as far as the clouds.
struct Unasked;

#[async_trait::async_trait]
impl Preflights for Unasked {
    async fn look(&self, _: Work) -> Preflight {
        Preflight::default()
    }
}

impl PeerKeys for Boxes {
    fn sign(&self, words: &str) -> String {
        signature(KEY, words)
    }

    fn verify(&self, public_key: &str, words: &str, signed: &str) -> Result<(), SealError> {
        if signed == signature(public_key, words) {
            Ok(())
        } else {
            Err(SealError("somebody else's hand".into()))
        }
    }

    fn seal_for(&self, public_key: &str, plain: &SecretString, context: &str) -> Result<String, SealError> {
        if public_key == "no-key" {
            return Err(SealError("that is no key".into()));
        }
        Ok(json!([public_key, context, plain.expose_secret()]).to_string())
    }

    fn open(&self, sealed: &str, context: &str) -> Result<SecretString, SealError> {
        let boxed: [String; 3] = serde_json::from_str(sealed).map_err(|_| SealError("no box".into()))?;
        if boxed[0] == KEY && boxed[1] == context {
            Ok(SecretString::from(boxed[2].as_str()))
        } else {
            Err(SealError("a box for somebody else".into()))
        }
    }
}

/// Signed as the registered site of this name would sign it.
pub fn said_by<T: Signed>(name: &str, mut said: T) -> T {
    let words = said.words().unwrap();
    *said.signature_mut() = Some(signature(&format!("key of {name}"), &words));
    said
}

/// A hand that is easily forged.
fn signature(key: &str, words: &str) -> String {
    format!("{key} signed {words}")
}

pub struct Site {
    pub id: SiteId,
    pub store: Arc<SqlStore>,
    app: Router,
    _dir: TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The message of a fault, which must be of this name and code.
    pub fn fault(&self, name: &str, code: u16) -> String {
        assert_eq!(self.status.as_u16(), code, "{}", self.body);
        assert_eq!(self.body[name]["code"], code, "{}", self.body);
        self.body[name]["message"].as_str().expect("a message").to_owned()
    }

    pub fn ok(self, code: u16) -> Value {
        assert_eq!(self.status.as_u16(), code, "{}", self.body);
        self.body
    }
}

impl Site {
    pub async fn new() -> Site {
        Self::with_policy(None).await
    }

    pub async fn with_policy(overrides: Option<&str>) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let dsn = sqlite_dsn(&dir.path().join("protector.db"));
        let identity = NewIdentity {
            id: None,
            public_key: Some(KEY.into()),
        };
        let id = migrate(&dsn, &identity).await.unwrap().site_id;
        let store = Arc::new(SqlStore::connect(&dsn, Arc::new(InClear)).await.unwrap());
        let own = Credentials {
            username: "protector".into(),
            password: SecretString::from("secret"),
            project_name: "service".into(),
            user_domain_name: "Default".into(),
            project_domain_name: "Default".into(),
        };
        let shared: Arc<dyn Store> = store.clone();
        let options = Options {
            trust_roles: vec!["member".into()],
            group_type: "protector-consistency-group".into(),
            region_name: None,
        };
        // Nobody answers at the sites' addresses, or a test's own listener does.
        let config = ClientConfig {
            addresses: AddressPolicy { allow_loopback: true },
            ..ClientConfig::default()
        };
        let cloud = Arc::new(OpenStackClient::new(config).unwrap());
        let (members, timeout) = (BTreeMap::new(), Duration::from_secs(2));
        let directory = Directory::new(shared.clone(), cloud.clone(), id, own, members, timeout);
        let ports = Ports {
            store: shared,
            cloud,
            clock: Arc::new(SystemClock),
            wake: Arc::new(DatabaseOnly),
            peers: Arc::new(Boxes),
            preflights: Arc::new(Unasked),
        };
        let service = Service::new(ports, directory, options);
        let file = dir.path().join("policy.yaml");
        if let Some(text) = overrides {
            std::fs::write(&file, text).unwrap();
        }
        let app = App {
            service,
            enforcer: Arc::new(Enforcer::load(policy::RULES, Some(&file)).unwrap()),
            site: Arc::new(SiteFacts {
                id,
                public_key: Some(KEY.into()),
                region_name: None,
            }),
        };
        let auth = AuthToken::new(Arc::new(Keystone), "http://keystone:5000");
        Site {
            id,
            store,
            app: router(app, auth, Health::new()),
            _dir: dir,
        }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask("GET", token, path, None, &[]).await
    }

    pub async fn ask(
        &self,
        method: &str,
        token: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "api:8788");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(value) => {
                request = request.header("content-type", "application/json");
                Body::from(value.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.ask("POST", token, path, Some(body), &[]).await
    }

    /// Registers a site by its id and name, with a Keystone of its own.
    pub async fn register(&self, id: SiteId, name: &str) -> Value {
        let auth_url = format!("http://192.0.2.1:5000/{name}/v3");
        self.register_at(id, name, &auth_url).await
    }

    /// The other site shows a public key.
    pub async fn register_at(&self, id: SiteId, name: &str, auth_url: &str) -> Value {
        let row = json!({"site": {"id": id, "name": name, "site_type": "primary", "auth_url": auth_url,
            "public_key": format!("key of {name}")}});
        self.post("admin", "/v1/admin/sites", row).await.ok(201)
    }
}
