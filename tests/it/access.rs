//! Who gets in, and what the API says of itself.

use crate::harness::programs::{Program, run};
use crate::harness::stack::{Conf, free_port};
use crate::harness::{Stack, text};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
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

/// What the documented search of a log finds: `grep '401\|auth\|Unauthorized' api.log | tail -20`.
async fn grepped(log: &Path) -> Result<String> {
    let log = log.to_string_lossy();
    let found = Command::new("sh")
        .args(["-c", r"grep '401\|auth\|Unauthorized' $0 | tail -20", &log])
        .output()
        .await?;
    Ok(String::from_utf8(found.stdout)?)
}

/// A site's API, wrongly configured: what a client with this token gets, and what the log then says.
async fn diagnosed(stack: &Stack, auth_url: &str, password: &str, token: &str) -> Result<(u16, String)> {
    // Beside the sites, where the arrays' certificates are.
    let above = stack.a.directory.parent().context("a site has a place")?;
    let directory = TempDir::new_in(above)?;
    let port = free_port()?;
    let conf = Conf {
        auth_url: auth_url.to_owned(),
        password: password.to_owned(),
        port,
        more: String::new(),
    };
    let conf = conf.write(directory.path())?;
    let conf = conf.to_string_lossy();
    let made = run("protector-manage", &["db", "sync", "--config-file", &conf]).await?;
    ensure!(made.status.success(), "{made:?}");
    let output = directory.path().join("out");
    let _api = Program::start("protector-api", &["--config-file", &conf], &output)?;
    let root = format!("http://127.0.0.1:{port}");
    let end = Instant::now() + Duration::from_secs(15);
    while stack.http.get(&root).send().await.is_err() {
        ensure!(Instant::now() < end, "{}", std::fs::read_to_string(&output)?);
        sleep(Duration::from_millis(50)).await;
    }
    let url = format!("{root}/v1/0123456789abcdef0123456789abcdef/protection-groups");
    let answer = stack.http.get(url).header("x-auth-token", token).send().await?;
    let status = answer.status().as_u16();
    let said = grepped(&directory.path().join("log/protector-api.log")).await?;
    ensure!(
        !said.contains(token) && !said.contains(password),
        "a secret is told: {said}"
    );
    Ok((status, said))
}

/// Each cause that the documents know of a 401 can be told from what their search of the log finds.
#[tokio::test]
async fn a3_the_log_tells_what_is_wrong_with_the_sign_in() -> Result<()> {
    let stack = Stack::unregistered().await?;
    let demo = stack.a.sign_in("demo").await?;
    let (here, there) = (stack.a.auth_url.as_str(), stack.b.auth_url.as_str());
    let nowhere = format!("http://127.0.0.1:{}/identity", free_port()?);
    let no_keystone = format!("{}/nothing", here.trim_end_matches("/v3"));
    for (auth_url, password, status, lines) in [
        // The service's own password is wrong.
        (
            here,
            "wrong-password-7",
            503,
            &[
                " WARNING keystonemiddleware.auth_token [req-",
                "Identity response: 401 Unauthorized",
                " ERROR keystonemiddleware.auth_token [req-",
                "Unable to validate token",
                "(user protector, project service): check username, password and project_name in [keystone_authtoken]",
                here,
            ][..],
        ),
        // The other site's Keystone is asked: it knows the service there, and not the caller's token.
        (
            there,
            "site-b-protector",
            401,
            &[
                " WARNING keystonemiddleware.auth_token [req-",
                "Authorization failed for token",
                "401 Unauthorized",
                there,
                "auth_url",
            ],
        ),
        // There is no Keystone at that address.
        (
            &no_keystone,
            "site-a-protector",
            503,
            &[
                "Identity response: 404 Not Found",
                "check auth_url in [keystone_authtoken]",
                &no_keystone,
            ],
        ),
        // Keystone is dead.
        (
            &nowhere,
            "site-a-protector",
            503,
            &[
                " ERROR keystonemiddleware.auth_token [req-",
                "Failed to fetch token data from identity server at",
                &nowhere,
                "Connection refused",
            ],
        ),
    ] {
        let (answered, said) = diagnosed(&stack, auth_url, password, &demo.token).await?;
        assert_eq!(answered, status, "{said}");
        for line in lines {
            ensure!(said.contains(line), "no '{line}': {said}");
        }
    }
    Ok(())
}

/// The first example of the documents: the endpoint is not registered.
#[tokio::test]
async fn a3_the_log_tells_that_the_endpoint_is_not_registered() -> Result<()> {
    let stack = Stack::unregistered().await?;
    let admin = stack.a.sign_in("admin").await?;
    let named = admin
        .cloud("identity", Method::GET, "/services?type=protector", None)
        .await?
        .ok(200)?;
    for service in named["services"].as_array().into_iter().flatten() {
        let path = format!("/services/{}", text(service, "id")?);
        admin
            .cloud("identity", Method::DELETE, &path, None)
            .await?
            .ok(204)?;
    }
    let demo = stack.a.sign_in("demo").await?;
    demo.get("/protection-groups").await?;
    let said = grepped(&stack.a.directory.join("log/protector-api.log")).await?;
    let line = said
        .lines()
        .find(|line| line.contains("ERROR keystonemiddleware.auth_token"));
    let line = line.with_context(|| format!("nothing is found: {said}"))?;
    ensure!(
        line.ends_with("Could not find endpoint for service 'protector' in catalog"),
        "{line}"
    );
    Ok(())
}
