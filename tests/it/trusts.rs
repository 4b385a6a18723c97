//! The tenant's trusts: what they hand over, and what happens when they die.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Pair, Session, Site, Stack, text};

/// The trusts of a site's Keystone, as its simulation knows them.
async fn trusts(stack: &Stack, site: &str) -> Result<Vec<Value>> {
    let state = stack.simulation.cloud_state(site).await?;
    let listed = state["identity"]["trusts"].as_array();
    listed
        .cloned()
        .with_context(|| format!("no trusts in the state of {site}"))
}

#[tokio::test]
async fn a10_the_engine_acts_by_a_trust_with_the_roles_of_default_trust_roles() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    for (site, user) in [("site-a", &pair.here), ("site-b", &pair.there)] {
        let state = stack.simulation.cloud_state(site).await?;
        let roles = state["identity"]["roles"].as_array().context("no roles")?;
        let member = roles
            .iter()
            .find(|role| role["name"] == "member")
            .context("no member")?;
        let made = trusts(&stack, site).await?;
        ensure!(!made.is_empty(), "no trust at {site}");
        for trust in made {
            assert_eq!(trust["impersonation"], true, "{trust}");
            assert_eq!(trust["project"], json!(user.project), "{trust}");
            // `_member_`, which the default names too, is unknown to this Keystone.
            assert_eq!(trust["role_ids"], json!([member["id"]]), "{trust}");
        }
    }
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    // The engine made it, and it is the tenant's.
    for server in pair.there.listed("compute", "/servers/detail", "servers").await? {
        assert_eq!(server["tenant_id"], json!(pair.there.project), "{server}");
    }
    Ok(())
}

#[tokio::test]
async fn a10_a_role_that_keystone_lacks_is_told_by_validate() -> Result<()> {
    let stack = Stack::start().await?;
    let admin = stack.a.sign_in("admin").await?;
    let id = stack.a.identity().await?["id"].clone();
    let path = format!("/sites/{}/validate", id.as_str().context("no id")?);
    let check = |answer: &Value| -> Result<Value> {
        let checks = answer["checks"].as_array().context("no checks")?;
        let found = checks.iter().find(|check| check["name"] == "trust_roles");
        found
            .cloned()
            .with_context(|| format!("nothing about roles: {answer}"))
    };
    let answer = admin.admin(Method::POST, &path, None).await?.ok(200)?;
    let told = check(&answer)?;
    ensure!(text(&told, "message")?.contains("lacks _member_"), "{told}");
    assert_eq!(told["ok"], true, "one of them is enough: {told}");

    let stack = Stack::configured("[service_credentials]\ndefault_trust_roles = tenant,owner\n").await?;
    let admin = stack.a.sign_in("admin").await?;
    let id = stack.a.identity().await?["id"].clone();
    let path = format!("/sites/{}/validate", id.as_str().context("no id")?);
    let answer = admin.admin(Method::POST, &path, None).await?.ok(200)?;
    let told = check(&answer)?;
    assert_eq!(told["ok"], false, "{told}");
    ensure!(
        text(&told, "message")?.contains("tenant, owner")
            && text(&told, "message")?.contains("default_trust_roles"),
        "{told}"
    );
    Ok(())
}

/// Another member of the tenant's project.
async fn colleague(site: &Site) -> Result<Session> {
    let (tenant, admin) = (site.sign_in("demo").await?, site.sign_in("admin").await?);
    let keystone = admin.endpoint("identity")?;
    let user = json!({"user": {"name": "colleague", "password": "of-the-colleague", "domain_id": "default"}});
    let url = format!("{keystone}/users");
    let made = admin.ask(Method::POST, &url, &[], Some(&user)).await?.ok(201)?;
    let roles = admin
        .ask(Method::GET, &format!("{keystone}/roles?name=member"), &[], None)
        .await?
        .ok(200)?;
    let (user, role) = (text(&made["user"], "id")?, text(&roles["roles"][0], "id")?);
    let url = format!("{keystone}/projects/{}/users/{user}/roles/{role}", tenant.project);
    admin.ask(Method::PUT, &url, &[], None).await?.ok(204)?;
    site.sign_in_as("colleague", "of-the-colleague", "demo").await
}

/// The user `demo` leaves: Keystone takes his trusts with him.
async fn delete_demo(site: &Site) -> Result<()> {
    let admin = site.sign_in("admin").await?;
    let keystone = admin.endpoint("identity")?;
    let url = format!("{keystone}/users?name=demo");
    let found = admin.ask(Method::GET, &url, &[], None).await?.ok(200)?;
    let url = format!("{keystone}/users/{}", text(&found["users"][0], "id")?);
    admin.ask(Method::DELETE, &url, &[], None).await?.ok(204)?;
    Ok(())
}

#[tokio::test]
async fn a10_a_lost_trust_is_renewed_by_the_next_member_who_acts() -> Result<()> {
    let stack = Stack::start().await?;
    let group = {
        let pair = stack.pair("demo").await?;
        stack.protected(&pair, "web", 1).await?
    };
    let pair = Pair {
        here: colleague(&stack.a).await?,
        there: colleague(&stack.b).await?,
    };
    delete_demo(&stack.a).await?;
    delete_demo(&stack.b).await?;

    // Who only looks is told; nothing is renewed by that.
    let path = format!("/protection-groups/{}/preflight", group.id);
    let body = json!({"preflight": {"type": "planned"}});
    let report = pair.here.call(Method::POST, &path, Some(&body)).await?.ok(200)?;
    let told = report["preflight"].to_string();
    ensure!(
        told.contains("\"check\":\"trust\"") && told.contains("sync-force"),
        "{told}"
    );

    // He acts, on whatever it is.
    let path = format!("/protection-groups/{}", group.id);
    let change = json!({"protection_group": {"description": "of the colleague"}});
    pair.modify(&group.id, Method::PATCH, &path, Some(&change), 200)
        .await?;
    for site in ["site-a", "site-b"] {
        assert_eq!(trusts(&stack, site).await?.len(), 1, "no new trust at {site}");
    }
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    Ok(())
}

/// On the day of the disaster, too: the survivor's trust is made anew from the token of who orders the failover.
#[tokio::test]
async fn a10_a_lost_trust_does_not_hold_up_an_unplanned_failover() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    stack.replicated().await?;
    for trust in trusts(&stack, "site-b").await? {
        let url = format!(
            "{}/OS-TRUST/trusts/{}",
            pair.there.endpoint("identity")?,
            text(&trust, "id")?
        );
        pair.there.ask(Method::DELETE, &url, &[], None).await?.ok(204)?;
    }
    stack.lose_site_a().await?;
    let path = format!("/protection-groups/{}/action", group.id);
    let body = json!({"failover": {"type": "unplanned"}});
    let answer = pair.there.call(Method::POST, &path, Some(&body)).await?.ok(202)?;
    let path = format!("/operations/{}", text(&answer["operation"], "id")?);
    let ended = pair
        .reversed()
        .until(&path, "operation", |now| !now["outcome"].is_null())
        .await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    Ok(())
}
