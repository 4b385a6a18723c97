//! How the API says no, whatever was asked.

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::site::Site;

/// A1
#[tokio::test]
async fn anybody_may_ask_for_versions_and_health() {
    let site = Site::new().await;
    for path in ["/", "/v1", "/v1/", "/v1/p1", "/v1/p1/"] {
        let answer = site.get("", path).await;
        assert!(
            answer.headers["x-openstack-request-id"]
                .to_str()
                .unwrap()
                .starts_with("req-")
        );
        let body = answer.ok(200);
        let version = &body["versions"][0];
        assert_eq!(version["id"], "v1.0");
        assert_eq!(version["status"], "CURRENT");
        assert_eq!(version["version"], "1.1");
        assert_eq!(version["min_version"], "1.0");
        assert_eq!(version["links"][0]["href"], "http://api:8788/v1/");
        assert_eq!(body["site"]["id"], site.id.to_string());
        assert_eq!(body["site"]["public_key"], "a-key");
    }
    assert_eq!(site.get("", "/healthcheck").await.ok(200), "OK");
}

/// A3
#[tokio::test]
async fn without_a_token_the_answer_says_where_to_get_one() {
    let site = Site::new().await;
    for path in ["/v1/p1/protection-groups", "/no/such/route"] {
        let answer = site.get("", path).await;
        assert_eq!(
            answer.headers["www-authenticate"],
            "Keystone uri=\"http://keystone:5000\""
        );
        assert_eq!(answer.ok(401)["error"]["code"], 401);
    }
    site.get("down", "/v1/p1/sites")
        .await
        .fault("serviceUnavailable", 503);
}

#[tokio::test]
async fn unknown_routes_and_methods_are_faults() {
    let site = Site::new().await;
    site.get("tenant", "/no/such/route")
        .await
        .fault("itemNotFound", 404);
    site.get("tenant", "/v1/p1/no-such-thing")
        .await
        .fault("itemNotFound", 404);
    let answer = site.ask("PUT", "tenant", "/v1/p1/sites", None, &[]).await;
    assert!(answer.headers["allow"].to_str().unwrap().contains("GET"));
    answer.fault("badMethod", 405);
    site.ask("POST", "", "/", None, &[]).await.fault("badMethod", 405);
}

/// A5
#[tokio::test]
async fn microversions_are_negotiated() {
    let site = Site::new().await;
    let ask = async |version: &str| {
        let headers = [("openstack-api-version", version)];
        site.ask("GET", "tenant", "/v1/p1/sites", None, &headers).await
    };
    for (asked, served) in [
        ("protector 1.0", "protector 1.0"),
        ("compute 2.1, protector 1.1", "protector 1.1"),
        ("protector latest", "protector 1.1"),
        ("volume 3.62", "protector 1.0"),
    ] {
        let answer = ask(asked).await;
        assert_eq!(answer.headers["openstack-api-version"], served);
        answer.ok(200);
    }
    ask("protector 1.2").await.fault("notAcceptable", 406);
    ask("protector one").await.fault("badRequest", 400);
}

#[tokio::test]
async fn ids_that_are_none_exist_nowhere() {
    let site = Site::new().await;
    for path in [
        "/v1/p1/protection-groups/web",
        "/v1/p1/protection-groups/..%2f..",
        "/v1/p1/protection-groups/6b0e27d5-0f5b-4a0c-8a4c-5a3a3a0f3c11",
        "/v1/p1/protection-groups/6b0e27d5-0f5b-4a0c-8a4c-5a3a3a0f3c11/members",
        "/v1/p1/operations/x",
        "/v1/p1/operations/6b0e27d5-0f5b-4a0c-8a4c-5a3a3a0f3c11",
        "/v1/p1/sites/x",
    ] {
        let message = site.get("tenant", path).await.fault("itemNotFound", 404);
        assert!(message.starts_with("No "), "{path}: {message}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_announced_or_not() {
    let site = Site::new().await;
    let large = vec![b' '; (4 << 20) + 1];
    let request = |body: Body| {
        Request::builder()
            .method("POST")
            .uri("/v1/admin/sites")
            .header("x-auth-token", "admin")
            .header("content-type", "application/json")
            .body(body)
            .unwrap()
    };
    let mut announced = request(Body::empty());
    announced
        .headers_mut()
        .insert("content-length", "9999999".parse().unwrap());
    site.send(announced).await.fault("overLimit", 413);
    let stream = Body::new(axum::body::Body::from(large));
    site.send(request(stream)).await.fault("overLimit", 413);
}

#[tokio::test]
async fn bodies_are_read_strictly() {
    let site = Site::new().await;
    let form = Request::builder()
        .method("POST")
        .uri("/v1/admin/sites")
        .header("x-auth-token", "admin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("a=b"))
        .unwrap();
    site.send(form).await.fault("badMediaType", 415);

    let id = "6b0e27d5-0f5b-4a0c-8a4c-5a3a3a0f3c11";
    let full = json!({"id": id, "name": "b", "site_type": "secondary", "auth_url": "http://192.0.2.1:5000"});
    let with = |key: &str, value: serde_json::Value| {
        let mut body = full.clone();
        body[key] = value;
        json!({"site": body})
    };
    for (body, field) in [
        (json!({}), "'site'"),
        (json!({"sight": {}}), "'site'"),
        (json!({"site": []}), "'site'"),
        (with("name", json!(5)), "'site.name'"),
        (with("name", json!(null)), "'site.name'"),
        (with("id", json!("x")), "'site.id'"),
        (with("site_type", json!("third")), "'site.site_type'"),
        (with("auth_url", json!("ftp://x")), "'ftp://x'"),
        (with("colour", json!("red")), "'site.colour'"),
        (with("description", json!("\u{0}")), "'site.description'"),
        (
            with("service_username", json!("protector")),
            "'site.service_password'",
        ),
        (
            with("service_password", json!(["hunter2"])),
            "'site.service_password'",
        ),
    ] {
        let message = site
            .post("admin", "/v1/admin/sites", body.clone())
            .await
            .fault("badRequest", 400);
        assert!(message.contains(field), "{body}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[tokio::test]
async fn odd_questions_of_a_list_are_refused() {
    let site = Site::new().await;
    for (query, word) in [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("sort_dir=up", "sort_dir"),
        ("sort_key=password", "sort_key"),
        ("colour=red", "colour"),
    ] {
        for list in ["protection-groups", "operations", "sites"] {
            let message = site
                .get("tenant", &format!("/v1/p1/{list}?{query}"))
                .await
                .fault("badRequest", 400);
            assert!(message.contains(word), "{message}");
        }
    }
    let unknown = "/v1/p1/operations?protection_group_id=web";
    site.get("tenant", unknown).await.fault("badRequest", 400);
}
