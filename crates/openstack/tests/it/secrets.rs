//! What Barbican answers when it is asked for a secret, and what is made of it.

use axum::body::Body;
use protector_domain::SecretId;
use protector_ports::cloud::Cloud;
use protector_ports::{Class, Kind, PortError};
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use crate::mock::{Reply, client, cloud, reply, text};

fn id() -> SecretId {
    SecretId(Uuid::from_u128(7))
}

fn plain(body: impl Into<Body>) -> Reply {
    Reply {
        headers: vec![("content-type", "text/plain; charset=UTF-8".into())],
        ..text(200, body)
    }
}

async fn refused(answer: impl Fn() -> Reply + Send + Sync + 'static) -> PortError {
    let site = cloud(move |_| answer()).start().await;
    client().secret_payload(&site.as_trust(), id()).await.unwrap_err()
}

#[tokio::test]
async fn a_payload_is_read_from_the_catalogs_barbican_as_text() {
    let site = cloud(|_| plain("a-token\n")).start().await;
    let token = client().secret_payload(&site.as_trust(), id()).await.unwrap();
    assert_eq!(token.expose_secret(), "a-token");
    let calls = site.calls();
    assert_eq!(
        calls[0].path,
        "/barbican/v1/secrets/00000000-0000-0000-0000-000000000007/payload"
    );
    assert_eq!((calls[0].accept.as_str(), calls.len()), ("text/plain", 1));
}

#[tokio::test]
async fn what_is_no_token_is_never_passed_on() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIhush\n-----END PRIVATE KEY-----\n";
    let long = "x".repeat(257);
    for body in ["", " \n", pem, "two words", "gehe\u{ef}m", &long] {
        let body = body.to_owned();
        let error = refused(move || plain(body.clone())).await;
        assert_eq!(
            (error.class, error.kind),
            (Class::Permanent, Kind::Protocol),
            "{error}"
        );
        assert!(error.message.contains("Barbican at site-b"), "{error}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    let huge = refused(|| plain("x".repeat(5000))).await;
    assert_eq!(
        (huge.class, huge.kind),
        (Class::Permanent, Kind::Protocol),
        "{huge}"
    );
}

#[tokio::test]
async fn a_proxys_page_passes_and_barbicans_own_word_counts() {
    let page = refused(|| text(200, "<html>Welcome</html>")).await;
    assert_eq!(
        (page.class, page.kind),
        (Class::Retryable, Kind::Protocol),
        "{page}"
    );
    let gone = refused(|| {
        reply(
            404,
            json!({"code": 404, "title": "Not Found", "description": "Secret not found."}),
        )
    })
    .await;
    assert_eq!(
        (gone.class, gone.kind),
        (Class::Permanent, Kind::NotFound),
        "{gone}"
    );
    let elsewhere = refused(|| text(404, "<html>nginx</html>")).await;
    assert_eq!(elsewhere.class, Class::Retryable, "{elsewhere}");
    let words = "Secret payload retrieval attempt not allowed";
    let denied = refused(move || {
        reply(
            403,
            json!({"code": 403, "title": "Forbidden", "description": words}),
        )
    })
    .await;
    assert_eq!((denied.class, denied.kind), (Class::Permanent, Kind::Forbidden));
    assert!(denied.message.contains(words), "{denied}");
}

#[tokio::test]
async fn a_cloud_without_barbican_says_so() {
    let site = cloud(|_| plain("a-token")).start().await;
    let mut access = site.as_trust();
    access.region = Some("elsewhere".into());
    let error = client().secret_payload(&access, id()).await.unwrap_err();
    assert_eq!(
        (error.class, error.kind, error.status),
        (Class::Permanent, Kind::Invalid, None)
    );
    assert!(
        error.message.contains("no public endpoint of Barbican"),
        "{error}"
    );
}
