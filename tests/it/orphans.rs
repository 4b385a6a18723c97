//! What an operation could not take back is found by its marks, and removed at the administrator's word.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use crate::harness::Stack;
use crate::harness::state::{ALLOWED, differences};

#[tokio::test]
async fn o9_what_an_abandoned_operation_left_is_listed_and_removed() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    // Somebody else's port of the same network stays whatever happens.
    let networks = pair.there.listed("network", "/v2.0/networks", "networks").await?;
    let own = json!({"port": {"network_id": networks[0]["id"], "description": "dr_operation_id=none"}});
    let path = "/v2.0/ports";
    pair.there
        .cloud("network", Method::POST, path, Some(&own))
        .await?
        .ok(201)?;
    let before = stack.simulation.world().await?;
    let refuse = |method: &str, path: &str, times: u64| {
        json!({"method": method, "path": path, "times": times, "action": {"kind": "status", "status": 403,
            "body": {"forbidden": {"code": 403, "message": "Refused for the test."}}}})
    };
    for rule in [refuse("POST", "/servers$", 1), refuse("DELETE", "/ports/", 1000)] {
        stack.simulation.disturb("site-b", &rule).await?;
    }
    let kept = json!({"method": "PATCH", "path": "/volumes$", "times": 1000, "action": {"kind": "status", "status": 400,
        "body": {"errors": [{"context": "test", "message": "Refused for the test."}]}}});
    stack.simulation.disturb("fa-b", &kept).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair
        .ended_by(&operation, &json!({"resolve": {"decision": "accept"}}))
        .await?;
    assert_eq!(ended["outcome"], "abandoned", "{ended:#}");
    stack.simulation.heal().await?;

    let site = &stack.a;
    let (ok, table) = site.says("protector-manage", &["orphans", "list"]).await?;
    ensure!(ok && table.contains(&operation), "{table}");
    for kind in ["port ", "array volume "] {
        ensure!(table.contains(kind), "no {kind}in\n{table}");
    }
    let (ok, listed) = site
        .says("protector-manage", &["orphans", "list", "--json"])
        .await?;
    ensure!(ok && listed.contains("\"orphans\""), "{listed}");

    let with_orphans = stack.simulation.world().await?;
    let (ok, said) = site.says("protector-manage", &["orphans", "remove"]).await?;
    ensure!(ok && said.contains("--yes"), "{said}");
    let untouched = differences(&with_orphans, &stack.simulation.world().await?, ALLOWED);
    ensure!(untouched.is_empty(), "{untouched:#?}");

    let (ok, said) = site
        .says("protector-manage", &["orphans", "remove", "--yes"])
        .await?;
    ensure!(ok && said.contains(", 0 left"), "{said}");
    let (ok, said) = site.says("protector-manage", &["orphans", "list"]).await?;
    ensure!(ok && said.contains("Nothing is left"), "{said}");
    let left = differences(&before, &stack.simulation.world().await?, ALLOWED);
    ensure!(left.is_empty(), "{left:#?}");
    Ok(())
}

#[tokio::test]
async fn o9_what_a_completed_operation_made_is_no_orphan() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    let (ok, said) = stack.a.says("protector-manage", &["orphans", "list"]).await?;
    ensure!(ok && said.contains("Nothing is left"), "{said}");
    let unknown = [
        "orphans",
        "list",
        "--operation",
        "00000000-0000-4000-8000-000000000000",
    ];
    let (ok, said) = stack.a.says("protector-manage", &unknown).await?;
    ensure!(!ok && said.contains("is not known"), "{said}");
    Ok(())
}
