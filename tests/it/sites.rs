//! Registered sites and tenant mappings.

use protector_tests::{Stack, User};
use serde_json::{Value, json};

/// What `site create` sends for a site of the stack; `user` gives its service user along.
async fn registration(stack: &Stack, site: &str, user: bool) -> Value {
    let root = stack.root(site);
    let document = stack.anonymous("GET", &format!("{root}/")).await.expect(200);
    let mut body = json!({"site": {
        "id": document["site"]["id"], "public_key": document["site"]["public_key"], "name": site,
        "description": format!("The cloud {site}"), "region_name": null,
        "site_type": if site == "site-a" { "primary" } else { "secondary" },
        "auth_url": stack.site(site)["auth_url"]
    }});
    if user {
        body["site"]["service_username"] = json!("protector");
        body["site"]["service_password"] = json!(format!("{site}-protector"));
        body["site"]["service_project"] = json!("service");
        body["site"]["service_user_domain"] = json!("Default");
    }
    body
}

async fn both(stack: &Stack) -> User {
    let admin = stack.user("site-a", "admin").await;
    for (site, foreign) in [("site-a", false), ("site-b", true)] {
        let body = registration(stack, site, foreign).await;
        admin.admin("POST", "/sites", body).await.expect(201);
    }
    admin
}

#[tokio::test]
async fn a6_sites_create_list_show() {
    let stack = Stack::with(&["--unregistered"], &[]).await;
    let admin = both(&stack).await;

    let listed = admin.admin("GET", "/sites", Value::Null).await.expect(200);
    let mut names: Vec<&str> = listed["sites"]
        .as_array()
        .unwrap()
        .iter()
        .map(|site| site["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["site-a", "site-b"]);
    assert!(
        !listed.to_string().contains("site-b-protector"),
        "a password came back"
    );

    let found = admin
        .admin("GET", "/sites?name=site-b", Value::Null)
        .await
        .expect(200);
    let found = &found["sites"];
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["status"], "active");
    assert_eq!(found[0]["is_local"], false);
    assert_eq!(found[0]["has_service_credentials"], true);
    let path = format!("/sites/{}", found[0]["id"].as_str().unwrap());
    let shown = admin.admin("GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["site"], found[0]);

    let again = registration(&stack, "site-b", true).await;
    let message = admin.admin("POST", "/sites", again).await.refusal(409);
    assert!(message.contains("site-b"), "{message}");

    let change = json!({"site": {"description": "Another one"}});
    let changed = admin.admin("PATCH", &path, change).await.expect(200);
    assert_eq!(changed["site"]["description"], "Another one");
    let shown = admin.admin("GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["site"]["description"], "Another one");
}

#[tokio::test]
async fn a6_sites_are_written_by_administrators_and_read_by_tenants() {
    let stack = Stack::with(&["--unregistered"], &[]).await;
    both(&stack).await;
    let tenant = stack.user("site-a", "demo").await;
    let body = registration(&stack, "site-b", true).await;
    assert_eq!(tenant.admin("POST", "/sites", body).await.status, 403);
    assert_eq!(tenant.admin("GET", "/sites", Value::Null).await.status, 403);
    let read = tenant.api("GET", "/sites", Value::Null).await.expect(200);
    assert_eq!(read["sites"].as_array().unwrap().len(), 2);
    assert!(!read.to_string().contains("site-b-protector"));
}

#[tokio::test]
async fn a6_validate_tells_active_unreachable_and_error() {
    let stack = Stack::start().await;
    let admin = stack.user("site-a", "admin").await;
    let path = format!("/sites/{}", stack.id("site-b").await);
    let validate = format!("{path}/validate");

    let fine = admin.admin("POST", &validate, Value::Null).await.expect(200);
    assert_eq!(fine["site"]["status"], "active");
    for check in fine["checks"].as_array().unwrap() {
        assert_eq!(check["ok"], true, "{check}");
    }

    stack.control("PUT", "site-b/power", json!({"on": false})).await;
    let dead = admin.admin("POST", &validate, Value::Null).await.expect(200);
    assert_eq!(dead["site"]["status"], "unreachable", "{dead}");
    stack.control("PUT", "site-b/power", json!({"on": true})).await;
    let back = admin.admin("POST", &validate, Value::Null).await.expect(200);
    assert_eq!(back["site"]["status"], "active", "{back}");

    let wrong = json!({"site": {
        "service_username": "protector", "service_password": "not-the-password", "service_project": "service",
        "service_user_domain": "Default"
    }});
    admin.admin("PATCH", &path, wrong).await.expect(200);
    let refused = admin.admin("POST", &validate, Value::Null).await.expect(200);
    assert_eq!(refused["site"]["status"], "error", "{refused}");
    assert!(!refused.to_string().contains("not-the-password"));
}

#[tokio::test]
async fn a6_volume_types_of_a_site_are_those_that_replicate() {
    let stack = Stack::start().await;
    let admin = stack.user("site-a", "admin").await;
    for site in ["site-a", "site-b"] {
        let path = format!("/sites/{}/volume-types", stack.id(site).await);
        let listed = admin.admin("GET", &path, Value::Null).await.expect(200);
        let types = listed["volume_types"].as_array().unwrap();
        assert_eq!(types.len(), 1, "{types:?}");
        assert_eq!(types[0]["name"], "replicated-ssd");
        assert_eq!(types[0]["replication_enabled"], "<is> True");
        assert_eq!(types[0]["replication_type"], "<in> async");
    }
}

#[tokio::test]
async fn a6_tenant_mappings_are_made_listed_and_deleted() {
    let stack = Stack::with(&["--unregistered"], &[]).await;
    let admin = both(&stack).await;
    let body = json!({"tenant_mapping": {
        "local_tenant": admin.project, "remote_site": stack.id("site-b").await,
        "remote_tenant": "0123456789abcdef0123456789abcdef", "description": "d"
    }});
    let made = admin.api("POST", "/tenant-mappings", body).await.expect(201);
    let path = format!(
        "/tenant-mappings/{}",
        made["tenant_mapping"]["id"].as_str().unwrap()
    );
    let listed = admin
        .api("GET", "/tenant-mappings", Value::Null)
        .await
        .expect(200);
    assert_eq!(listed["tenant_mappings"][0], made["tenant_mapping"]);
    admin.api("GET", &path, Value::Null).await.expect(200);
    admin.api("DELETE", &path, Value::Null).await.expect(204);
    assert_eq!(admin.api("GET", &path, Value::Null).await.status, 404);
}
