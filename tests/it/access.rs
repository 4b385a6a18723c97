//! Who gets in, and what the API says of itself.

use crate::harness::{Stack, text};
use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn a1_the_version_document_needs_no_token() -> Result<()> {
    let stack = Stack::unregistered().await?;
    for site in [&stack.a, &stack.b] {
        let response = stack.http.get(format!("{}/", site.root)).send().await?;
        ensure!(response.status() == 200 || response.status() == 300);
        ensure!(response.headers().contains_key("x-openstack-request-id"));
        let body: serde_json::Value = response.json().await?;
        let version = &body["versions"][0];
        assert_eq!(version["id"], "v1.0");
        assert_eq!(version["status"], "CURRENT");
        assert_eq!(version["version"], "1.1");
        assert_eq!(version["min_version"], "1.0");
        assert_eq!(version["links"][0]["href"], format!("{}/v1/", site.root));
        text(&body["site"], "id")?;
        text(&body["site"], "public_key")?;
        let health = stack
            .http
            .get(format!("{}/healthcheck", site.root))
            .send()
            .await?;
        assert_eq!(health.status(), 200);
        assert_eq!(health.text().await?.trim(), "OK");
    }
    Ok(())
}

#[tokio::test]
async fn a2_another_projects_url_is_403_and_its_objects_are_404() -> Result<()> {
    let stack = Stack::start().await?;
    let tenant = stack.pair("demo").await?;
    let group = stack.bare_group(&tenant, "web").await?;
    // The service user is an administrator of another project: even he goes by his own project's address.
    let other = stack.a.sign_in("protector").await?;
    let demo = &tenant.here;
    for (user, address) in [(demo, other.base()), (&other, demo.base())] {
        let url = format!("{address}/protection-groups");
        let message = user
            .ask(Method::GET, &url, &[], None)
            .await?
            .fault("forbidden", 403)?;
        ensure!(message.contains("another project"), "{message}");
    }
    for rest in ["", "/members", "/policy", "/sync", "/metadata"] {
        let path = format!("/protection-groups/{group}{rest}");
        other
            .call(Method::GET, &path, None)
            .await?
            .fault("itemNotFound", 404)?;
    }
    let listed = other.get("/protection-groups").await?;
    assert_eq!(listed["protection_groups"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a3_without_a_good_token_401_names_keystone() -> Result<()> {
    let stack = Stack::unregistered().await?;
    let mut stranger = stack.a.sign_in("demo").await?;
    let project = stranger.project.clone();
    // A token of the other site is as good as none here.
    let foreign = stack.b.sign_in("demo").await?.token;
    for token in ["", "gAAAAA-no-token", &foreign] {
        stranger.token = token.to_owned();
        let url = format!("{}/v1/{project}/protection-groups", stack.a.root);
        let answer = stranger.ask(Method::GET, &url, &[], None).await?;
        assert_eq!(
            answer.header("www-authenticate"),
            format!("Keystone uri=\"{}\"", stack.a.auth_url)
        );
        answer.ok(401)?;
    }
    Ok(())
}

#[tokio::test]
async fn a3_503_while_keystone_is_down() -> Result<()> {
    let stack = Stack::unregistered().await?;
    let demo = stack.a.sign_in("demo").await?;
    let down = json!({"down": true});
    stack
        .simulation
        .site(Method::PUT, "site-a/faults", Some(&down))
        .await?;
    demo.call(Method::GET, "/protection-groups", None)
        .await?
        .ok(503)?;
    stack.simulation.heal().await?;
    // Keystone isn't asked again at once, and soon.
    let end = Instant::now() + Duration::from_secs(15);
    while demo.call(Method::GET, "/protection-groups", None).await?.status == 503 {
        ensure!(Instant::now() < end, "it stays 503");
        sleep(Duration::from_millis(100)).await;
    }
    demo.get("/protection-groups").await?;
    Ok(())
}

#[tokio::test]
async fn a4_a_403_names_its_rule() -> Result<()> {
    let stack = Stack::unregistered().await?;
    let demo = stack.a.sign_in("demo").await?;
    let body = stack.site_body(&stack.a, &stack.a).await?;
    let refused = demo.admin(Method::POST, "/sites", Some(&body)).await?;
    let message = refused.fault("forbidden", 403)?;
    ensure!(message.contains("protector:sites:create"), "{message}");
    Ok(())
}

#[tokio::test]
async fn a5_microversions_1_0_and_1_1_are_served_and_others_are_406() -> Result<()> {
    let stack = Stack::unregistered().await?;
    let demo = stack.a.sign_in("demo").await?;
    let url = format!("{}/protection-groups", demo.base());
    for (version, served) in [
        ("1.0", true),
        ("1.1", true),
        ("1.2", false),
        ("2.0", false),
        ("0.9", false),
    ] {
        let asked = format!("protector {version}");
        let header = [("OpenStack-API-Version", asked.as_str())];
        let answer = demo.ask(Method::GET, &url, &header, None).await?;
        if served {
            assert_eq!(answer.header("openstack-api-version"), asked);
            answer.ok(200)?;
        } else {
            answer.ok(406)?;
        }
    }
    let unasked = demo.ask(Method::GET, &url, &[], None).await?;
    assert_eq!(unasked.header("openstack-api-version"), "protector 1.0");
    Ok(())
}
