//! An operation is told something while it runs.

use std::time::Duration;

use crate::harness::setback::stop_at_last;
use crate::harness::{Pair, Session, Stack, Trouble, names, text};
use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

async fn tell(pair: &Pair, operation: &str, word: Value, status: u16) -> Result<Value> {
    let path = format!("/operations/{operation}/action");
    pair.here.call(Method::POST, &path, Some(&word)).await?.ok(status)
}

/// Wait for something of an operation that hasn't ended.
async fn until(pair: &Pair, operation: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let now = pair.here.get(&format!("/operations/{operation}")).await?["operation"].clone();
        if wanted(&now) {
            return Ok(now);
        }
        ensure!(Instant::now() < end && now["outcome"].is_null(), "{now:#}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn is_running(operation: &Value, kind: &str) -> bool {
    let mut steps = operation["steps"].as_array().into_iter().flatten();
    steps.any(|step| {
        step["state"] == "running" && step["name"].as_str().is_some_and(|name| name.starts_with(kind))
    })
}

/// A step could not be taken back.
fn has_stayed(operation: &Value, kind: &str) -> bool {
    let mut steps = operation["steps"].as_array().into_iter().flatten();
    steps.any(|step| {
        step["state"] == "undo_failed" && step["name"].as_str().is_some_and(|name| name.starts_with(kind))
    })
}

/// And that is left to the operator.
fn waits_for(operation: &Value, kind: &str) -> bool {
    operation["waiting_for"] == "operator" && has_stayed(operation, kind)
}

#[tokio::test]
async fn o9_an_operation_that_is_cancelled_takes_everything_back() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let slow = json!({"delays": {"build": 3000, "stop": 200, "start": 150, "delete": 150, "volume": 150, "group": 100}});
    stack.simulation.settings("site-b", &slow).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    until(&pair, &operation, |now| is_running(now, "boot-server")).await?;
    tell(&pair, &operation, json!({"cancel": {}}), 202).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "cancelled", "{ended:#}");
    assert_eq!(ended["status"], "failed");
    assert_eq!(ended["result_data"]["left_behind"], json!([]));
    let servers = pair.here.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&servers), ["web-0"]);
    assert_eq!(servers[0]["status"], "ACTIVE");
    let there = pair.there.listed("compute", "/servers/detail", "servers").await?;
    ensure!(there.is_empty(), "{there:?}");
    let shown = pair.here.get(&format!("/protection-groups/{}", group.id)).await?;
    assert_eq!(shown["protection_group"]["status"], "active");
    // It is over now, and nobody can tell it anything.
    tell(&pair, &operation, json!({"cancel": {}}), 409).await?;
    tell(&pair, &operation, json!({"explode": {}}), 400).await?;
    Ok(())
}

#[tokio::test]
async fn o9_what_waits_for_the_operator_goes_on_at_his_word() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let refuse = |method: &str, path: &str, times: u64| {
        json!({"method": method, "path": path, "times": times, "action": {"kind": "status", "status": 403,
            "body": {"forbidden": {"code": 403, "message": "Refused for the test."}}}})
    };
    stack
        .simulation
        .disturb("site-b", &refuse("POST", "/servers$", 1))
        .await?;
    // The way back is barred too.
    stack
        .simulation
        .disturb("site-b", &refuse("DELETE", "/ports/", 1000))
        .await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    // While it goes by itself there is nothing to decide.
    tell(&pair, &operation, json!({"retry": {}}), 409).await?;
    let waiting = until(&pair, &operation, |now| now["waiting_for"] == "operator").await?;
    assert_eq!(waiting["status"], "rolling_back", "{waiting:#}");
    ensure!(waits_for(&waiting, "create-ports"), "{waiting:#}");
    tell(
        &pair,
        &operation,
        json!({"resolve": {"decision": "sideways"}}),
        400,
    )
    .await?;
    tell(
        &pair,
        &operation,
        json!({"resolve": {"decision": "abandon"}}),
        400,
    )
    .await?;
    stack.simulation.heal().await?;
    tell(&pair, &operation, json!({"retry": {}}), 202).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    assert_eq!(ended["result_data"]["left_behind"], json!([]));
    let ports = pair.there.listed("network", "/v2.0/ports", "ports").await?;
    ensure!(ports.is_empty(), "{ports:?}");
    Ok(())
}

/// An operator may let a new server stay that can't be removed: then it is that one that runs.
#[tokio::test]
async fn o9_a_new_server_that_stays_never_runs_beside_the_old_one() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    stop_at_last().cause(&stack.simulation).await?;
    let refused = json!({"forbidden": {"code": 403, "message": "Refused for the test."}});
    let kept = Trouble::at("site-b", "DELETE /servers/").status(403, refused);
    kept.cause(&stack.simulation).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    until(&pair, &operation, |now| waits_for(now, "boot-server")).await?;
    tell(&pair, &operation, json!({"resolve": {"decision": "accept"}}), 202).await?;
    let stopped = until(&pair, &operation, |now| has_stayed(now, "stop-server")).await?;
    ensure!(stopped.to_string().contains("would run beside it"), "{stopped:#}");
    let statuses = async |session: &Session| -> Result<Vec<Value>> {
        let servers = session.listed("compute", "/servers/detail", "servers").await?;
        Ok(servers.iter().map(|server| server["status"].clone()).collect())
    };
    assert_eq!(statuses(&pair.here).await?, ["SHUTOFF"]);
    assert_eq!(statuses(&pair.there).await?, ["ACTIVE"]);

    // Once the new one is gone by whatever hand, the old one runs again.
    stack.simulation.heal().await?;
    let twin = &pair.there.listed("compute", "/servers/detail", "servers").await?[0];
    let path = format!("/servers/{}", text(twin, "id")?);
    pair.there
        .cloud("compute", Method::DELETE, &path, None)
        .await?
        .ok(204)?;
    let ended = pair.ended_by(&operation, &json!({"retry": {}})).await?;
    assert_eq!(ended["outcome"], "abandoned", "{ended:#}");
    assert_eq!(statuses(&pair.here).await?, ["ACTIVE"]);
    assert_eq!(statuses(&pair.there).await?, [] as [Value; 0]);
    Ok(())
}
