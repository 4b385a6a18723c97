//! The worst of real life, on demand.

use std::time::{Duration, Instant};

use protector_sim::http::{Action, CallFilter, Rule};
use reqwest::Method;
use serde_json::json;

use super::{GIB, Site};

#[tokio::test]
async fn a_clone_whose_answer_is_lost_exists() {
    let site = Site::start().await;
    site.volume("fa-a", "v").await;
    site.fabric.write("fa-a", "v", "data").unwrap();
    let faults = site.fabric.faults("fa-a").unwrap();
    let rule = faults
        .add(
            Rule::on("POST", "/volumes$")
                .query("names=w")
                .times(1)
                .act(Action::LostAnswer),
        )
        .unwrap();
    let body = json!({"source": {"name": "v"}});
    assert!(
        site.try_call(Method::POST, "fa-a", "volumes?names=w", Some(body.clone()))
            .await
            .is_err()
    );
    assert_eq!(faults.fired(rule), 1);
    assert_eq!(site.markers("fa-a", "w"), ["data"]);
    site.post("fa-a", "volumes?names=w", body)
        .await
        .refused("already exists");
    let calls = site.fabric.calls().calls(&CallFilter {
        method: Some("POST".into()),
        path: Some("/volumes".into()),
        ..CallFilter::default()
    });
    let statuses: Vec<Option<u16>> = calls.iter().map(|call| call.status).collect();
    assert_eq!(statuses, [Some(200), None, Some(400)]);
}

#[tokio::test]
async fn overload_latency_and_death_hit_one_array_only() {
    let site = Site::start().await;
    let faults = site.fabric.faults("fa-b").unwrap();
    faults
        .add(
            Rule::on("GET", "/volumes$")
                .nth(2)
                .times(1)
                .act(Action::status(503, json!({"message": "busy"}))),
        )
        .unwrap();
    let statuses = [
        site.get("fa-b", "volumes").await.status,
        site.get("fa-b", "volumes").await.status,
        site.get("fa-b", "volumes").await.status,
    ];
    assert_eq!(statuses, [200, 503, 200]);
    faults.set_latency(Duration::from_millis(120));
    let started = Instant::now();
    site.get("fa-b", "volumes").await.ok();
    assert!(started.elapsed() >= Duration::from_millis(120));
    faults.set_down(true);
    assert!(site.try_call(Method::GET, "fa-b", "volumes", None).await.is_err());
    site.get("fa-a", "volumes").await.ok();
    faults.clear();
    site.get("fa-b", "volumes").await.ok();
}

#[tokio::test]
async fn nonsense_is_refused_and_kills_nothing() {
    let site = Site::start().await;
    for path in [
        "volumes?filter=name%3D(",
        "volumes?limit=x",
        "volumes?continuation_token=zz",
        "volumes?destroyed=maybe",
        "volumes?names=a&ids=b",
    ] {
        assert_eq!(site.get("fa-a", path).await.status, 400, "{path}");
    }
    for body in [
        json!([]),
        json!("x"),
        json!({"provisioned": -1}),
        json!({"provisioned": "1"}),
        json!({"source": 1}),
        json!({"provisioned": 7}),
    ] {
        assert_eq!(
            site.post("fa-a", "volumes?names=v", body.clone()).await.status,
            400,
            "{body}"
        );
    }
    assert_eq!(site.post("fa-a", "arrays", json!({})).await.status, 405);
    assert_eq!(site.get("fa-a", "nosuch").await.status, 404);
    let url = format!("{}/api/2.26/volumes", site.arrays.url("fa-a").unwrap());
    let answer = reqwest::Client::new()
        .get(url)
        .header("x-request-id", "req-1")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers()["x-request-id"].to_str().unwrap()
        ),
        (401, "req-1")
    );
    site.post("fa-a", "volumes?names=v", json!({"provisioned": GIB}))
        .await
        .ok();
}
