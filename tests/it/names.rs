//! The same tenant goes by other names at the other site: user, project and domain.

use crate::harness::{Plan, Stack};
use anyhow::Result;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn t7_a_tenant_with_other_names_at_the_other_site_is_protected_and_moved() -> Result<()> {
    let plan = Plan {
        sites: &["--other-names"],
        ..Plan::default()
    };
    let stack = Stack::planned(plan).await?;
    let there = stack.b.login("demo")?;
    assert_eq!(
        [&there.user, &there.project, &there.domain],
        ["alice", "shop-dr", "recovery"]
    );
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    let path = format!("/protection-groups/{}", group.id);
    // Each site knows the group as its own project's, and every change is told.
    let change = json!({"protection_group": {"description": "of the shop"}});
    pair.modify(&group.id, Method::PATCH, &path, Some(&change), 200)
        .await?;
    for side in [&pair, &pair.reversed()] {
        let shown = side.here.get(&path).await?["protection_group"].clone();
        assert_eq!(shown["project_id"], side.here.project, "{shown}");
        assert_eq!(shown["description"], "of the shop", "{shown}");
        assert_eq!(shown["sync_status"], "synced", "{shown}");
    }
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    stack.arrived(&pair, &group).await?;
    // The servers are alice's, as if she had made them.
    let servers = pair.there.listed("compute", "/servers/detail", "servers").await?;
    for server in servers {
        assert_eq!(server["tenant_id"], pair.there.project, "{server}");
    }
    Ok(())
}
