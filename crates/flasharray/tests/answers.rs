//! Odd answers, lists in pages, what is asked again and what isn't.

use std::time::Duration;

use protector_flasharray::{Client, ClientConfig, Error, Kind};
use serde_json::{Value, json};

use super::{Mock, Reply, client, config};

fn volume(name: &str) -> Value {
    json!({"id": format!("id-{name}"), "name": name, "provisioned": 1, "destroyed": false, "future": {"x": []}})
}

fn error(text: &str) -> Value {
    json!({"errors": [{"context": "v", "message": text}]})
}

async fn read(reply: Reply) -> Error {
    let mock = Mock::start().await;
    mock.script.then(reply);
    mock.array().volumes(None).await.unwrap_err()
}

async fn change(reply: Reply) -> Error {
    let mock = Mock::start().await;
    mock.script.then(reply);
    let error = mock.array().create_group("pg").await.unwrap_err();
    assert_eq!(
        mock.script.calls().len(),
        1,
        "a change is never repeated by itself"
    );
    error
}

#[tokio::test]
async fn nonsense_is_an_error_and_no_panic() {
    // What isn't JSON at all is a page of something before the array, which passes.
    assert_eq!(
        read(Reply::Text(200, "<html>Welcome</html>")).await.kind,
        Kind::Unavailable
    );
    assert_eq!(read(Reply::Text(200, "")).await.kind, Kind::Unavailable);
    assert_eq!(read(Reply::Json(200, json!([1, 2]))).await.kind, Kind::Protocol);
    assert_eq!(
        read(Reply::Json(200, json!({"items": "none"}))).await.kind,
        Kind::Protocol
    );
    assert_eq!(
        read(Reply::Json(200, json!({"items": null}))).await.kind,
        Kind::Protocol
    );
    assert_eq!(
        read(Reply::Json(200, json!({"items": [{"name": 7}]}))).await.kind,
        Kind::Protocol
    );
    assert_eq!(read(Reply::Text(404, "no such path")).await.kind, Kind::Protocol);
    assert_eq!(read(Reply::Long(200_000)).await.kind, Kind::Protocol);
    assert_eq!(
        read(Reply::Headers(
            302,
            json!({}),
            vec![("location", "http://127.0.0.1:1/")]
        ))
        .await
        .kind,
        Kind::Protocol
    );
}

#[tokio::test]
async fn null_and_missing_fields_are_fine() {
    let mock = Mock::start().await;
    let bare = json!({"id": "1", "name": "v", "provisioned": null, "destroyed": null, "source": {}});
    mock.script.then(Reply::Json(
        200,
        json!({"items": [bare], "more_items_remaining": null}),
    ));
    let found = mock.array().volume("v").await.unwrap().unwrap();
    assert!(!found.is_destroyed() && found.provisioned.is_none() && found.serial.is_none());
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_in_doubt() {
    for reply in [
        Reply::Text(502, "<html>"),
        Reply::Json(500, json!({})),
        Reply::Cut,
    ] {
        assert_eq!(change(reply).await.kind, Kind::Ambiguous);
    }
    let mock = Mock::start().await;
    mock.script
        .then(Reply::Json(200, json!({"items": []})))
        .then(Reply::Hang);
    let array = mock.array_of(&client(), Duration::from_millis(300));
    array.volumes(None).await.unwrap();
    let error = array.create_group("pg").await.unwrap_err();
    assert_eq!(error.kind, Kind::Ambiguous);
    assert!(error.words.contains("may or may not have happened"), "{error}");
    // An answer to a change that nobody can read doesn't undo the change.
    let mock = Mock::start().await;
    mock.script.then(Reply::Text(200, "<html>"));
    assert_eq!(
        mock.array().clone_volume("s", "v").await.unwrap_err().kind,
        Kind::Ambiguous
    );
}

#[tokio::test]
async fn a_read_is_repeated_where_its_answer_was_lost() {
    for lost in [Reply::Cut, Reply::Text(502, "<html>"), Reply::Text(504, "")] {
        let mock = Mock::start().await;
        mock.script
            .then(lost)
            .then(Reply::Json(200, json!({"items": [volume("v")]})));
        assert_eq!(mock.array().volumes(None).await.unwrap().len(), 1);
    }
    let mock = Mock::start().await;
    for _ in 0..10 {
        mock.script.then(Reply::Cut);
    }
    assert_eq!(
        mock.array().volumes(None).await.unwrap_err().kind,
        Kind::Unavailable
    );
    assert_eq!(mock.script.calls().len(), 3);
}

#[tokio::test]
async fn a_busy_array_did_nothing_and_is_asked_again() {
    let busy = || {
        [
            Reply::Headers(
                429,
                json!({"message": "API rate limit exceeded"}),
                vec![("retry-after", "1")],
            ),
            Reply::Json(503, json!({})),
            Reply::Json(500, error("Server is busy")),
        ]
    };
    let mock = Mock::start().await;
    for reply in busy() {
        mock.script.then(reply);
    }
    mock.array().create_group("pg").await.unwrap();
    assert_eq!(mock.script.calls().len(), 4);

    // The first pause is a second, the second one would be longer than the time that is left.
    let mock = Mock::start().await;
    for _ in 0..50 {
        mock.script
            .then(Reply::Json(429, json!({"message": "API rate limit exceeded"})));
    }
    let patient = Client::new(&ClientConfig {
        max_pause: Duration::from_secs(30),
        ..config()
    })
    .unwrap();
    let array = mock.array_of(&patient, Duration::from_secs(3));
    let error = array.create_group("pg").await.unwrap_err();
    assert_eq!(
        (error.kind, error.words.as_str()),
        (Kind::Busy, "API rate limit exceeded")
    );
    assert_eq!(mock.script.calls().len(), 2);
}

#[tokio::test]
async fn refusals_are_final() {
    for (status, text, kind) in [
        (400, "Volume does not exist.", Kind::NotFound),
        (400, "Something else.", Kind::Invalid),
        (403, "Not yours.", Kind::Forbidden),
    ] {
        assert_eq!(change(Reply::Json(status, error(text))).await.kind, kind);
    }
    let mock = Mock::start().await;
    mock.script
        .then(Reply::Json(400, error("Volume does not exist.")));
    assert!(mock.array().volume("v").await.unwrap().is_none());
}

#[tokio::test]
async fn lists_are_read_to_their_end_by_token_or_offset() {
    let mock = Mock::start().await;
    let page = |names: &[&str], token: Value, more: bool| {
        let items: Vec<Value> = names.iter().map(|name| volume(name)).collect();
        Reply::Json(
            200,
            json!({"items": items, "continuation_token": token, "more_items_remaining": more}),
        )
    };
    mock.script
        .then(page(&["a", "b"], json!("t1=/"), true))
        .then(page(&["c"], json!("t2"), true))
        .then(page(&["d"], Value::Null, false));
    let names: Vec<String> = mock
        .array()
        .volumes(None)
        .await
        .unwrap()
        .into_iter()
        .map(|v| v.name)
        .collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    let queries: Vec<String> = mock.script.calls().into_iter().map(|seen| seen.query).collect();
    assert_eq!(queries[0], "destroyed=false&limit=1000");
    assert!(
        queries[1].ends_with("&continuation_token=t1%3D%2F") && queries[2].ends_with("=t2"),
        "{queries:?}"
    );

    let mock = Mock::start().await;
    mock.script
        .then(page(&["a", "b"], Value::Null, true))
        .then(page(&["c"], Value::Null, false));
    assert_eq!(mock.array().volumes(None).await.unwrap().len(), 3);
    assert!(mock.script.calls()[1].query.ends_with("&offset=2"));
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let page = |items: Vec<Value>, token: &str| {
        Reply::Json(
            200,
            json!({"items": items, "continuation_token": token, "more_items_remaining": true}),
        )
    };
    // The same token again and again; empty pages; ever more items.
    let mock = Mock::start().await;
    mock.script
        .then(page(vec![volume("a")], "t"))
        .then(page(vec![volume("a")], "t"));
    assert_eq!(mock.array().volumes(None).await.unwrap_err().kind, Kind::Protocol);
    let mock = Mock::start().await;
    mock.script.then(page(vec![], "t"));
    assert_eq!(mock.array().volumes(None).await.unwrap_err().kind, Kind::Protocol);
    let mock = Mock::start().await;
    mock.script.then(page(vec![volume("a"); 51], "t"));
    assert_eq!(mock.array().volumes(None).await.unwrap_err().kind, Kind::Protocol);
}

#[tokio::test]
async fn tags_of_many_volumes_survive_one_that_is_gone() {
    let mock = Mock::start().await;
    let ids: Vec<String> = (0..3).map(|n| format!("id-{n}")).collect();
    let tag = |id: &str| {
        json!({"items": [
            {"namespace": "ns", "key": "k", "value": "v", "resource": {"id": id}},
            {"namespace": "other", "key": "k", "value": "v", "resource": {"id": id}},
        ]})
    };
    // All three; then the last two, one by one of which the first is gone; then the first.
    mock.script
        .then(Reply::Json(400, error("Volume does not exist.")))
        .then(Reply::Json(400, error("Volume does not exist.")))
        .then(Reply::Json(200, tag("id-2")))
        .then(Reply::Json(400, error("Volume does not exist.")))
        .then(Reply::Json(200, tag("id-0")));
    let tags = mock.array().volume_tags(&ids, "ns").await.unwrap();
    let found: Vec<&str> = tags
        .iter()
        .map(|tag| tag.resource.as_ref().unwrap().id.as_deref().unwrap())
        .collect();
    assert_eq!(found, ["id-2", "id-0"]);
}
