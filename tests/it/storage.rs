//! What is told when the data's way over fails.

use crate::harness::array::Administrator;
use crate::harness::database::sql;
use crate::harness::{Pair, Stack, text};
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::takeover::{known, late, take_over};

/// The documented words.
fn no_snapshot(volume: &str, array: &str) -> String {
    format!(
        "Volume manage failed: no replicated snapshot found for volume {volume} on FlashArray {array}. Verify replication policy and RPO."
    )
}

/// The volumes of a server, its root first.
async fn volumes(stack: &Stack, server: &str) -> Result<Vec<Value>> {
    let disks = stack
        .simulation
        .site(Method::GET, &format!("site-a/servers/{server}/disks"), None)
        .await?;
    Ok(disks["disks"].as_array().cloned().unwrap_or_default())
}

async fn failed_in_storage(stack: &Stack, pair: &Pair, ended: &Value) -> Result<()> {
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    assert_eq!(ended["steps_completed"], json!(["prepare"]));
    assert_eq!(ended["steps_failed"], json!(["storage_failover"]));
    ensure!(
        (20..60).contains(&ended["progress"].as_u64().unwrap_or_default()),
        "{ended:#}"
    );
    assert_eq!(ended["result_data"]["left_behind"], json!([]), "{ended:#}");
    stack.simulation.heal().await?;
    let there = pair
        .there
        .listed("volumev3", "/volumes/detail", "volumes")
        .await?;
    ensure!(there.is_empty(), "{there:?}");
    Ok(())
}

/// Somebody took a volume out of the array's group: the last snapshot hasn't got it.
#[tokio::test]
async fn o8_a_volume_that_is_in_no_snapshot_is_named_with_its_array() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let disks = volumes(&stack, &group.servers[0]).await?;
    let (id, name) = (text(&disks[1], "volume_id")?, text(&disks[1], "array_volume")?);
    let array = Administrator::sign_in(&stack.a.array_url, "fa-a-token").await?;
    // The look before the operation would have seen it: it happens while the server stops.
    let slow = json!({"method": "POST", "path": "/action$", "action": {"kind": "delay", "millis": 2000}});
    stack.simulation.disturb("site-a", &slow).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    let path = format!("/operations/{operation}");
    pair.until(&path, "operation", |now| {
        now["steps_completed"].to_string().contains("prepare")
    })
    .await?;
    array.take_out("pg-web", name).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    let message = text(&ended, "error_message")?;
    ensure!(message.starts_with(&no_snapshot(id, "fa-b")), "{message}");
    failed_in_storage(&stack, &pair, &ended).await
}

/// The lost site never sent anything.
#[tokio::test]
async fn o8_without_any_snapshot_the_documented_words_are_told() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let disks = volumes(&stack, &group.servers[0]).await?;
    stack.lose_site_a().await?;
    let ended = take_over(&pair, &group.id).await?;
    let message = text(&ended, "error_message")?;
    let documented = no_snapshot(text(&disks[0], "volume_id")?, "fa-b");
    ensure!(message.starts_with(&documented), "{message}");
    failed_in_storage(&stack, &pair, &ended).await
}

/// One server of two was never sent: its reason is the documented one too.
#[tokio::test]
async fn o8_a_member_without_snapshot_is_told_in_the_documented_words() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    stack.replicated().await?;
    let late = late(&stack, &pair, &group.id).await?;
    known(&pair, &group.id).await?;
    let disks = volumes(&stack, &late).await?;
    stack.lose_site_a().await?;
    let ended = take_over(&pair, &group.id).await?;
    assert_eq!(ended["outcome"], "partial", "{ended:#}");
    let wanted = format!("late: {}", no_snapshot(text(&disks[0], "volume_id")?, "fa-b"));
    ensure!(text(&ended, "error_message")?.contains(&wanted), "{ended:#}");
    Ok(())
}

/// The array refuses a clone, or Cinder refuses the import: volume and array are named before the reason.
#[tokio::test]
async fn o8_a_refused_clone_or_import_names_volume_and_array() -> Result<()> {
    for (place, path, body, doing, reason) in [
        (
            "fa-b",
            "/volumes$",
            json!({"errors": [{"message": "No room for the test."}]}),
            "cloning",
            "No room for the test.",
        ),
        (
            "site-b",
            "manageable_volumes|os-volume-manage",
            json!({"badRequest": {"code": 400, "message": "Not this one."}}),
            "importing",
            "Not this one.",
        ),
    ] {
        let stack = Stack::start().await?;
        let pair = stack.pair("demo").await?;
        let group = stack.protected(&pair, "web", 1).await?;
        let disks = volumes(&stack, &group.servers[0]).await?;
        let rule = json!({"method": "POST", "path": path, "action": {"kind": "status", "status": 400, "body": body}});
        stack.simulation.disturb(place, &rule).await?;
        let operation = pair.failover(&group.id, json!({})).await?;
        let ended = pair.ended(&group.id, &operation).await?;
        let message = text(&ended, "error_message")?;
        let named = disks.iter().any(|disk| {
            let volume = disk["volume_id"].as_str().unwrap_or_default();
            message.starts_with(&format!(
                "Volume manage failed: {doing} volume {volume} on FlashArray fa-b failed: "
            ))
        });
        ensure!(named && message.contains(reason), "{message}");
        failed_in_storage(&stack, &pair, &ended).await?;
    }
    Ok(())
}

/// A group of synchronous replication, as far as a policy can tell. No such group can be made yet, so what both
/// sites hold of one is changed.
async fn make_synchronous(stack: &Stack, group: &str) -> Result<()> {
    for site in [&stack.a, &stack.b] {
        let change = format!(
            "UPDATE protection_groups SET replication_type = 'sync', \
             document = json_set(document, '$.replication_type', 'sync') WHERE id = '{group}'"
        );
        sql(&site.database(), &change).await?;
    }
    Ok(())
}

#[tokio::test]
async fn c5_interval_and_rpo_are_refused_for_a_synchronous_group() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.bare_group(&pair, "web").await?;
    make_synchronous(&stack, &group).await?;
    let path = format!("/protection-groups/{group}");
    let before = pair.here.get(&path).await?;
    assert_eq!(before["protection_group"]["replication_type"], "sync");
    let policy = format!("{path}/policy");
    let whole = stack.policy_body("pg-web");
    for left_out in ["replication_interval", "rpo_minutes"] {
        let mut body = whole.clone();
        body["policy"]
            .as_object_mut()
            .context("no policy")?
            .remove(left_out);
        let refused = pair.change(&group, Method::POST, &policy, Some(&body)).await?;
        let message = refused.fault("badRequest", 400)?;
        for part in ["replication_interval", "rpo_minutes", "'web'", "sync"] {
            ensure!(message.contains(part), "{message}");
        }
        assert_eq!(pair.here.get(&path).await?, before, "something was changed");
    }
    let calls = stack.simulation.array_calls("fa-a", "", "").await?;
    ensure!(calls.is_empty(), "the array was asked: {calls:?}");
    Ok(())
}
