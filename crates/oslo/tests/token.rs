//! The token middleware against a Keystone that can be told to fail, over real HTTP.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use protector_oslo::config::{Schema, Sources};
use protector_oslo::token::{
    AuthToken, Identity, KeystoneSettings, KeystoneValidator, OPTIONS, TokenError, TokenValidator,
    authenticate,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::ServiceExt;

#[derive(Default)]
struct Keystone {
    sign_ins: AtomicUsize,
    questions: AtomicUsize,
    /// The own token that is accepted now.
    accepted: Mutex<String>,
    sign_in_status: Mutex<Option<u16>>,
    question_status: Mutex<Option<u16>>,
    lifetime: Mutex<Option<i64>>,
    slow: Mutex<Duration>,
}

type Shared = Arc<Keystone>;

async fn sign_in(State(k): State<Shared>, Json(body): Json<Value>) -> Response {
    let number = k.sign_ins.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(status) = *k.sign_in_status.lock().unwrap() {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let user = &body["auth"]["identity"]["password"]["user"];
    assert_eq!(
        user,
        &json!({"name": "protector", "domain": {"name": "Default"}, "password": "pw"})
    );
    assert_eq!(
        body["auth"]["scope"]["project"],
        json!({"name": "service", "domain": {"name": "Default"}})
    );
    let token = format!("own-{number}");
    *k.accepted.lock().unwrap() = token.clone();
    (
        StatusCode::CREATED,
        [("x-subject-token", token)],
        Json(json!({"token": {}})),
    )
        .into_response()
}

async fn question(State(k): State<Shared>, headers: HeaderMap) -> Response {
    k.questions.fetch_add(1, Ordering::SeqCst);
    let slow = *k.slow.lock().unwrap();
    tokio::time::sleep(slow).await;
    if let Some(status) = *k.question_status.lock().unwrap() {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    if headers["x-auth-token"] != k.accepted.lock().unwrap().as_str() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let lifetime = k.lifetime.lock().unwrap().unwrap_or(3600);
    match headers["x-subject-token"].to_str().unwrap() {
        "garbage" => "<html>".into_response(),
        subject if subject.starts_with("bad") => StatusCode::NOT_FOUND.into_response(),
        subject => {
            let mut token = json!({
                "methods": ["password"],
                "user": {"id": "u1", "name": "alice", "domain": {"id": "d1", "name": "Corp"}},
                "project": {"id": "p1", "name": "shop", "domain": {"id": "default", "name": "Default"}},
                "roles": [{"id": "r1", "name": "Member"}],
                "catalog": [{"type": "compute", "endpoints": []}],
                "expires_at": (chrono::Utc::now() + chrono::Duration::seconds(lifetime)).to_rfc3339(),
                "a field of a later release": {},
            });
            if subject == "trust" {
                token["OS-TRUST:trust"] = json!({"id": "t1"});
            }
            if subject == "appcred" {
                token["methods"] = json!(["application_credential"]);
            }
            if subject == "unscoped" {
                token
                    .as_object_mut()
                    .unwrap()
                    .retain(|key, _| matches!(key.as_str(), "user" | "expires_at"));
            }
            Json(json!({"token": token})).into_response()
        }
    }
}

struct Site {
    keystone: Shared,
    validator: Arc<KeystoneValidator>,
}

fn settings(url: &str) -> KeystoneSettings {
    let sources = Sources::default()
        .variable("OS_KEYSTONE_AUTHTOKEN__AUTH_URL", url)
        .variable("OS_KEYSTONE_AUTHTOKEN__USERNAME", "protector")
        .variable("OS_KEYSTONE_AUTHTOKEN__PASSWORD", "pw")
        .variable("OS_KEYSTONE_AUTHTOKEN__PROJECT_NAME", "service");
    KeystoneSettings::from_config(&Schema::new().with_all(OPTIONS).load(&sources).unwrap()).unwrap()
}

async fn site() -> Site {
    let keystone = Shared::default();
    let routes = Router::new()
        .route("/v3/auth/tokens", post(sign_in).get(question))
        .with_state(keystone.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let validator = Arc::new(KeystoneValidator::new(settings(&url)).unwrap());
    Site { keystone, validator }
}

impl Site {
    async fn validate(&self, token: &str) -> Result<Arc<Identity>, TokenError> {
        self.validator.validate(&SecretString::from(token)).await
    }

    fn questions(&self) -> usize {
        self.keystone.questions.load(Ordering::SeqCst)
    }

    fn sign_ins(&self) -> usize {
        self.keystone.sign_ins.load(Ordering::SeqCst)
    }

    async fn request(&self, headers: &[(&str, &str)]) -> Response {
        let app = app(self.validator.clone());
        let request = headers.iter().fold(Request::get("/"), |request, (name, value)| {
            request.header(*name, *value)
        });
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }
}

fn app(validator: Arc<dyn TokenValidator>) -> Router {
    async fn whoami(Extension(identity): Extension<Arc<Identity>>, headers: HeaderMap) -> Json<Value> {
        let names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        Json(json!({"user": identity.user_name, "headers": names}))
    }
    let auth = AuthToken::new(validator, "http://controller:5000");
    Router::new()
        .route("/", get(whoami))
        .layer(axum::middleware::from_fn_with_state(auth, authenticate))
}

async fn body(response: Response) -> Value {
    let bytes = axum::body::to_bytes(response.into_body(), 65536).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn a_valid_token_tells_everything_about_its_bearer() {
    let site = site().await;
    let found = site.validate("good").await.unwrap();
    assert_eq!(
        (found.user_id.as_str(), found.user_name.as_str()),
        ("u1", "alice")
    );
    assert_eq!(
        (found.user_domain_id.as_str(), found.user_domain_name.as_str()),
        ("d1", "Corp")
    );
    assert_eq!(found.project_id.as_deref(), Some("p1"));
    assert_eq!(found.project_domain_name.as_deref(), Some("Default"));
    assert!(found.has_role("member") && !found.is_delegated());
    assert_eq!(found.credentials()["roles"], json!(["Member"]));
    assert!(site.validate("trust").await.unwrap().is_delegated());
    assert!(site.validate("appcred").await.unwrap().is_delegated());
    assert_eq!(site.validate("unscoped").await.unwrap().project_id, None);
}

#[tokio::test]
async fn answers_are_kept_and_one_question_serves_many_at_once() {
    let site = site().await;
    *site.keystone.slow.lock().unwrap() = Duration::from_millis(100);
    let (a, b, c) = tokio::join!(
        site.validate("good"),
        site.validate("good"),
        site.validate("good")
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    site.validate("good").await.unwrap();
    assert_eq!((site.sign_ins(), site.questions()), (1, 1));
}

#[tokio::test]
async fn an_answer_is_not_kept_beyond_the_tokens_end() {
    let site = site().await;
    *site.keystone.lifetime.lock().unwrap() = Some(1);
    site.validate("good").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    *site.keystone.lifetime.lock().unwrap() = None;
    site.validate("good").await.unwrap();
    assert_eq!(site.questions(), 2);
    *site.keystone.lifetime.lock().unwrap() = Some(-10);
    assert_eq!(site.validate("stale").await.unwrap_err(), TokenError::Invalid);
}

#[tokio::test]
async fn our_own_expired_token_is_renewed_once() {
    let site = site().await;
    site.validate("one").await.unwrap();
    *site.keystone.accepted.lock().unwrap() = "another".into();
    let (a, b) = tokio::join!(site.validate("two"), site.validate("three"));
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(site.sign_ins(), 2);
}

#[tokio::test]
async fn a_keystone_that_refuses_us_is_never_the_callers_fault() {
    let site = site().await;
    *site.keystone.question_status.lock().unwrap() = Some(401);
    assert!(matches!(
        site.validate("good").await,
        Err(TokenError::Unavailable(_))
    ));
    assert_eq!((site.sign_ins(), site.questions()), (2, 2));
    *site.keystone.question_status.lock().unwrap() = Some(403);
    assert!(matches!(
        site.validate("good").await,
        Err(TokenError::Unavailable(_))
    ));
    *site.keystone.question_status.lock().unwrap() = None;
    assert!(site.validate("good").await.is_ok(), "a failure must not be kept");
    assert!(matches!(
        site.validate("garbage").await,
        Err(TokenError::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_refused_sign_in_is_not_repeated_by_every_request() {
    let site = site().await;
    *site.keystone.sign_in_status.lock().unwrap() = Some(401);
    for token in ["a", "b", "c"] {
        assert!(matches!(
            site.validate(token).await,
            Err(TokenError::Unavailable(_))
        ));
    }
    assert_eq!(site.sign_ins(), 1);
}

#[tokio::test]
async fn the_layer_lets_the_bearer_in_and_nobody_in_disguise() {
    let site = site().await;
    let response = site
        .request(&[
            ("x-auth-token", "good"),
            ("x-user-id", "root"),
            ("X-Roles", "admin"),
            ("x_project_id", "p9"),
            ("x-openstack-request-id", "r"),
        ])
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        body(response).await,
        json!({"user": "alice", "headers": ["x-openstack-request-id"]})
    );
}

#[tokio::test]
async fn without_a_valid_token_the_answer_says_where_to_get_one() {
    let site = site().await;
    for headers in [&[][..], &[("x-auth-token", "bad")], &[("x-auth-token", "")]] {
        let response = site.request(headers).await;
        assert_eq!(response.status(), 401);
        assert_eq!(
            response.headers()["www-authenticate"],
            "Keystone uri=\"http://controller:5000\""
        );
        assert_eq!(
            body(response).await["error"]["message"],
            "The request you have made requires authentication."
        );
    }
}

#[tokio::test]
async fn a_dead_keystone_is_503() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let validator = Arc::new(KeystoneValidator::new(settings(&url)).unwrap());
    let request = Request::get("/")
        .header("x-auth-token", "good")
        .body(Body::empty())
        .unwrap();
    let response = app(validator.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(body(response).await["serviceUnavailable"]["code"], 503);
    let error = validator
        .validate(&SecretString::from("good"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&url) && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn the_log_says_401_and_who_asked_and_never_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("log")).unwrap();
    let settings = protector_oslo::logging::LogSettings {
        debug: true,
        ..Default::default()
    };
    let writer = tracing_subscriber::fmt::writer::BoxMakeWriter::new(Arc::new(file));
    let _guard = tracing::subscriber::set_default(protector_oslo::logging::subscriber(&settings, writer));

    let site = site().await;
    let app =
        app(site.validator.clone()).layer(axum::middleware::from_fn(protector_oslo::request_id::assign));
    for token in ["bad-7f3a91", "good-7f3a91"] {
        let request = Request::get("/")
            .header("x-auth-token", token)
            .body(Body::empty())
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert!(response.headers().contains_key("x-openstack-request-id"));
    }
    *site.keystone.question_status.lock().unwrap() = Some(401);
    site.validate("other-7f3a91").await.unwrap_err();

    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(
        log.contains(" WARNING keystonemiddleware.auth_token [req-"),
        "{log}"
    );
    assert!(
        log.contains("WARNING keystonemiddleware.auth_token [-] Identity response: 401 Unauthorized"),
        "{log}"
    );
    assert!(
        !log.contains("7f3a91") && !log.contains("own-") && !log.contains("pw"),
        "{log}"
    );
}
