//! Two regions of one Keystone: one identity service, and everything else twice.

use crate::harness::{Pair, Plan, Stack, names, text};
use crate::takeover::take_over;
use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

const REGIONS: Plan<'_> = Plan {
    sites: &["--one-keystone"],
    more: ["", ""],
    trusting: true,
};

/// Both sites say the same of the group, and that they do.
async fn agree(pair: &Pair, group: &str, site: &str) -> Result<()> {
    for side in [pair, &pair.reversed()] {
        let shown = side.here.get(&format!("/protection-groups/{group}")).await?;
        let shown = &shown["protection_group"];
        assert_eq!(shown["status"], "failed_over", "{shown}");
        assert_eq!(shown["current_primary_site"], site, "{shown}");
        assert_eq!(shown["sync_status"], "synced", "{shown}");
    }
    Ok(())
}

#[tokio::test]
async fn p3_a_planned_failover_goes_from_one_region_to_the_other() -> Result<()> {
    let stack = Stack::planned(REGIONS).await?;
    assert_eq!(stack.a.auth_url, stack.b.auth_url);
    let pair = stack.pair("demo").await?;
    assert_eq!(pair.here.project, pair.there.project);
    let group = stack.protected(&pair, "web", 2).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    stack.arrived(&pair, &group).await?;
    let old = pair.here.listed("compute", "/servers/detail", "servers").await?;
    ensure!(old.iter().all(|server| server["status"] == "SHUTOFF"), "{old:?}");
    agree(&pair, &group.id, "site-b").await
}

/// All of the first region is dead, and Keystone, which is nobody's own, lives.
#[tokio::test]
async fn p3_an_unplanned_failover_needs_nothing_of_the_other_region() -> Result<()> {
    let mut stack = Stack::planned(REGIONS).await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    stack.replicated().await?;
    stack.lose_site_a().await?;
    let ended = take_over(&pair, &group.id).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    stack.arrived(&pair, &group).await?;
    let shown = pair
        .there
        .get(&format!("/protection-groups/{}", group.id))
        .await?;
    assert_eq!(
        shown["protection_group"]["current_primary_site"], "site-b",
        "{shown}"
    );
    // Who signs in at Keystone is as well as ever: that alone makes no site active.
    let admin = stack.b.sign_in("admin").await?;
    let there = json!(shown["protection_group"]["primary_site_id"]);
    let path = format!("/sites/{}/validate", there.as_str().unwrap_or_default());
    let found = admin.admin(Method::POST, &path, None).await?.ok(200)?;
    assert_eq!(found["site"]["status"], "unreachable", "{found:#}");
    Ok(())
}

async fn register(stack: &Stack, region: [Option<&str>; 2]) -> Result<Vec<(u16, Value)>> {
    let admin = stack.a.sign_in("admin").await?;
    let mut answers = Vec::new();
    for (site, region) in [&stack.a, &stack.b].into_iter().zip(region) {
        let mut body = stack.site_body(&stack.a, site).await?;
        body["site"]["region_name"] = json!(region);
        let answer = admin.admin(Method::POST, "/sites", Some(&body)).await?;
        answers.push((answer.status.as_u16(), answer.body));
    }
    Ok(answers)
}

#[tokio::test]
async fn p3_two_sites_of_one_keystone_need_a_region_each() -> Result<()> {
    for wrong in [None, Some("RegionOne")] {
        let stack = Stack::strangers(REGIONS).await?;
        let answers = register(&stack, [Some("RegionOne"), wrong]).await?;
        assert_eq!(answers[0].0, 201, "{answers:?}");
        let (status, refused) = &answers[1];
        assert_eq!(*status, 409, "{refused}");
        let message = text(&refused["conflictingRequest"], "message")?;
        for part in ["site-a", "site-b", &stack.a.auth_url, "--region-name"] {
            ensure!(message.contains(part), "{part} isn't in: {message}");
        }
        let admin = stack.a.sign_in("admin").await?;
        let listed = admin.admin(Method::GET, "/sites", None).await?.ok(200)?;
        let listed = listed["sites"].as_array().cloned().unwrap_or_default();
        assert_eq!(names(&listed), ["site-a"]);
    }
    Ok(())
}

/// A site knows where it is, and says so where it isn't said; it can't be written down as another region.
#[tokio::test]
async fn p3_the_configuration_says_in_which_region_a_site_is() -> Result<()> {
    let stack = Stack::strangers(REGIONS).await?;
    let identity = stack.b.identity().await?;
    assert_eq!(identity["region_name"], "RegionTwo", "{identity}");
    let answers = register(&stack, [Some("RegionTwo"), Some("RegionTwo")]).await?;
    assert_eq!(answers[0].0, 400, "{answers:?}");
    let message = text(&answers[0].1["badRequest"], "message")?;
    ensure!(message.contains("region 'RegionOne'"), "{message}");
    let answers = register(&stack, [None, Some("RegionTwo")]).await?;
    assert_eq!(answers[0].0, 201, "{answers:?}");
    assert_eq!(answers[0].1["site"]["region_name"], "RegionOne");
    Ok(())
}

/// A project is itself in both regions until an administrator says otherwise.
#[tokio::test]
async fn p3_a_project_needs_no_mapping_to_itself_and_may_have_one() -> Result<()> {
    let stack = Stack::planned(REGIONS).await?;
    let pair = stack.pair("demo").await?;
    stack.bare_group(&pair, "without").await?;
    let map = async |local: &str, remote: &str| -> Result<()> {
        let id = uuid::Uuid::new_v4().to_string();
        for (site, other, local, remote) in [
            (&stack.a, &stack.b, local, remote),
            (&stack.b, &stack.a, remote, local),
        ] {
            let admin = site.sign_in("admin").await?;
            let body = json!({"tenant_mapping": {
                "id": id, "local_tenant": local, "remote_site": other.identity().await?["id"],
                "remote_tenant": remote, "description": ""
            }});
            admin
                .call(Method::POST, "/tenant-mappings", Some(&body))
                .await?
                .ok(201)?;
        }
        Ok(())
    };
    map(&pair.here.project, &pair.here.project).await?;
    stack.bare_group(&pair, "with").await?;
    // What the administrator's project is called there is the tenant's no longer.
    let admin = stack.pair("admin").await?;
    let stranger = stack.a.sign_in("protector").await?.project;
    map(&stranger, &admin.here.project).await?;
    let id = uuid::Uuid::new_v4().to_string();
    let body = stack.group_body(&id, "taken", "replicated-ssd", "async").await?;
    let refused = admin
        .change(&id, Method::POST, "/protection-groups", Some(&body))
        .await?;
    let message = refused.fault("conflictingRequest", 409)?;
    ensure!(message.contains("no tenant mapping"), "{message}");
    Ok(())
}
