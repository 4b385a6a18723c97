//! The day when a site is gone: what the other one does without it.

use std::time::Duration;

use crate::harness::{Pair, Stack, names, text};
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Order an unplanned failover at site-b, and follow it there.
pub async fn take_over(pair: &Pair, group: &str) -> Result<Value> {
    let body = json!({"failover": {"type": "unplanned"}});
    let path = format!("/protection-groups/{group}/action");
    let answer = pair.there.call(Method::POST, &path, Some(&body)).await?.ok(202)?;
    let path = format!("/operations/{}", text(&answer["operation"], "id")?);
    pair.reversed()
        .until(&path, "operation", |now| !now["outcome"].is_null())
        .await
}

#[tokio::test]
async fn o2_the_surviving_site_brings_the_group_up_with_the_other_one_dead() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    stack.replicated().await?;
    for server in &group.servers {
        // Too late for the last snapshot.
        stack.simulation.write("site-a", server, "vda", "lost").await?;
    }
    stack.lose_site_a().await?;
    let ended = take_over(&pair, &group.id).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["progress"], 100);
    ensure!(
        !ended["result_data"]["snapshot"]["created"].is_null(),
        "nobody knows how old the data is: {ended:#}"
    );
    let servers = pair.there.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&servers), ["web-0", "web-1"]);
    for server in &servers {
        let (id, name) = (text(server, "id")?, text(server, "name")?);
        assert_eq!(server["status"], "ACTIVE");
        for device in stack.simulation.devices("site-b", id).await? {
            let read = stack.simulation.read("site-b", id, &device).await?;
            ensure!(
                read.contains(&format!("{name} {device}")),
                "{name} {device}: {read}"
            );
            ensure!(!read.contains("lost"), "{name} {device}: {read}");
        }
    }
    let path = format!("/protection-groups/{}", group.id);
    let shown = pair.there.get(&path).await?["protection_group"].clone();
    assert_eq!(shown["status"], "failed_over");
    assert_eq!(shown["current_primary_site"], "site-b");
    assert_eq!(shown["failover_count"], 1);
    assert_eq!(shown["epoch"], 2);
    // The array takes nothing more from the one that is gone.
    let array = stack.simulation.array_state("fa-b").await?;
    let replicated = array["groups"].as_array().into_iter().flatten();
    let fenced = replicated.clone().find(|one| one["name"] == "fa-a:pg-web");
    let fenced = fenced.with_context(|| format!("no replicated group: {array}"))?;
    ensure!(
        !fenced["targets"].to_string().contains("true") || fenced["allowed"] == false,
        "not fenced: {fenced}"
    );
    Ok(())
}

/// The other site is well, and is all the same asked nothing.
#[tokio::test]
async fn o2_nothing_is_asked_of_the_other_site() -> Result<()> {
    // The lost site is fenced when all is up, and not while this test looks.
    let mut stack = Stack::configured("[engine]\nfencing_interval_ms = 60000\n").await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    stack.replicated().await?;
    // Its own engine would ask its own cloud.
    if let Some(engine) = stack.a.engine.take() {
        engine.kill().await?;
    }
    let before = stack.simulation.knocks("site-a", "fa-a").await?;
    let ended = take_over(&pair, &group.id).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    let after = stack.simulation.knocks("site-a", "fa-a").await?;
    assert_eq!(after, before, "somebody asked the other site");
    Ok(())
}

/// Cinder's group is there to be looked at: that somebody deleted it holds nobody up.
#[tokio::test]
async fn o2_a_cinder_group_that_was_deleted_is_made_again() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    stack.replicated().await?;
    let groups = async || pair.there.listed("volumev3", "/groups/detail", "groups").await;
    let old = text(&groups().await?[0], "id")?.to_owned();
    let delete = json!({"delete": {"delete-volumes": false}});
    let path = format!("/groups/{old}/action");
    pair.there
        .cloud("volumev3", Method::POST, &path, Some(&delete))
        .await?
        .ok(202)?;
    let end = Instant::now() + Duration::from_secs(30);
    while !groups().await?.is_empty() {
        ensure!(Instant::now() < end, "Cinder keeps the group");
        sleep(Duration::from_millis(100)).await;
    }
    stack.lose_site_a().await?;
    let ended = take_over(&pair, &group.id).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    let new = text(&groups().await?[0], "id")?.to_owned();
    let volumes = pair
        .there
        .listed("volumev3", "/volumes/detail", "volumes")
        .await?;
    ensure!(
        !volumes.is_empty() && volumes.iter().all(|volume| volume["group_id"] == new),
        "{volumes:#?}"
    );
    let path = format!("/protection-groups/{}/consistency-group", group.id);
    let shown = pair.there.get(&path).await?["consistency_group"].clone();
    assert_eq!(shown["secondary_cg_id"], new, "{shown:#}");
    Ok(())
}

/// The site that was given up for dead isn't, and a client brings what both have: the failover goes on.
#[tokio::test]
async fn o2_a_bundle_that_is_brought_again_meanwhile_stops_nothing() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    stack.replicated().await?;
    if let Some(engine) = stack.b.engine.take() {
        engine.kill().await?;
    }
    let body = json!({"failover": {"type": "unplanned"}});
    let path = format!("/protection-groups/{}", group.id);
    let act = format!("{path}/action");
    let answer = pair.there.call(Method::POST, &act, Some(&body)).await?.ok(202)?;
    pair.push(&group.id).await?;
    let shown = pair.there.get(&path).await?["protection_group"].clone();
    assert_eq!(shown["status"], "failing_over", "{shown:#}");
    stack.b.start_engine()?;
    let operation = format!("/operations/{}", text(&answer["operation"], "id")?);
    let there = pair.reversed();
    let ended = there
        .until(&operation, "operation", |now| !now["outcome"].is_null())
        .await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    let shown = pair.there.get(&path).await?["protection_group"].clone();
    assert_eq!(shown["current_primary_site"], "site-b", "{shown:#}");
    Ok(())
}

/// The other site takes connections and never answers. Whoever hung there when the failover began doesn't try again.
#[tokio::test]
async fn o2_a_silent_site_is_not_waited_for() -> Result<()> {
    // So the engine of site-b is always reading what the servers look like.
    let mut stack =
        Stack::configured("[engine]\nfacts_interval_seconds = 10\nfencing_interval_ms = 60000\n").await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    stack.replicated().await?;
    stack.silence_site_a().await?;
    let quiet = stack.simulation.knocks("site-a", "fa-a").await?;
    let end = Instant::now() + Duration::from_secs(30);
    while stack.simulation.knocks("site-a", "fa-a").await? == quiet {
        ensure!(Instant::now() < end, "nobody hangs at the silent site");
        sleep(Duration::from_millis(100)).await;
    }
    let before = stack.simulation.knocks("site-a", "fa-a").await?;
    let ended = take_over(&pair, &group.id).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    let after = stack.simulation.knocks("site-a", "fa-a").await?;
    assert_eq!(after, before, "somebody knocked at the silent site");
    let servers = pair.there.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&servers), ["web-0", "web-1"]);
    Ok(())
}

/// A server `late` that is protected too late for the last replication; its id.
pub async fn late(stack: &Stack, pair: &Pair, group: &str) -> Result<String> {
    let simulation = &stack.simulation;
    let late = simulation.boot("site-a", "late", 1, "replicated-ssd").await?;
    stack.member(pair, group, &late).await?;
    Ok(late)
}

/// The other site has read what all servers look like.
pub async fn known(pair: &Pair, group: &str) -> Result<()> {
    let path = format!("/protection-groups/{group}");
    let there = pair.reversed();
    there
        .until(&path, "protection_group", |now| now["facts_complete"] == true)
        .await?;
    Ok(())
}

/// One server isn't in any snapshot yet: the others don't wait for it, and it is said.
#[tokio::test]
async fn o2_who_cannot_be_brought_up_does_not_hold_the_others_up() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    stack.replicated().await?;
    late(&stack, &pair, &group.id).await?;
    known(&pair, &group.id).await?;
    stack.lose_site_a().await?;
    let ended = take_over(&pair, &group.id).await?;
    assert_eq!(ended["outcome"], "partial", "{ended:#}");
    assert_eq!(ended["status"], "failed", "not everybody is there");
    ensure!(text(&ended, "error_message")?.contains("late"), "{ended:#}");
    let servers = pair.there.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&servers), ["web-0"]);
    let path = format!("/protection-groups/{}", group.id);
    let shown = pair.there.get(&path).await?["protection_group"].clone();
    assert_eq!(shown["status"], "failed_over_partial");
    let members = pair.there.get(&format!("{path}/members")).await?;
    for member in members["members"].as_array().into_iter().flatten() {
        let wanted = if member["instance_name"] == "late" {
            "error"
        } else {
            "protected"
        };
        assert_eq!(member["status"], wanted, "{member}");
        let reason = member["error_message"].as_str().unwrap_or_default();
        ensure!(
            (wanted == "error") == reason.contains("no replicated snapshot found for volume"),
            "{member}"
        );
    }
    // Nothing of it lies about, and the same again tries it once more.
    let volumes = pair
        .there
        .listed("volumev3", "/volumes/detail", "volumes")
        .await?;
    assert_eq!(volumes.len(), 2, "{volumes:?}");
    let again = take_over(&pair, &group.id).await?;
    assert_eq!(again["outcome"], "rolled_back", "{again:#}");
    assert_eq!(again["result_data"]["left_behind"], json!([]));
    let shown = pair.there.get(&path).await?["protection_group"].clone();
    assert_eq!(shown["status"], "failed_over_partial");
    assert_eq!(shown["failover_count"], 1);
    Ok(())
}
