//! The address book.

use std::time::Duration;

use crate::harness::{Stack, names, text};
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a6_sites_are_created_listed_and_shown() -> Result<()> {
    let stack = Stack::unregistered().await?;
    let admin = stack.a.sign_in("admin").await?;
    for site in [&stack.a, &stack.b] {
        let body = stack.site_body(&stack.a, site).await?;
        let made = admin.admin(Method::POST, "/sites", Some(&body)).await?.ok(201)?;
        let made = &made["site"];
        assert_eq!(made["id"], site.identity().await?["id"]);
        assert_eq!(made["name"], site.name.as_str());
        assert_eq!(made["auth_url"], site.auth_url.as_str());
        assert_eq!(made["is_local"], site.name == "site-a");
        assert_eq!(made["has_service_credentials"], true);
        ensure!(
            !made.to_string().contains("site-b-protector"),
            "a password comes back"
        );
        // A second time there is something with that name already.
        admin
            .admin(Method::POST, "/sites", Some(&body))
            .await?
            .fault("conflictingRequest", 409)?;
        let path = format!("/sites/{}", text(made, "id")?);
        let shown = admin.admin(Method::GET, &path, None).await?.ok(200)?;
        assert_eq!(shown["site"]["name"], site.name.as_str());
    }
    let list = |body: Value| body["sites"].as_array().cloned().unwrap_or_default();
    let all = admin.admin(Method::GET, "/sites", None).await?.ok(200)?;
    assert_eq!(names(&list(all)), ["site-a", "site-b"]);
    let one = admin
        .admin(Method::GET, "/sites?name=site-b", None)
        .await?
        .ok(200)?;
    assert_eq!(names(&list(one)), ["site-b"]);
    // Tenants read them under their own address.
    let tenant = stack.a.sign_in("demo").await?;
    assert_eq!(names(&list(tenant.get("/sites").await?)), ["site-a", "site-b"]);
    let wrong = json!({"site": {"name": "x", "site_type": "tertiary", "auth_url": "nowhere"}});
    admin.admin(Method::POST, "/sites", Some(&wrong)).await?.ok(400)?;
    Ok(())
}

#[tokio::test]
async fn a6_validation_tells_active_unreachable_and_error_apart() -> Result<()> {
    let stack = Stack::start().await?;
    let admin = stack.a.sign_in("admin").await?;
    let there = stack.b.identity().await?;
    let path = format!("/sites/{}", text(&there, "id")?);
    let validate = async || -> Result<Value> {
        let url = format!("{path}/validate");
        admin.admin(Method::POST, &url, None).await?.ok(200)
    };
    let well = validate().await?;
    assert_eq!(well["site"]["status"], "active", "{well}");
    ensure!(well["checks"].as_array().is_some_and(|checks| !checks.is_empty()));

    let down = |down: bool| json!({ "down": down });
    stack
        .simulation
        .site(Method::PUT, "site-b/faults", Some(&down(true)))
        .await?;
    assert_eq!(validate().await?["site"]["status"], "unreachable");
    stack
        .simulation
        .site(Method::PUT, "site-b/faults", Some(&down(false)))
        .await?;
    assert_eq!(validate().await?["site"]["status"], "active");

    let wrong = json!({"site": {"service_username": "protector", "service_password": "wrong"}});
    admin.admin(Method::PATCH, &path, Some(&wrong)).await?.ok(200)?;
    let ill = validate().await?;
    assert_eq!(ill["site"]["status"], "error", "{ill}");
    ensure!(
        !ill.to_string().contains("wrong\""),
        "the password comes back: {ill}"
    );
    Ok(())
}

/// What a site lacks is found, with what to do about it; what it has is found as well.
#[tokio::test]
async fn a6_validation_finds_what_would_stop_a_failover() -> Result<()> {
    let stack = Stack::start().await?;
    let admin = stack.a.sign_in("admin").await?;
    let there = stack.b.identity().await?;
    let path = format!("/sites/{}/validate", text(&there, "id")?);
    let found = async |name: &str| -> Result<(bool, String)> {
        let answer = admin.admin(Method::POST, &path, None).await?.ok(200)?;
        ensure!(answer["protector"]["release"].is_string(), "{answer}");
        let mut checks = answer["checks"].as_array().into_iter().flatten();
        let check = checks.find(|check| check["name"] == name);
        let check = check.with_context(|| format!("no {name} in {answer:#}"))?;
        Ok((check["ok"] == true, text(check, "message")?.to_owned()))
    };
    for name in ["volume_manage", "volume_services", "volume_types", "clock"] {
        let (fine, message) = found(name).await?;
        ensure!(fine, "{name}: {message}");
    }
    let spoilt = json!({
        "forbidden": ["volume_extension:volume_manage"], "volume_service_down": true
    });
    stack.simulation.settings("site-b", &spoilt).await?;
    stack.simulation.pass("site-b", Duration::from_secs(120)).await?;
    for (name, remedy) in [
        ("volume_manage", "policy.yaml"),
        ("volume_services", "openstack volume service list"),
        ("clock", "NTP"),
    ] {
        let (fine, message) = found(name).await?;
        ensure!(!fine && message.contains(remedy), "{name}: {message}");
    }
    let (_, clock) = found("clock").await?;
    ensure!(clock.contains("ahead of this site's"), "{clock}");
    // Asking whether volumes may be taken over takes none over.
    let service = stack.b.sign_in("protector").await?;
    let volumes = service
        .listed("volumev3", "/volumes/detail?all_tenants=1", "volumes")
        .await?;
    ensure!(volumes.is_empty(), "{volumes:?}");
    Ok(())
}

#[tokio::test]
async fn a6_volume_types_that_can_be_protected_are_listed() -> Result<()> {
    let stack = Stack::start().await?;
    let admin = stack.a.sign_in("admin").await?;
    for site in [&stack.a, &stack.b] {
        let id = site.identity().await?;
        let path = format!("/sites/{}/volume-types", text(&id, "id")?);
        let listed = admin.admin(Method::GET, &path, None).await?.ok(200)?;
        let types = listed["volume_types"].as_array().cloned().unwrap_or_default();
        assert_eq!(names(&types), ["replicated-ssd"]);
        assert_eq!(types[0]["replication_enabled"], "<is> True");
        assert_eq!(types[0]["replication_type"], "<in> async");
    }
    Ok(())
}

#[tokio::test]
async fn t7_tenant_mappings_are_made_listed_shown_and_deleted() -> Result<()> {
    let stack = Stack::start().await?;
    let admin = stack.a.sign_in("admin").await?;
    let remote = stack.b.identity().await?;
    let body = json!({"tenant_mapping": {
        "local_tenant": admin.project, "remote_site": remote["id"],
        "remote_tenant": "0123456789abcdef0123456789abcdef", "description": "d"
    }});
    let made = admin
        .call(Method::POST, "/tenant-mappings", Some(&body))
        .await?
        .ok(201)?;
    let made = &made["tenant_mapping"];
    for (field, value) in body["tenant_mapping"].as_object().into_iter().flatten() {
        assert_eq!(made[field], *value);
    }
    let path = format!("/tenant-mappings/{}", text(made, "id")?);
    let listed = admin.get("/tenant-mappings").await?;
    ensure!(
        listed["tenant_mappings"]
            .as_array()
            .is_some_and(|all| all.contains(made)),
        "{listed}"
    );
    assert_eq!(admin.get(&path).await?["tenant_mapping"], *made);
    // A tenant may neither make nor take one away.
    let demo = stack.a.sign_in("demo").await?;
    demo.call(Method::POST, "/tenant-mappings", Some(&body))
        .await?
        .fault("forbidden", 403)?;
    demo.call(Method::DELETE, &path, None)
        .await?
        .fault("forbidden", 403)?;
    admin.call(Method::DELETE, &path, None).await?.ok(204)?;
    admin
        .call(Method::GET, &path, None)
        .await?
        .fault("itemNotFound", 404)?;
    Ok(())
}

#[tokio::test]
async fn t7_without_a_mapping_a_bundle_is_refused() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let admin = stack.b.sign_in("admin").await?;
    let mapped = admin.get("/tenant-mappings").await?["tenant_mappings"][0].clone();
    let path = format!("/tenant-mappings/{}", text(&mapped, "id")?);
    admin.call(Method::DELETE, &path, None).await?.ok(204)?;
    let id = uuid::Uuid::new_v4().to_string();
    let body = stack.group_body(&id, "web", "replicated-ssd", "async").await?;
    pair.change(&id, Method::POST, "/protection-groups", Some(&body))
        .await?
        .ok(202)?;
    let path = format!("/protection-groups/{id}/metadata");
    let bundle = pair.here.get(&path).await?;
    let body = json!({"bundle": bundle["bundle"]});
    let message = pair
        .there
        .call(Method::PUT, &path, Some(&body))
        .await?
        .fault("conflictingRequest", 409)?;
    ensure!(message.contains("no tenant mapping"), "{message}");
    pair.there
        .call(Method::GET, &path, None)
        .await?
        .fault("itemNotFound", 404)?;
    let again: serde_json::Map<_, _> = mapped
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, _)| *field != "created_at")
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    let body = json!({ "tenant_mapping": again });
    admin
        .call(Method::POST, "/tenant-mappings", Some(&body))
        .await?
        .ok(201)?;
    pair.push(&id).await
}
