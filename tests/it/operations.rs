//! The planned failover.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::harness::{Stack, names, text};
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn o1_planned_failover_moves_servers_with_their_data() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    // Written after everything was protected: only the last snapshot has it.
    for (number, server) in group.servers.iter().enumerate() {
        for device in stack.simulation.devices("site-a", server).await? {
            let last = format!("web-{number} {device} last");
            stack.simulation.write("site-a", server, &device, &last).await?;
        }
    }
    let mappings = json!({"networks": {"demo-net": "drill-net"}, "flavors": {"m1.tiny": "m1.small"}});
    let operation = pair.failover(&group.id, mappings).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    assert_eq!(ended["progress"], 100);
    assert_eq!(ended["steps_failed"], json!([]));

    let servers = pair.there.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&servers), ["web-0", "web-1"]);
    let created: BTreeSet<&str> = ended["result_data"]["instances_created"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["id"].as_str())
        .collect();
    let there: BTreeSet<&str> = servers
        .iter()
        .filter_map(|server| server["id"].as_str())
        .collect();
    assert_eq!(created, there);
    for server in &servers {
        let (id, name) = (text(server, "id")?, text(server, "name")?);
        assert_eq!(server["status"], "ACTIVE");
        assert_eq!(server["flavor"]["original_name"], "m1.small");
        ensure!(server["addresses"].get("drill-net").is_some(), "{server}");
        let devices = stack.simulation.devices("site-b", id).await?;
        assert_eq!(devices.len(), 2);
        for device in devices {
            let read = stack.simulation.read("site-b", id, &device).await?;
            ensure!(
                read.contains(&format!("{name} {device} last")),
                "{name} {device}: {read}"
            );
        }
    }
    let old = pair.here.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&old), ["web-0", "web-1"]);
    for server in &old {
        assert_eq!(server["status"], "SHUTOFF");
        assert_eq!(server["locked"], true);
    }
    for side in [&pair, &pair.reversed()] {
        let shown = side.here.get(&format!("/protection-groups/{}", group.id)).await?;
        let shown = &shown["protection_group"];
        assert_eq!(shown["status"], "failed_over");
        assert_eq!(shown["failover_count"], 1);
        assert_eq!(shown["current_primary_site"], "site-b");
        assert_eq!(shown["primary_site"], "site-a");
        assert_eq!(shown["sync_status"], "synced");
        let members = side
            .here
            .get(&format!("/protection-groups/{}/members", group.id))
            .await?;
        let members: BTreeSet<String> = members["members"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|member| member["instance_id"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(members, there.iter().map(|id| (*id).to_owned()).collect());
    }
    Ok(())
}

#[tokio::test]
async fn o1_t2_a_failover_needs_equal_versions() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let path = format!("/protection-groups/{}", group.id);
    // A change that the peer hasn't heard of: the sites differ.
    let body = json!({"protection_group": {"description": "untold"}});
    pair.change(&group.id, Method::PATCH, &path, Some(&body))
        .await?
        .ok(200)?;
    let nonce = json!({"nonce": {}});
    let refused = pair
        .here
        .call(Method::POST, &format!("{path}/sync"), Some(&nonce))
        .await?;
    ensure!(
        refused.body.to_string().contains("\"sync_status\":\"pending\""),
        "{refused:?}"
    );
    refused.fault("conflictingRequest", 409)?;
    // Without a statement of the peer nothing starts either.
    let body = json!({"failover": {"type": "planned"}});
    let refused = pair
        .here
        .call(Method::POST, &format!("{path}/action"), Some(&body))
        .await?;
    refused.ok(400)?;
    pair.push(&group.id).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    Ok(())
}

#[tokio::test]
async fn o1_every_member_must_be_protected() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    // Without an engine the next member stays as it is taken in.
    if let Some(engine) = stack.a.engine.take() {
        engine.kill().await?;
    }
    let server = stack
        .simulation
        .boot("site-a", "late", 1, "replicated-ssd")
        .await?;
    let members = format!("/protection-groups/{}/members", group.id);
    let body = json!({"member": {"instance_id": server}});
    let added = pair
        .modify(&group.id, Method::POST, &members, Some(&body), 202)
        .await?;
    let action = format!("/protection-groups/{}/action", group.id);
    let order = json!({"failover": {"type": "planned"}});
    let message = pair
        .change(&group.id, Method::POST, &action, Some(&order))
        .await?
        .fault("conflictingRequest", 409)?;
    ensure!(message.contains("late"), "{message}");
    stack.a.start_engine()?;
    let member = format!("{members}/{}", text(&added["member"], "id")?);
    pair.until(&member, "member", |member| member["status"] == "protected")
        .await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    Ok(())
}

#[tokio::test]
async fn o11_a_rollback_releases_volumes_by_unmanage() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    let rule = json!({"method": "POST", "path": "/servers$", "times": 1, "action": {"kind": "status", "status": 403,
        "body": {"forbidden": {"code": 403, "message": "Not today."}}}});
    stack.simulation.disturb("site-b", &rule).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "rolled_back");
    let calls = stack.simulation.calls("site-b", "POST", "/action").await?;
    let released = calls
        .iter()
        .filter(|call| call["body"].get("os-unmanage").is_some());
    assert_eq!(released.count(), 4);
    let deleted = stack.simulation.calls("site-b", "DELETE", "/volumes/").await?;
    ensure!(
        deleted.is_empty(),
        "Cinder was told to delete, which destroys: {deleted:?}"
    );
    Ok(())
}

/// The documented phases, each with the per cent that it is shown by.
const RANGES: [(&str, (u64, u64)); 4] = [
    ("prepare", (0, 20)),
    ("storage_failover", (20, 60)),
    ("instance_recreation", (60, 90)),
    ("finalization", (90, 100)),
];

#[tokio::test]
async fn o7_a9_operations_tell_phases_steps_and_results_and_are_kept() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let rule = json!({"method": "POST", "path": "/servers$", "times": 1, "action": {"kind": "status", "status": 403,
        "body": {"forbidden": {"code": 403, "message": "Quota exceeded for instances"}}}});
    stack.simulation.disturb("site-b", &rule).await?;
    let failed = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &failed).await?;
    assert_eq!(ended["status"], "failed", "{ended:#}");
    assert_eq!(ended["outcome"], "rolled_back");
    ensure!(
        text(&ended, "error_message")?.contains("Quota exceeded for instances"),
        "{ended:#}"
    );
    assert_eq!(
        ended["steps_failed"].as_array().map(Vec::len),
        Some(1),
        "{ended:#}"
    );

    let second = pair.failover(&group.id, json!({})).await?;
    let mut seen = Vec::new();
    let ended = loop {
        let now = pair.here.get(&format!("/operations/{second}")).await?["operation"].clone();
        let progress = now["progress"].as_u64().context("no progress")?;
        let unfinished = now["steps"].as_array().into_iter().flatten();
        if let Some(step) = unfinished.into_iter().find(|step| step["completed_at"].is_null()) {
            let phase = text(step, "phase")?;
            let (from, to) = RANGES
                .iter()
                .find(|range| range.0 == phase)
                .context("no phase")?
                .1;
            ensure!((from..=to).contains(&progress), "{phase} shows {progress} %");
        }
        seen.push(progress);
        if !now["outcome"].is_null() {
            break now;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    pair.push(&group.id).await?;
    ensure!(seen.is_sorted(), "progress goes back: {seen:?}");
    ensure!(
        seen.iter().any(|progress| (1..100).contains(progress)),
        "{seen:?}"
    );
    assert_eq!(ended["progress"], 100);
    let phases: BTreeSet<&str> = ended["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|step| step["phase"].as_str())
        .collect();
    assert_eq!(phases, RANGES.iter().map(|range| range.0).collect());
    let completed: BTreeSet<&str> = ended["steps_completed"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    ensure!(
        completed.contains("prepare") && completed.contains("finalization"),
        "{completed:?}"
    );

    let listed = pair
        .here
        .get(&format!("/operations?protection_group_id={}", group.id))
        .await?;
    let ids: Vec<&str> = listed["operations"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|operation| operation["id"].as_str())
        .collect();
    assert_eq!(
        ids,
        [second.as_str(), failed.as_str()],
        "newest first, and the failed one is kept"
    );
    let other = format!("/operations?protection_group_id={}", uuid::Uuid::new_v4());
    assert_eq!(pair.here.get(&other).await?["operations"], json!([]));
    assert_eq!(ended["source_site_id"], stack.a.identity().await?["id"]);
    assert_eq!(ended["target_site_id"], stack.b.identity().await?["id"]);
    for field in [
        "operation_type",
        "source_site_id",
        "target_site_id",
        "created_at",
        "started_at",
        "completed_at",
        "steps",
    ] {
        ensure!(!ended[field].is_null(), "{field} is missing: {ended:#}");
    }
    Ok(())
}

#[tokio::test]
async fn o9_g7_during_an_operation_there_is_no_second_one_and_no_deletion() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let slow = json!({"delays": {"build": 2500, "stop": 200, "start": 150, "delete": 150, "volume": 150, "group": 100}});
    stack.simulation.settings("site-b", &slow).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    let path = format!("/protection-groups/{}", group.id);
    // Every change begins with a nonce, and already that one is refused, with what it has to wait for.
    let nonce = json!({"nonce": {}});
    let begun = pair
        .here
        .call(Method::POST, &format!("{path}/sync"), Some(&nonce))
        .await?
        .ok(409)?;
    assert_eq!(begun["conflictingRequest"]["operation_id"], operation.as_str());
    let again = json!({"failover": {"type": "planned"}});
    for (method, path, body) in [
        (Method::POST, format!("{path}/action"), Some(&again)),
        (Method::DELETE, path.clone(), None),
    ] {
        let answer = pair.change(&group.id, method, &path, body).await;
        let refused = match answer {
            Ok(answer) => answer.status == 409,
            // The nonce was refused already.
            Err(error) => error.to_string().contains("409"),
        };
        ensure!(refused, "{path} is taken during an operation");
    }
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    Ok(())
}

/// An engine that is killed again and again, at moments that have nothing to do with its steps.
#[tokio::test]
async fn o10_an_engine_killed_at_any_moment_carries_on_at_its_start() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    for pause in [150, 350, 550, 750] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if let Some(engine) = stack.a.engine.take() {
            engine.kill().await?;
        }
        stack.a.start_engine()?;
    }
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    let servers = pair.there.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&servers), ["web-0"], "none is there twice");
    let volumes = pair
        .there
        .listed("volumev3", "/volumes/detail", "volumes")
        .await?;
    assert_eq!(volumes.len(), 2, "none is there twice");
    Ok(())
}

#[tokio::test]
async fn o11_volumes_are_imported_by_the_service_and_handed_over() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    let service = stack.b.sign_in("protector").await?;
    let pools = service
        .listed("volumev3", "/scheduler-stats/get_pools", "pools")
        .await?;
    let managed = stack.simulation.calls("site-b", "POST", "manage").await?;
    assert_eq!(managed.len(), 2);
    for call in &managed {
        let path = text(call, "path")?;
        ensure!(
            path.contains(&service.project),
            "not the service's project: {path}"
        );
        let host = call["body"]["volume"]["host"].as_str().context("no host")?;
        ensure!(
            names(&pools).iter().any(|pool| pool == host),
            "{host} isn't one of {pools:?}"
        );
    }
    let accepted = stack.simulation.calls("site-b", "POST", "/accept").await?;
    assert_eq!(accepted.len(), 2);
    for call in &accepted {
        ensure!(text(call, "path")?.contains(&pair.there.project));
    }
    let volumes = pair
        .there
        .listed("volumev3", "/volumes/detail", "volumes")
        .await?;
    assert_eq!(volumes.len(), 2);
    ensure!(
        volumes.iter().all(|volume| volume["status"] == "in-use"),
        "{volumes:?}"
    );
    let kept = service.listed("volumev3", "/volumes/detail", "volumes").await?;
    ensure!(kept.is_empty(), "the service keeps {kept:?}");
    // The data came by the replicated snapshot: what is there is a clone of it, on the other array.
    let array = stack.simulation.array_state("fa-b").await?;
    let sources: Vec<&Value> = array["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|volume| volume["destroyed"] == false)
        .map(|volume| &volume["source"])
        .collect();
    assert_eq!(sources.len(), 2);
    ensure!(
        sources.iter().all(|source| source["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("fa-a:volume-"))),
        "{sources:?}"
    );
    Ok(())
}

/// With Cinder's policy opened to members, as the documents have it.
#[tokio::test]
async fn o11_tenants_import_their_volumes_themselves() -> Result<()> {
    let stack = Stack::configured("[cinder]\nimport_as = tenant\n").await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    // Without the policy it says which rule of which file is in the way; with it, it works.
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    let message = text(&ended, "error_message")?;
    ensure!(
        message.contains("volume_extension:volume_manage") && message.contains("/etc/cinder/policy.yaml"),
        "{message}"
    );
    let opened = json!({"granted": ["volume_extension:volume_manage"]});
    stack.simulation.settings("site-b", &opened).await?;
    let refused = stack
        .simulation
        .calls("site-b", "POST", "/manageable_volumes")
        .await?
        .len();
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    let managed = stack
        .simulation
        .calls("site-b", "POST", "/manageable_volumes")
        .await?;
    assert_eq!(managed.len(), refused + 2);
    for call in &managed {
        ensure!(
            text(call, "path")?.contains(&pair.there.project),
            "not in the tenant's project: {call}"
        );
    }
    let transfers = stack
        .simulation
        .calls("site-b", "POST", "/volume-transfers")
        .await?;
    ensure!(transfers.is_empty(), "handed over all the same: {transfers:?}");
    let volumes = pair
        .there
        .listed("volumev3", "/volumes/detail", "volumes")
        .await?;
    assert_eq!(volumes.len(), 2);
    ensure!(
        volumes.iter().all(|volume| volume["status"] == "in-use"),
        "{volumes:?}"
    );
    Ok(())
}

/// `<array>:<group>.<snapshot>.<volume>`: of this operation's snapshot, not of any older one.
#[tokio::test]
async fn o11_volumes_are_found_by_the_replicated_snapshot() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    let short = operation.get(..8).context("a short id")?;
    let made = stack.simulation.array_calls("fa-b", "POST", "/volumes").await?;
    let sources: Vec<&str> = made
        .iter()
        .filter_map(|call| call.pointer("/body/source/name")?.as_str())
        .collect();
    assert_eq!(sources.len(), 2, "{made:?}");
    for source in sources {
        ensure!(
            source.starts_with(&format!("fa-a:pg-web.dr-{short}")),
            "{source} is of another snapshot"
        );
    }
    Ok(())
}

#[tokio::test]
async fn o12_a_403_of_cinder_names_rule_and_file_and_the_failover_can_be_retried() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let rule = json!({"forbidden": ["volume_extension:volume_manage"]});
    stack.simulation.settings("site-b", &rule).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    let message = text(&ended, "error_message")?;
    ensure!(message.contains("volume_extension:volume_manage"), "{message}");
    ensure!(message.contains("/etc/cinder/policy.yaml"), "{message}");
    stack
        .simulation
        .settings("site-b", &json!({"forbidden": []}))
        .await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    Ok(())
}
