//! Groups, their members and policies, before anything fails.

use crate::harness::{Pair, Session, Stack, names, text};
use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

async fn group_at(pair: &Pair, id: &str) -> Result<Value> {
    let path = format!("/protection-groups/{id}");
    Ok(pair.here.get(&path).await?["protection_group"].clone())
}

#[tokio::test]
async fn a7_groups_are_created_listed_shown_changed_and_deleted() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let (web, db) = (
        stack.bare_group(&pair, "web").await?,
        stack.bare_group(&pair, "db").await?,
    );
    let list = |body: Value| body["protection_groups"].as_array().cloned().unwrap_or_default();
    for side in [&pair, &pair.reversed()] {
        assert_eq!(
            names(&list(side.here.get("/protection-groups").await?)),
            ["db", "web"]
        );
        assert_eq!(
            names(&list(side.here.get("/protection-groups?name=db").await?)),
            ["db"]
        );
        let shown = group_at(side, &web).await?;
        assert_eq!(shown["status"], "active");
        assert_eq!(shown["current_primary_site"], "site-a");
        assert_eq!(shown["replication_type"], "async");
        assert_eq!(shown["volume_type"], "replicated-ssd");
        assert_eq!(shown["member_count"], 0);
        assert_eq!(shown["has_policy"], false);
        assert_eq!(shown["sync_status"], "synced");
    }
    let path = format!("/protection-groups/{web}");
    let body = json!({"protection_group": {"description": "changed"}});
    pair.modify(&web, Method::PATCH, &path, Some(&body), 200).await?;
    for side in [&pair, &pair.reversed()] {
        let shown = group_at(side, &web).await?;
        assert_eq!(shown["description"], "changed");
        assert_eq!(shown["version"], 2);
    }
    delete(&pair, &db).await?;
    for side in [&pair, &pair.reversed()] {
        assert_eq!(names(&list(side.here.get("/protection-groups").await?)), ["web"]);
    }
    Ok(())
}

/// The API itself insists, whatever client asks: not without the peer's word, not with one of its own, not twice
/// with the same.
#[tokio::test]
async fn t2_nothing_changes_without_the_peers_fresh_word() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.bare_group(&pair, "web").await?;
    let path = format!("/protection-groups/{group}");
    let url = format!("{}{path}", pair.here.base());
    let once = pair.statement(&group).await?;
    let body = json!({"protection_group": {"description": "first"}});
    let header = [("X-Protector-Statement", once.as_str())];
    pair.here
        .ask(Method::PATCH, &url, &header, Some(&body))
        .await?
        .ok(200)?;
    pair.push(&group).await?;
    let itself = Pair {
        here: pair.here.clone(),
        there: pair.here.clone(),
    };
    let own = itself.statement(&group).await?;
    let before = group_at(&pair, &group).await?;
    let body = json!({"protection_group": {"description": "second"}});
    for (word, status) in [(None, 400), (Some(&own), 400), (Some(&once), 409)] {
        let header: Vec<_> = word
            .map(|word| ("X-Protector-Statement", word.as_str()))
            .into_iter()
            .collect();
        let answer = pair.here.ask(Method::PATCH, &url, &header, Some(&body)).await?;
        assert_eq!(group_at(&pair, &group).await?, before);
        answer.ok(status)?;
    }
    // With a fresh one it is done.
    pair.modify(&group, Method::PATCH, &path, Some(&body), 200)
        .await?;
    Ok(())
}

/// The checksum is the receiver's to verify.
#[tokio::test]
async fn t5_a_bundle_that_was_changed_on_its_way_changes_nothing() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.bare_group(&pair, "web").await?;
    let path = format!("/protection-groups/{group}");
    let body = json!({"protection_group": {"description": "told"}});
    pair.change(&group, Method::PATCH, &path, Some(&body))
        .await?
        .ok(200)?;
    let there = pair.reversed();
    let before = group_at(&there, &group).await?;
    let path = format!("{path}/metadata");
    let mut bundle = pair.here.get(&path).await?;
    bundle["bundle"]["document"]["description"] = json!("something else");
    let body = json!({"bundle": bundle["bundle"]});
    let answer = pair.there.call(Method::PUT, &path, Some(&body)).await?;
    assert_eq!(group_at(&there, &group).await?, before);
    let message = answer.fault("badRequest", 400)?;
    ensure!(message.contains("checksum"), "{message}");
    pair.push(&group).await?;
    assert_eq!(group_at(&there, &group).await?["description"], "told");
    Ok(())
}

/// Delete a group on both sites and wait until it is gone.
async fn delete(pair: &Pair, id: &str) -> Result<()> {
    pair.delete(id).await?;
    for side in [pair, &pair.reversed()] {
        side.until("/protection-groups", "protection_groups", |groups| {
            !groups
                .as_array()
                .into_iter()
                .flatten()
                .any(|group| group["id"] == id)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a7_members_and_policy_are_created_and_shown() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let path = format!("/protection-groups/{}", group.id);
    for side in [&pair, &pair.reversed()] {
        let members = side.here.get(&format!("{path}/members")).await?;
        let member = &members["members"][0];
        assert_eq!(member["instance_id"], group.servers[0].as_str());
        assert_eq!(member["instance_name"], "web-0");
        assert_eq!(member["volumes"].as_array().map(Vec::len), Some(2));
        let one = side
            .here
            .get(&format!("{path}/members/{}", text(member, "id")?))
            .await?;
        assert_eq!(one["member"]["instance_name"], "web-0");
        let shown = side.here.get(&format!("{path}/policy")).await?;
        let policy = &shown["policy"];
        assert_eq!(policy["pure_pg_name"], "pg-web");
        assert_eq!(policy["replication_interval"], 300);
        assert_eq!(policy["rpo_minutes"], 15);
        assert_eq!(policy["primary_fa_url"], stack.a.array_url.as_str());
        ensure!(
            !shown.to_string().contains("-token"),
            "a token comes back: {shown}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a8_an_action_answers_202_with_the_operation_at_once() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    // Without an engine nothing can go on: what answers is the API alone.
    if let Some(engine) = stack.a.engine.take() {
        engine.kill().await?;
    }
    let path = format!("/protection-groups/{}/action", group.id);
    for wrong in [
        json!({}),
        json!({"explode": {}}),
        json!({"failover": {"type": "sideways"}}),
    ] {
        pair.change(&group.id, Method::POST, &path, Some(&wrong))
            .await?
            .ok(400)?;
    }
    let operation = pair.failover(&group.id, json!({})).await?;
    let shown = pair.here.get(&format!("/operations/{operation}")).await?;
    let shown = &shown["operation"];
    assert_eq!(shown["operation_type"], "failover");
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["protection_group_id"], group.id.as_str());
    stack.a.start_engine()?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    Ok(())
}

#[tokio::test]
async fn g1_creation_makes_a_consistency_group_on_both_sites() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.bare_group(&pair, "web").await?;
    let path = format!("/protection-groups/{group}/consistency-group");
    let shown = pair.here.get(&path).await?["consistency_group"].clone();
    assert_eq!(shown["status"], "active");
    assert_eq!(shown["volume_type_name"], "replicated-ssd");
    for (side, id) in [(&pair, "primary_cg_id"), (&pair.reversed(), "secondary_cg_id")] {
        let shown = side.here.get(&path).await?["consistency_group"].clone();
        let listed = side.here.listed("volumev3", "/groups/detail", "groups").await?;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["id"], shown[id], "{shown}");
        assert_eq!(listed[0]["status"], "available");
        let of = group_at(side, &group).await?;
        assert_eq!(of["version"], 1, "{of}");
        assert_eq!(of["epoch"], 1);
    }
    Ok(())
}

#[tokio::test]
async fn g1_both_sites_must_be_active() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let admin = stack.a.sign_in("admin").await?;
    let id = uuid::Uuid::new_v4().to_string();
    // A statement of the peer, while it can still look at a token.
    let statement = pair.statement(&id).await?;
    let down = json!({"down": true});
    stack
        .simulation
        .site(Method::PUT, "site-b/faults", Some(&down))
        .await?;
    let there = stack.b.identity().await?;
    let path = format!("/sites/{}/validate", text(&there, "id")?);
    admin.admin(Method::POST, &path, None).await?.ok(200)?;
    let body = stack.group_body(&id, "web", "replicated-ssd", "async").await?;
    let url = format!("{}/protection-groups", pair.here.base());
    let header = [("X-Protector-Statement", statement.as_str())];
    let message = pair
        .here
        .ask(Method::POST, &url, &header, Some(&body))
        .await?
        .fault("conflictingRequest", 409)?;
    ensure!(
        message.contains("site-b") && message.contains("unreachable"),
        "{message}"
    );
    stack.simulation.heal().await?;
    nothing_was_made(&pair).await
}

/// One protection group, one consistency group, one group of the arrays, which no second group gets.
#[tokio::test]
async fn g1_a_group_is_bound_to_one_group_of_the_arrays() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let (web, db) = (
        stack.bare_group(&pair, "web").await?,
        stack.bare_group(&pair, "db").await?,
    );
    assert_eq!(group_at(&pair, &web).await?["has_policy"], false);
    stack.policy(&pair, &web, "pg-one").await?;
    assert_eq!(group_at(&pair, &web).await?["has_policy"], true);
    for (group, taken) in [(&db, "pg-one"), (&web, "pg-two")] {
        let path = format!("/protection-groups/{group}/policy");
        let body = stack.policy_body(taken);
        pair.change(group, Method::POST, &path, Some(&body))
            .await?
            .fault("conflictingRequest", 409)?;
    }
    assert_eq!(group_at(&pair, &db).await?["has_policy"], false);
    stack.policy(&pair, &db, "pg-two").await?;
    let array = stack.simulation.array_state("fa-a").await?;
    let mut groups = names(array["groups"].as_array().map_or(&[], Vec::as_slice));
    // Cinder's own replication has groups there as well.
    groups.retain(|name| name.starts_with("pg-"));
    assert_eq!(groups, ["pg-one", "pg-two"]);
    let shown = async |group: &str| -> Result<Value> {
        let path = format!("/protection-groups/{group}/consistency-group");
        Ok(pair.here.get(&path).await?["consistency_group"]["primary_cg_id"].clone())
    };
    assert_ne!(shown(&web).await?, shown(&db).await?);
    Ok(())
}

/// Neither site holds a group, and neither does Cinder.
async fn nothing_was_made(pair: &Pair) -> Result<()> {
    for side in [pair, &pair.reversed()] {
        assert_eq!(
            side.here.get("/protection-groups").await?["protection_groups"],
            json!([])
        );
        let groups = side.here.listed("volumev3", "/groups/detail", "groups").await?;
        ensure!(groups.is_empty(), "{groups:?}");
    }
    Ok(())
}

/// A volume type as an administrator makes it.
async fn volume_type(admin: &Session, name: &str, kind: &str) -> Result<()> {
    let body = json!({"volume_type": {"name": name, "extra_specs": {
        "replication_enabled": "<is> True", "replication_type": format!("<in> {kind}"), "volume_backend_name": "pure"
    }}});
    let answer = admin
        .cloud("volumev3", Method::POST, "/types", Some(&body))
        .await?;
    ensure!(answer.status.is_success(), "{answer:?}");
    Ok(())
}

/// The other site's type is looked at as well, and so is what kind of replication it stands for.
#[tokio::test]
async fn g2_the_type_must_fit_on_both_sites() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let (a, b) = (stack.a.sign_in("admin").await?, stack.b.sign_in("admin").await?);
    let types = b.listed("volumev3", "/types", "volume_types").await?;
    let replicated = types.iter().find(|kind| kind["name"] == "replicated-ssd");
    let path = format!("/types/{}", text(replicated.unwrap_or(&Value::Null), "id")?);
    let deleted = b.cloud("volumev3", Method::DELETE, &path, None).await?;
    ensure!(deleted.status.is_success(), "{deleted:?}");
    for (here, there, name) in [
        (Some("async"), None, "only-here"),
        (Some("async"), Some("sync"), "other-kind-there"),
        (Some("sync"), Some("async"), "other-kind-here"),
    ] {
        for (site, kind) in [(&a, here), (&b, there)] {
            if let Some(kind) = kind {
                volume_type(site, name, kind).await?;
            }
        }
        let id = uuid::Uuid::new_v4().to_string();
        let body = stack.group_body(&id, "web", name, "async").await?;
        let answer = pair
            .change(&id, Method::POST, "/protection-groups", Some(&body))
            .await?;
        let message = answer.fault("badRequest", 400)?;
        ensure!(message.contains(name), "{message}");
        let reason = if there.is_none() {
            "volume type does not support replication"
        } else {
            "not eligible for replication"
        };
        ensure!(message.contains(reason), "{message}");
    }
    nothing_was_made(&pair).await?;
    // Where both fit, it is taken: it was the kind that was refused.
    for site in [&a, &b] {
        volume_type(site, "fits", "async").await?;
    }
    let id = uuid::Uuid::new_v4().to_string();
    let body = stack.group_body(&id, "web", "fits", "async").await?;
    pair.modify(&id, Method::POST, "/protection-groups", Some(&body), 202)
        .await?;
    Ok(())
}

/// Nothing is made where something doesn't fit: no group here, none there, none in Cinder.
#[tokio::test]
async fn g2_unfit_volume_types_are_refused_before_anything_is_made() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let before = stack.simulation.world().await?;
    for (volume_type, kind) in [
        ("plain", "async"),
        ("replicated-ssd", "sync"),
        ("nowhere", "async"),
    ] {
        let id = uuid::Uuid::new_v4().to_string();
        let body = stack.group_body(&id, "web", volume_type, kind).await?;
        let answer = pair
            .change(&id, Method::POST, "/protection-groups", Some(&body))
            .await?;
        ensure!(answer.status.is_client_error(), "{answer:?}");
        ensure!(
            kind == "sync" || answer.body.to_string().contains(volume_type),
            "it isn't named: {answer:?}"
        );
    }
    for side in [&pair, &pair.reversed()] {
        assert_eq!(
            side.here.get("/protection-groups").await?["protection_groups"],
            json!([])
        );
    }
    let after = stack.simulation.world().await?;
    for site in ["site-a", "site-b"] {
        assert_eq!(before[site]["volume"]["groups"], after[site]["volume"]["groups"]);
        assert_eq!(
            before[site]["volume"]["volumes"],
            after[site]["volume"]["volumes"]
        );
    }
    Ok(())
}

#[tokio::test]
async fn g3_names_are_unique_sites_differ_and_the_rest_is_fixed() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.bare_group(&pair, "web").await?;
    let id = uuid::Uuid::new_v4().to_string();
    let body = stack.group_body(&id, "web", "replicated-ssd", "async").await?;
    pair.change(&id, Method::POST, "/protection-groups", Some(&body))
        .await?
        .fault("conflictingRequest", 409)?;
    let mut body = stack.group_body(&id, "same", "replicated-ssd", "async").await?;
    body["protection_group"]["secondary_site_id"] = body["protection_group"]["primary_site_id"].clone();
    pair.change(&id, Method::POST, "/protection-groups", Some(&body))
        .await?
        .ok(400)?;
    let path = format!("/protection-groups/{group}");
    let before = group_at(&pair, &group).await?;
    for fixed in ["replication_type", "primary_site_id", "volume_type"] {
        let body = json!({"protection_group": {fixed: "sync"}});
        pair.change(&group, Method::PATCH, &path, Some(&body))
            .await?
            .ok(400)?;
    }
    assert_eq!(group_at(&pair, &group).await?["version"], before["version"]);
    Ok(())
}

#[tokio::test]
async fn g4_all_volumes_of_a_server_join_and_a_volume_of_another_type_refuses_it() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let other = stack.simulation.boot("site-a", "mixed", 2, "plain").await?;
    let path = format!("/protection-groups/{}/members", group.id);
    let body = json!({"member": {"instance_id": other}});
    let answer = pair.change(&group.id, Method::POST, &path, Some(&body)).await?;
    ensure!(answer.status.is_client_error(), "{answer:?}");
    let world = stack.simulation.cloud_state("site-a").await?;
    let volumes = world["volume"]["volumes"].as_array().cloned().unwrap_or_default();
    let message = answer.body.to_string();
    let of_other = volumes.iter().filter(|volume| {
        volume["volume_type"] == "plain" || { volume["attachments"].to_string().contains(&other) }
    });
    ensure!(
        of_other.clone().count() == 2
            && of_other
                .clone()
                .any(|volume| message.contains(volume["id"].as_str().unwrap_or("?"))),
        "no volume is named: {message}"
    );
    assert_eq!(
        pair.here.get(&path).await?["members"].as_array().map(Vec::len),
        Some(1)
    );
    // What was taken in is in Cinder's group and in the array's.
    let listed = pair
        .here
        .listed("volumev3", "/groups/detail?list_volume=True", "groups")
        .await?;
    assert_eq!(
        listed[0]["volumes"].as_array().map(Vec::len),
        Some(2),
        "{listed:?}"
    );
    let array = stack.simulation.array_state("fa-a").await?;
    let groups = array["groups"].as_array().cloned().unwrap_or_default();
    let bound = groups.iter().find(|group| group["name"] == "pg-web");
    assert_eq!(
        bound.and_then(|group| group["volumes"].as_array()).map(Vec::len),
        Some(2)
    );
    Ok(())
}

#[tokio::test]
async fn g6_g7_removal_and_deletion_leave_the_servers_alone() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    let path = format!("/protection-groups/{}/members", group.id);
    let members = pair.here.get(&path).await?;
    let first = text(&members["members"][0], "id")?;
    pair.modify(&group.id, Method::DELETE, &format!("{path}/{first}"), None, 202)
        .await?;
    pair.until(&path, "members", |members| {
        members.as_array().map(Vec::len) == Some(1)
    })
    .await?;
    only_the_others_volumes_are_left(&stack, &pair).await?;
    delete(&pair, &group.id).await?;
    for side in [&pair, &pair.reversed()] {
        assert_eq!(
            side.here
                .listed("volumev3", "/groups/detail", "groups")
                .await?
                .len(),
            0
        );
    }
    let servers = pair.here.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&servers), ["web-0", "web-1"]);
    for server in &servers {
        assert_eq!(server["status"], "ACTIVE");
        let id = text(server, "id")?;
        ensure!(
            stack
                .simulation
                .read("site-a", id, "vda")
                .await?
                .contains(text(server, "name")?)
        );
    }
    for array in ["fa-a", "fa-b"] {
        let state = stack.simulation.array_state(array).await?;
        let left = state["groups"].as_array().cloned().unwrap_or_default();
        let left = left.iter().filter(|group| group["destroyed"] == false);
        ensure!(
            !names(&left.cloned().collect::<Vec<_>>())
                .iter()
                .any(|name| name.contains("pg-web")),
            "{array}: {state}"
        );
    }
    Ok(())
}

/// In Cinder's group and in the array's, of two servers with two volumes each.
async fn only_the_others_volumes_are_left(stack: &Stack, pair: &Pair) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let listed = pair
            .here
            .listed("volumev3", "/groups/detail?list_volume=True", "groups")
            .await?;
        let in_cinder = listed[0]["volumes"].as_array().map(Vec::len);
        let array = stack.simulation.array_state("fa-a").await?;
        let mut groups = array["groups"].as_array().into_iter().flatten();
        let bound = groups.find(|group| group["name"] == "pg-web");
        let on_array = bound.and_then(|group| group["volumes"].as_array()).map(Vec::len);
        if (in_cinder, on_array) == (Some(2), Some(2)) {
            return Ok(());
        }
        ensure!(
            Instant::now() < end,
            "{in_cinder:?} volumes are in Cinder's group and {on_array:?} in the array's"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn g8_a_group_without_policy_cannot_fail_over_and_says_so() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.bare_group(&pair, "web").await?;
    let path = format!("/protection-groups/{group}/action");
    let body = json!({"failover": {"type": "planned"}});
    let answer = pair.change(&group, Method::POST, &path, Some(&body)).await?;
    let message = answer.fault("conflictingRequest", 409)?;
    ensure!(message.contains("no replication policy"), "{message}");
    assert_eq!(group_at(&pair, &group).await?["status"], "active");
    Ok(())
}

#[tokio::test]
async fn d1_the_policy_reaches_the_array_as_a_replicated_group_with_its_schedule() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    stack.protected(&pair, "web", 1).await?;
    let array = stack.simulation.array_state("fa-a").await?;
    let groups = array["groups"].as_array().cloned().unwrap_or_default();
    let bound = groups
        .iter()
        .find(|group| group["name"] == "pg-web")
        .cloned()
        .unwrap_or_default();
    assert_eq!(bound["targets"], json!({"fa-b": true}), "{bound}");
    assert_eq!(bound["replication_schedule"]["enabled"], true);
    assert_eq!(bound["replication_schedule"]["frequency"], 300_000);
    assert_eq!(bound["volumes"].as_array().map(Vec::len), Some(2));
    // An interval later the other array has a snapshot of all volumes, sent by the schedule alone.
    let later = json!({"advance_millis": 301_000});
    let url = format!("{}/control/time", stack.simulation.arrays_control());
    stack
        .http
        .post(&url)
        .json(&later)
        .send()
        .await?
        .error_for_status()?;
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let there = stack.simulation.array_state("fa-b").await?;
        let arrived = there["group_snapshots"].as_array().into_iter().flatten();
        if arrived
            .clone()
            .any(|snapshot| snapshot.to_string().contains("fa-a:pg-web"))
        {
            return Ok(());
        }
        ensure!(Instant::now() < end, "no snapshot arrives: {there}");
        sleep(Duration::from_millis(100)).await;
    }
}
