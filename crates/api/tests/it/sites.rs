//! Sites and tenant mappings: what administrators write and everybody reads.

use protector_domain::SiteId;
use serde_json::json;
use uuid::Uuid;

use crate::site::Site;

/// A6
#[tokio::test]
async fn a_site_is_registered_changed_and_removed() {
    let site = Site::new().await;
    let created = site.register(site.id, "site-a").await;
    assert_eq!(created["site"]["is_local"], true);
    assert_eq!(created["site"]["has_service_credentials"], true);
    assert_ne!(created["site"]["status"], "active");

    let other = SiteId(Uuid::new_v4());
    let body = json!({"site": {"id": other, "name": "site-b", "site_type": "secondary", "description": "the other",
        "auth_url": "http://192.0.2.2:5000/v3/", "region_name": "RegionOne", "public_key": "k",
        "service_username": "protector", "service_password": "hunter2", "service_project": "service"}});
    let created = site.post("admin", "/v1/admin/sites", body.clone()).await.ok(201);
    assert_eq!(created["site"]["auth_url"], "http://192.0.2.2:5000/v3");
    assert_eq!(created["site"]["has_service_credentials"], true);
    assert!(!created.to_string().contains("hunter2"));
    assert!(created["site"]["created_at"].as_str().unwrap().ends_with('Z'));
    site.post("admin", "/v1/admin/sites", body)
        .await
        .fault("conflictingRequest", 409);

    let rows = site.get("tenant", "/v1/p1/sites").await.ok(200);
    assert_eq!(rows["sites"].as_array().unwrap().len(), 2);
    let rows = site.get("admin", "/v1/admin/sites?name=site-b").await.ok(200);
    assert_eq!(rows["sites"][0]["id"], other.to_string());
    assert_eq!(rows["sites"].as_array().unwrap().len(), 1);

    let path = format!("/v1/admin/sites/{other}");
    let change = json!({"site": {"description": "elsewhere"}});
    let changed = site.ask("PATCH", "admin", &path, Some(change), &[]).await.ok(200);
    assert_eq!(changed["site"]["description"], "elsewhere");
    assert_eq!(changed["site"]["name"], "site-b");
    let change = json!({"site": {"id": other}});
    let message = site
        .ask("PATCH", "admin", &path, Some(change), &[])
        .await
        .fault("badRequest", 400);
    assert!(message.contains("'site.id'"));

    let validated = site
        .ask("POST", "admin", &format!("{path}/validate"), None, &[])
        .await
        .ok(200);
    assert_eq!(validated["checks"][0]["name"], "keystone");
    assert_eq!(validated["checks"][0]["ok"], false);

    assert_eq!(site.ask("DELETE", "admin", &path, None, &[]).await.status, 204);
    site.get("admin", &path).await.fault("itemNotFound", 404);
    site.ask("DELETE", "admin", &path, None, &[])
        .await
        .fault("itemNotFound", 404);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let site = Site::new().await;
    for name in ["c", "a", "b"] {
        site.register(SiteId(Uuid::new_v4()), name).await;
    }
    let mut path = "/v1/p1/sites?limit=2&sort_key=name&sort_dir=asc".to_owned();
    let mut names = Vec::new();
    loop {
        let body = site.get("tenant", &path).await.ok(200);
        for row in body["sites"].as_array().unwrap() {
            names.push(row["name"].as_str().unwrap().to_owned());
        }
        match body["sites_links"][0]["href"].as_str() {
            Some(href) => path = href.strip_prefix("http://api:8788").unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c"]);
}

/// T7
#[tokio::test]
async fn tenant_mappings_are_the_administrators() {
    let site = Site::new().await;
    let other = SiteId(Uuid::new_v4());
    site.register(other, "site-b").await;
    let row = json!({"tenant_mapping": {"local_tenant": "p0", "remote_site": other, "remote_tenant": "q0"}});
    let created = site
        .post("admin", "/v1/p0/tenant-mappings", row.clone())
        .await
        .ok(201);
    let id = created["tenant_mapping"]["id"].as_str().unwrap();
    assert_eq!(created["tenant_mapping"]["description"], "");
    let rows = site.get("admin", "/v1/p0/tenant-mappings").await.ok(200);
    assert_eq!(rows["tenant_mappings"].as_array().unwrap().len(), 1);
    let path = format!("/v1/p0/tenant-mappings/{id}");
    assert_eq!(site.get("admin", &path).await.ok(200), created);
    site.post("tenant", "/v1/p1/tenant-mappings", row)
        .await
        .fault("forbidden", 403);
    assert_eq!(site.ask("DELETE", "admin", &path, None, &[]).await.status, 204);
    site.get("admin", &path).await.fault("itemNotFound", 404);

    let to_itself =
        json!({"tenant_mapping": {"local_tenant": "a/b", "remote_site": other, "remote_tenant": "q"}});
    let message = site
        .post("admin", "/v1/p0/tenant-mappings", to_itself)
        .await
        .fault("badRequest", 400);
    assert!(message.contains("'tenant_mapping.local_tenant'"), "{message}");
}
