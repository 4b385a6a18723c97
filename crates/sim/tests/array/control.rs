//! The control interface does what the Rust handle does.

use protector_sim::array::{ArrayConfig, FabricConfig};
use reqwest::Method;
use serde_json::{Value, json};

use super::Site;

async fn control(site: &Site, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let url = format!("{}/control{path}", site.arrays.control_url().unwrap());
    let mut request = reqwest::Client::new().request(method, url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    (
        answer.status().as_u16(),
        answer.json().await.unwrap_or(Value::Null),
    )
}

#[tokio::test]
async fn content_state_faults_links_calls_and_time() {
    let site = Site::start().await;
    site.post("fa-a", "volume-groups?names=vg", json!({})).await.ok();
    site.volume("fa-a", "vg%2Fv").await;
    let place = "/arrays/fa-a/content?name=vg%2Fv";
    let (status, written) = control(
        &site,
        Method::POST,
        place,
        Some(json!({"marker": "hello", "bytes": 5})),
    )
    .await;
    assert_eq!((status, &written["sequence"]), (200, &json!(1)));
    let (_, content) = control(&site, Method::GET, place, None).await;
    assert_eq!(
        (&content["markers"], &content["blocks"][0]["bytes"]),
        (&json!(["hello"]), &json!(5))
    );
    let (_, state) = control(&site, Method::GET, "/arrays/fa-a/state", None).await;
    assert_eq!(
        (&state["volumes"][0]["digest"], &state["volumes"][0]["name"]),
        (&content["digest"], &json!("vg/v"))
    );
    assert_eq!(
        control(&site, Method::GET, "/arrays/nosuch/state", None).await.0,
        404
    );

    let rule = json!({"method": "GET", "path": "/volumes$", "times": 1, "action": {"kind": "status", "status": 500}});
    assert_eq!(
        control(&site, Method::POST, "/arrays/fa-a/faults", Some(rule))
            .await
            .0,
        200
    );
    assert_eq!(site.get("fa-a", "volumes").await.status, 500);
    let (_, faults) = control(&site, Method::GET, "/arrays/fa-a/faults", None).await;
    assert_eq!(faults["rules"][0]["fired"], 1);
    assert_eq!(
        control(
            &site,
            Method::POST,
            "/arrays/fa-a/faults",
            Some(json!({"path": "(", "action": {"kind": "hang"}}))
        )
        .await
        .0,
        400
    );
    control(
        &site,
        Method::PATCH,
        "/arrays/fa-a/faults",
        Some(json!({"down": true})),
    )
    .await;
    assert!(site.try_call(Method::GET, "fa-a", "arrays", None).await.is_err());
    control(&site, Method::DELETE, "/arrays/fa-a/faults", None).await;
    site.get("fa-a", "arrays").await.ok();

    let (_, links) = control(
        &site,
        Method::PATCH,
        "/links",
        Some(json!({"between": ["fa-b", "fa-a"], "up": false})),
    )
    .await;
    assert_eq!(links["links"][0]["up"], false);
    let (_, calls) = control(
        &site,
        Method::GET,
        "/calls?service=fa-a&method=POST&path=volumes",
        None,
    )
    .await;
    assert_eq!(calls["calls"].as_array().unwrap().len(), 1);
    assert_eq!(calls["calls"][0]["query"][0], json!(["names", "vg/v"]));
    let before = site.fabric.now();
    let (_, time) = control(
        &site,
        Method::POST,
        "/time",
        Some(json!({"advance_millis": 60_000, "scale": 2.0})),
    )
    .await;
    assert!(time["now"].as_u64().unwrap() >= before + 60_000 && time["scale"] == 2.0);
    control(
        &site,
        Method::PATCH,
        "/arrays/fa-a",
        Some(json!({"powered": false})),
    )
    .await;
    let (_, arrays) = control(&site, Method::GET, "/arrays", None).await;
    assert_eq!(
        (&arrays["arrays"][0]["powered"], &arrays["arrays"][1]["powered"]),
        (&json!(false), &json!(true))
    );
}

#[tokio::test]
async fn https_has_a_certificate_that_a_client_can_pin() {
    let dir = tempfile::tempdir().unwrap();
    let array = ArrayConfig {
        tls: true,
        ..ArrayConfig::named("fa-a")
    };
    let config = FabricConfig {
        arrays: vec![array],
        tls_dir: Some(dir.path().to_owned()),
        ..FabricConfig::default()
    };
    let fabric = protector_sim::array::Fabric::new(config.clone()).unwrap();
    let arrays = fabric.serve(None).await.unwrap();
    let pem = arrays.certificate("fa-a").unwrap().to_owned();
    let client = |pem: &str| {
        let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([certificate])
            .build()
            .unwrap()
    };
    let url = format!("{}/api/api_version", arrays.url("fa-a").unwrap());
    assert!(url.starts_with("https://"));
    assert_eq!(client(&pem).get(&url).send().await.unwrap().status(), 200);
    assert!(reqwest::get(&url).await.is_err());
    arrays.shutdown().await;
    assert!(client(&pem).get(&url).send().await.is_err());
    // A restart keeps the certificate.
    let again = protector_sim::array::Fabric::new(config)
        .unwrap()
        .serve(None)
        .await
        .unwrap();
    assert_eq!(again.certificate("fa-a").unwrap(), pem);
}
