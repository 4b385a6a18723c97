//! Array tokens that stay in Barbican: protector reads them there as the tenant, and has them nowhere itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Pair, Session, Stack, names, text};
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Barbican's own policy lets role `creator` read secrets, and a trust has what is lent by it.
const WITH_CREATOR: &str =
    "[DEFAULT]\ndebug = True\n\n[service_credentials]\ndefault_trust_roles = member,creator\n";

/// A role of `demo` at both sites, as an administrator gives it.
async fn grant(stack: &Stack, role: &str) -> Result<()> {
    for site in [&stack.a, &stack.b] {
        let admin = site.sign_in("admin").await?;
        let id = async |what: &str, name: &str| -> Result<String> {
            let found = admin
                .listed("identity", &format!("/{what}?name={name}"), what)
                .await?;
            let first = found.first().with_context(|| format!("no {name} in {what}"))?;
            Ok(text(first, "id")?.to_owned())
        };
        let (project, user, role) = (
            id("projects", "demo").await?,
            id("users", "demo").await?,
            id("roles", role).await?,
        );
        let path = format!("/projects/{project}/users/{user}/roles/{role}");
        admin.cloud("identity", Method::PUT, &path, None).await?.ok(204)?;
    }
    Ok(())
}

/// Store a secret as this user; its id.
async fn store(session: &Session, payload: &str) -> Result<String> {
    let body = json!({"name": "array", "payload": payload, "payload_content_type": "text/plain"});
    let made = session
        .cloud("key-manager", Method::POST, "/v1/secrets", Some(&body))
        .await?
        .ok(201)?;
    let href = text(&made, "secret_ref")?;
    Ok(href.rsplit('/').next().unwrap_or_default().to_owned())
}

fn policy_body(stack: &Stack, array_group: &str, primary: &str, secondary: &str) -> Value {
    let mut body = stack.policy_body(array_group);
    let policy = &mut body["policy"];
    for (side, secret) in [("primary", primary), ("secondary", secondary)] {
        policy[format!("{side}_fa_token")] = Value::Null;
        policy[format!("{side}_fa_token_secret")] = json!(secret);
    }
    body
}

/// A group at site-a with one server of two disks, whose policy has its tokens in secrets.
async fn protected(stack: &Stack, pair: &Pair, name: &str, policy: &Value) -> Result<String> {
    let id = stack.bare_group(pair, name).await?;
    let path = format!("/protection-groups/{id}/policy");
    pair.modify(&id, Method::POST, &path, Some(policy), 202).await?;
    let bound = pair
        .until(&path, "policy", |policy| policy["status"] != "applying")
        .await?;
    ensure!(bound["status"] == "active", "{bound:#}");
    let label = format!("{name}-0");
    let server = stack
        .simulation
        .boot("site-a", &label, 2, "replicated-ssd")
        .await?;
    for device in stack.simulation.devices("site-a", &server).await? {
        let marker = format!("{label} {device}");
        stack
            .simulation
            .write("site-a", &server, &device, &marker)
            .await?;
    }
    stack.member(pair, &id, &server).await?;
    for side in [pair, &pair.reversed()] {
        let path = format!("/protection-groups/{id}");
        side.until(&path, "protection_group", |group| group["facts_complete"] == true)
            .await?;
    }
    Ok(id)
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => files(&path, found)?,
            false => found.push(path),
        }
    }
    Ok(())
}

/// Planned, and then with site-a and its Barbican gone.
#[tokio::test]
async fn a11_barbican_can_hold_the_tokens() -> Result<()> {
    let mut stack = Stack::configured(WITH_CREATOR).await?;
    grant(&stack, "creator").await?;
    let pair = stack.pair("demo").await?;
    let (primary, secondary) = (
        store(&pair.here, "fa-a-token").await?,
        store(&pair.there, "fa-b-token\n").await?,
    );
    // Where an address says that the secret is makes no difference.
    let href = format!("https://barbican.invalid/v1/secrets/{primary}");
    let shop = protected(
        &stack,
        &pair,
        "shop",
        &policy_body(&stack, "pg-shop", &href, &secondary),
    )
    .await?;
    let web = protected(
        &stack,
        &pair,
        "web",
        &policy_body(&stack, "pg-web", &primary, &secondary),
    )
    .await?;
    for session in [&pair.here, &pair.there] {
        let shown = session.get(&format!("/protection-groups/{shop}/policy")).await?;
        assert_eq!(shown["policy"]["primary_fa_token_secret"], primary.as_str());
        assert_eq!(shown["policy"]["secondary_fa_token_secret"], secondary.as_str());
    }
    let bundle = pair
        .here
        .get(&format!("/protection-groups/{shop}/metadata"))
        .await?;
    assert_eq!(
        bundle["bundle"]["sealed"],
        Value::Null,
        "there is nothing to seal"
    );

    let operation = pair.failover(&shop, json!({})).await?;
    let ended = pair.ended(&shop, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");

    stack.replicated().await?;
    stack.lose_site_a().await?;
    // What was in memory only is gone, and site-b's own Barbican alone is asked.
    stack.b.restart().await?;
    let body = json!({"failover": {"type": "unplanned"}});
    let path = format!("/protection-groups/{web}/action");
    let answer = pair.there.call(Method::POST, &path, Some(&body)).await?.ok(202)?;
    let path = format!("/operations/{}", text(&answer["operation"], "id")?);
    let there = pair.reversed();
    let ended = there
        .until(&path, "operation", |now| !now["outcome"].is_null())
        .await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    let servers = pair.there.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&servers), ["shop-0", "web-0"]);

    let mut looked_at = Vec::new();
    for site in [&stack.a, &stack.b] {
        files(&site.directory, &mut looked_at)?;
    }
    for wanted in ["protector.db", "protector-engine.log", "protector-api.log"] {
        let found = looked_at.iter().any(|path| path.ends_with(wanted));
        ensure!(found, "{wanted} was not looked at: {looked_at:?}");
    }
    for path in &looked_at {
        let content = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
        for token in ["fa-a-token", "fa-b-token"] {
            ensure!(!content.contains(token), "{} holds {token}", path.display());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a11_a_secret_that_cannot_be_read_is_refused_with_what_to_do() -> Result<()> {
    let stack = Stack::configured(WITH_CREATOR).await?;
    let pair = stack.pair("demo").await?;
    let (by, nobodys) = (
        stack.a.sign_in("admin").await?,
        "00000000-0000-4000-8000-000000000000",
    );
    let foreign = store(&by, "fa-a-token").await?;
    let group = stack.bare_group(&pair, "web").await?;
    let path = format!("/protection-groups/{group}/policy");
    let refused = async |body: Value, name: &str, status: u16| -> Result<String> {
        let answer = pair.change(&group, Method::POST, &path, Some(&body)).await?;
        answer.fault(name, status)
    };
    let gone = refused(
        policy_body(&stack, "pg", nobodys, nobodys),
        "conflictingRequest",
        409,
    )
    .await?;
    for said in [nobodys, "site-a", "Secret not found", "openstack secret store"] {
        ensure!(gone.contains(said), "no '{said}' in: {gone}");
    }
    let strange = refused(
        policy_body(&stack, "pg", &foreign, nobodys),
        "conflictingRequest",
        409,
    )
    .await?;
    for said in ["not allowed", "creator", "default_trust_roles"] {
        ensure!(strange.contains(said), "no '{said}' in: {strange}");
    }
    let mut both = policy_body(&stack, "pg", nobodys, nobodys);
    both["policy"]["secondary_fa_token"] = json!("fa-b-token");
    let mut neither = policy_body(&stack, "pg", nobodys, nobodys);
    neither["policy"]["secondary_fa_token_secret"] = Value::Null;
    for body in [both, neither] {
        let message = refused(body, "badRequest", 400).await?;
        ensure!(
            message.contains("'secondary_fa_token'") && message.contains("'secondary_fa_token_secret'"),
            "{message}"
        );
    }
    let no_id = refused(
        policy_body(&stack, "pg", "https://b/v1/orders/x", nobodys),
        "badRequest",
        400,
    )
    .await?;
    ensure!(no_id.contains("primary_fa_token_secret"), "{no_id}");
    let rule = json!({"path": "/key-manager", "times": 9, "action": {"kind": "status", "status": 503}});
    stack.simulation.disturb("site-a", &rule).await?;
    let down = refused(
        policy_body(&stack, "pg", nobodys, nobodys),
        "serviceUnavailable",
        503,
    )
    .await?;
    ensure!(down.contains("Barbican at site-a"), "{down}");
    pair.here
        .call(Method::GET, &path, None)
        .await?
        .fault("itemNotFound", 404)?;
    Ok(())
}

/// Somebody deletes the secret of the other site: nothing begins, and another secret helps.
#[tokio::test]
async fn a11_another_secret_takes_the_place_of_a_deleted_one() -> Result<()> {
    let mut stack = Stack::configured(WITH_CREATOR).await?;
    grant(&stack, "creator").await?;
    let pair = stack.pair("demo").await?;
    let primary = store(&pair.here, "fa-a-token").await?;
    let secondary = store(&pair.there, "fa-b-token").await?;
    let group = protected(
        &stack,
        &pair,
        "web",
        &policy_body(&stack, "pg-web", &primary, &secondary),
    )
    .await?;
    let path = format!("/v1/secrets/{secondary}");
    pair.there
        .cloud("key-manager", Method::DELETE, &path, None)
        .await?
        .ok(204)?;
    stack.a.restart().await?;
    let body = json!({"failover": {"type": "planned", "mappings": {}}});
    let path = format!("/protection-groups/{group}/action");
    let refused = pair.change(&group, Method::POST, &path, Some(&body)).await?;
    let message = refused.fault("conflictingRequest", 409)?;
    for said in [&secondary, "site-b", "Secret not found", "policy-create"] {
        ensure!(message.contains(said), "no '{said}' in: {message}");
    }
    let other = store(&pair.there, "fa-b-token").await?;
    let path = format!("/protection-groups/{group}/policy");
    let body = policy_body(&stack, "pg-web", &primary, &other);
    let replaced = pair.modify(&group, Method::POST, &path, Some(&body), 202).await?;
    assert_eq!(
        replaced["policy"]["status"], "active",
        "the arrays have nothing to do: {replaced}"
    );
    let again = pair.change(&group, Method::POST, &path, Some(&body)).await?;
    again.fault("conflictingRequest", 409)?;
    let operation = pair.failover(&group, json!({})).await?;
    assert_eq!(pair.ended(&group, &operation).await?["outcome"], "completed");
    Ok(())
}

/// Nobody is left with a group that can't be deleted.
#[tokio::test]
async fn a11_a_group_whose_secret_is_gone_can_be_deleted() -> Result<()> {
    let mut stack = Stack::configured(WITH_CREATOR).await?;
    grant(&stack, "creator").await?;
    let pair = stack.pair("demo").await?;
    let primary = store(&pair.here, "fa-a-token").await?;
    let secondary = store(&pair.there, "fa-b-token").await?;
    let group = protected(
        &stack,
        &pair,
        "web",
        &policy_body(&stack, "pg-web", &primary, &secondary),
    )
    .await?;
    let path = format!("/v1/secrets/{secondary}");
    pair.there
        .cloud("key-manager", Method::DELETE, &path, None)
        .await?
        .ok(204)?;
    stack.a.restart().await?;
    let path = format!("/protection-groups/{group}");
    pair.change(&group, Method::DELETE, &path, None).await?.ok(202)?;
    let end = Instant::now() + Duration::from_secs(60);
    while pair.here.call(Method::GET, &path, None).await?.status != 404 {
        ensure!(Instant::now() < end, "the group is never gone");
        sleep(Duration::from_millis(50)).await;
    }
    let arrays = stack.simulation.array_state("fa-a").await?;
    ensure!(
        arrays["groups"].to_string().contains("pg-web"),
        "nobody had a token to remove it"
    );
    Ok(())
}
