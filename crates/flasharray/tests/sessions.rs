//! Versions, logins and their renewal; secrets.

use std::time::Duration;

use protector_flasharray::Kind;
use secrecy::SecretString;
use serde_json::json;

use super::{Mock, Reply, TOKEN, client};

fn unauthorized() -> Reply {
    Reply::Json(
        401,
        json!({"errors": [{"context": null, "message": "Unauthorized"}]}),
    )
}

#[tokio::test]
async fn many_callers_share_one_login() {
    let mock = Mock::start().await;
    let client = client();
    let calls = (0..10).map(|_| {
        let array = mock.array_of(&client, Duration::from_secs(5));
        async move { array.volumes(None).await.unwrap() }
    });
    futures::future::join_all(calls).await;
    assert_eq!(mock.script.count("login"), 1);
    assert!(mock.script.calls().iter().all(|seen| seen.session == "session-1"));
    // Another token is another session.
    assert_eq!(mock.array().version().await.unwrap().to_string(), "2.26");
    assert_eq!(mock.script.count("login"), 2);
}

#[tokio::test]
async fn a_session_that_ended_is_renewed_once() {
    let mock = Mock::start().await;
    mock.script.then(unauthorized());
    mock.array().create_group("pg").await.unwrap();
    let sessions: Vec<String> = mock.script.calls().into_iter().map(|seen| seen.session).collect();
    assert_eq!(sessions, ["session-1", "session-2"]);

    let mock = Mock::start().await;
    mock.script
        .then(unauthorized())
        .then(unauthorized())
        .then(unauthorized());
    assert_eq!(
        mock.array().volumes(None).await.unwrap_err().kind,
        Kind::Unauthorized
    );
    assert_eq!(mock.script.calls().len(), 2);
}

#[tokio::test]
async fn a_refused_token_is_said_and_never_shown() {
    let mock = Mock::start().await;
    let said = json!({"errors": [{"context": "", "message": format!("Invalid API token {TOKEN}.")}]});
    mock.script
        .logins
        .lock()
        .unwrap()
        .push_back(Reply::Json(400, said));
    let array = mock.array();
    let error = array.volumes(None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unauthorized);
    assert_eq!(
        error.words,
        "it does not accept the API token (Invalid API token ***)"
    );
    for shown in [format!("{error:?}"), format!("{array:?}")] {
        assert!(!shown.contains(TOKEN) && !shown.contains("session-"), "{shown}");
    }
    // A token that can't be a header is no panic, and isn't shown either.
    let odd = client()
        .array(&mock.url, &SecretString::from("a\nb"), Duration::from_secs(1))
        .unwrap();
    let error = odd.volumes(None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unauthorized);
}

#[tokio::test]
async fn a_login_waits_for_a_busy_array_but_not_forever() {
    let mock = Mock::start().await;
    for _ in 0..2 {
        mock.script
            .logins
            .lock()
            .unwrap()
            .push_back(Reply::Json(503, json!({})));
    }
    mock.array().volumes(None).await.unwrap();
    assert_eq!(mock.script.count("login"), 3);
    let mock = Mock::start().await;
    for _ in 0..5 {
        mock.script
            .logins
            .lock()
            .unwrap()
            .push_back(Reply::Json(503, json!({})));
    }
    assert_eq!(mock.array().volumes(None).await.unwrap_err().kind, Kind::Busy);
    assert_eq!(mock.script.count("login"), 3);
}

#[tokio::test]
async fn what_is_no_array_or_too_old_is_said() {
    let mock = Mock::start().await;
    *mock.script.versions.lock().unwrap() = Some(json!({"version": ["1.19", "2.3", "2.X"]}));
    let error = mock.array().volumes(None).await.unwrap_err();
    assert_eq!(
        (error.kind, error.words.as_str()),
        (Kind::Protocol, "it speaks no REST version between 2.4 and 2.26")
    );
    *mock.script.versions.lock().unwrap() = Some(json!({"versions": {"values": []}}));
    assert_eq!(mock.array().volumes(None).await.unwrap_err().kind, Kind::Protocol);
    *mock.script.versions.lock().unwrap() = None;
    mock.script
        .logins
        .lock()
        .unwrap()
        .push_back(Reply::Json(200, json!({})));
    let error = mock.array().volumes(None).await.unwrap_err();
    assert_eq!(
        (error.kind, error.words.as_str()),
        (Kind::Protocol, "its answer to the login holds no session")
    );
}

#[tokio::test]
async fn what_a_version_lacks_is_not_sent() {
    for (version, sent) in [("2.16", true), ("2.15", false)] {
        let mock = Mock::start().await;
        *mock.script.versions.lock().unwrap() = Some(json!({"version": ["2.4", version]}));
        mock.array().clone_volume("A:pg.s.v", "new").await.unwrap();
        let query = mock.script.calls()[0].query.clone();
        assert_eq!(
            query.contains("with_default_protection=false"),
            sent,
            "{version}: {query}"
        );
    }
}

#[tokio::test]
async fn sessions_end_with_the_client() {
    let mock = Mock::start().await;
    let client = client();
    let array = mock.array_of(&client, Duration::from_secs(5));
    array.volumes(None).await.unwrap();
    client.logout().await;
    assert_eq!(mock.script.calls().last().unwrap().session, "session-1");
    assert_eq!(mock.script.count("logout"), 1);
    array.volumes(None).await.unwrap();
    assert_eq!(mock.script.count("login"), 2);
}
