//! For every step before the point of no return: it fails, and afterwards everything is as it was.

use crate::harness::state::{ALLOWED, differences};
use crate::harness::{Pair, Stack, text};
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

/// A step, and the call of it that is refused. Where a step does the same for several things the second one is
/// hit, so that there is something to take back of the first.
struct Failure {
    step: &'static str,
    place: &'static str,
    method: &'static str,
    path: &'static str,
    nth: u64,
}

const fn at(
    step: &'static str,
    place: &'static str,
    method: &'static str,
    path: &'static str,
    nth: u64,
) -> Failure {
    Failure {
        step,
        place,
        method,
        path,
        nth,
    }
}

/// The last look, `commit`, makes a call that others make too: the crash matrix fails it, as it fails every step.
const FAILURES: &[Failure] = &[
    at("inspect", "site-a", "GET", "/subnets", 1),
    at("preflight", "site-b", "GET", "/flavors", 1),
    at("stop-server", "site-a", "POST", "/servers/[^/]+/action$", 2),
    at("final-snapshot", "fa-a", "POST", "/protection-group-snapshots", 1),
    at(
        "fence-replication",
        "fa-b",
        "PATCH",
        "/protection-groups/targets$",
        1,
    ),
    at("clone-volume", "fa-b", "POST", "/volumes$", 2),
    at("import-volume", "site-b", "POST", "manage", 2),
    at("hand-over-volume", "site-b", "POST", "/accept$", 2),
    at("join-consistency-group", "site-b", "PUT", "/groups/", 1),
    at("create-ports", "site-b", "POST", "/ports$", 2),
    at("create-keypairs", "site-b", "POST", "/os-keypairs$", 1),
    at("boot-server", "site-b", "POST", "/servers$", 2),
];

async fn fail(stack: &Stack, pair: &Pair, group: &str, failure: &Failure) -> Result<Vec<String>> {
    let before = stack.simulation.world().await?;
    let body = match failure.place {
        "fa-a" | "fa-b" => json!({"errors": [{"context": "test", "message": "Refused for the test."}]}),
        _ => json!({"forbidden": {"code": 403, "message": "Refused for the test."}}),
    };
    let status = if failure.place.starts_with("fa-") {
        400
    } else {
        403
    };
    let rule = json!({
        "method": failure.method, "path": failure.path, "nth": failure.nth, "times": 1,
        "action": {"kind": "status", "status": status, "body": body}
    });
    stack.simulation.disturb(failure.place, &rule).await?;
    let operation = pair.failover(group, json!({})).await?;
    let ended = pair.ended(group, &operation).await?;
    ensure!(
        stack.simulation.hits(failure.place).await? == 1,
        "the rule hit nothing: {ended:#}"
    );
    stack.simulation.heal().await?;
    ensure!(
        ended["status"] == "failed" && ended["outcome"] == "rolled_back",
        "{ended:#}"
    );
    let failed: Vec<&str> = ended["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|step| !step["error"].is_null())
        .filter_map(|step| step["name"].as_str())
        .collect();
    ensure!(
        failed.len() == 1 && failed[0].split('/').next() == Some(failure.step),
        "{failed:?} failed: {ended:#}"
    );
    ensure!(
        text(&ended, "error_message")?.contains("Refused for the test."),
        "{ended:#}"
    );
    let after = stack.simulation.world().await?;
    let servers = after["site-a"]["compute"]["servers"]
        .as_array()
        .context("no servers")?;
    for server in servers {
        ensure!(
            server["vm_state"] == "active" && server["task_state"].is_null(),
            "{server}"
        );
        ensure!(server["locked"] == false, "{server}");
    }
    ensure!(
        ended["result_data"]["left_behind"] == json!([]),
        "something is said to be left: {ended:#}"
    );
    let shown = pair.here.get(&format!("/protection-groups/{group}")).await?;
    ensure!(shown["protection_group"]["status"] == "active", "{shown}");
    ensure!(
        shown["protection_group"]["current_primary_site"] == "site-a",
        "{shown}"
    );
    Ok(differences(&before, &after, ALLOWED))
}

#[tokio::test]
async fn rollback_sweep() -> Result<()> {
    for allowed in ALLOWED {
        println!("may differ: {} ({})", allowed.path, allowed.why);
    }
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    // So that the failover has one to make.
    let key = pair
        .there
        .cloud("compute", Method::DELETE, "/os-keypairs/demo-key", None)
        .await?;
    ensure!(key.status.is_success(), "{key:?}");
    let mut found = Vec::new();
    for failure in FAILURES {
        let left = fail(&stack, &pair, &group.id, failure)
            .await
            .with_context(|| format!("where {} fails", failure.step))?;
        found.extend(left.into_iter().map(|one| format!("{}: {one}", failure.step)));
    }
    ensure!(
        found.is_empty(),
        "{} traces are left:\n{}",
        found.len(),
        found.join("\n")
    );
    // And when nothing fails, it works.
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended: Value = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    Ok(())
}

/// The one step that fails by waiting: the other site never hears of the operation.
#[tokio::test]
async fn rollback_without_a_receipt() -> Result<()> {
    let stack = Stack::configured("[engine]\nreceipt_timeout_seconds = 2\n").await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let before = stack.simulation.world().await?;
    let path = format!("/protection-groups/{}/action", group.id);
    let order = json!({"failover": {"type": "planned"}});
    let untold = pair
        .change(&group.id, Method::POST, &path, Some(&order))
        .await?
        .ok(202)?;
    let operation = text(&untold["operation"], "id")?.to_owned();
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    assert_eq!(ended["steps_failed"], json!(["prepare"]));
    ensure!(text(&ended, "error_message")?.contains("sync-force"), "{ended:#}");
    let after = stack.simulation.world().await?;
    let found = differences(&before, &after, ALLOWED);
    ensure!(found.is_empty(), "{} traces: {}", found.len(), found.join("\n"));
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended: Value = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    Ok(())
}
