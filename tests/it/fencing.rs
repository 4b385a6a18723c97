//! A site that a group was taken from comes back: nothing of the group runs there again, whoever notices first. Then the
//! group goes back to it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::bad_luck::array;
use crate::harness::array::Administrator;
use crate::harness::protection::Group;
use crate::harness::{Pair, Stack, Trouble, names, text};
use crate::takeover::take_over;

const QUICK: &str = "[engine]\nfencing_interval_ms = 500\n";

/// A group of two servers that site-b has taken over, with site-a dead.
async fn taken_over() -> Result<(Stack, Pair, Group)> {
    let mut stack = Stack::configured(QUICK).await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    stack.replicated().await?;
    stack.lose_site_a().await?;
    let ended = take_over(&pair, &group.id).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    Ok((stack, pair, group))
}

async fn shown(pair: &Pair, group: &Group) -> Result<Value> {
    let path = format!("/protection-groups/{}", group.id);
    Ok(pair.there.get(&path).await?["protection_group"].clone())
}

/// All old servers are stopped, and nobody but an administrator can start them.
async fn held(pair: &Pair, group: &Group) -> Result<bool> {
    let servers = pair.here.listed("compute", "/servers/detail", "servers").await?;
    let mut old = servers
        .iter()
        .filter(|server| group.servers.iter().any(|id| server["id"] == **id));
    Ok(old.all(|server| server["status"] == "SHUTOFF" && server["locked"] == true))
}

pub async fn until_held(pair: &Pair, group: &Group) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    while !held(pair, group).await? {
        ensure!(Instant::now() < end, "old servers run on");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test]
async fn o2_the_survivor_fences_a_site_that_returns_without_its_protector() -> Result<()> {
    let (stack, pair, group) = taken_over().await?;
    let fencing = shown(&pair, &group).await?["fencing"].clone();
    assert_eq!(
        (&fencing["site"], &fencing["status"]),
        (&json!("site-a"), &json!("pending"))
    );
    stack.return_site_a().await?;
    until_held(&pair, &group).await?;
    let path = format!("/protection-groups/{}", group.id);
    let there = pair.reversed();
    let back = there
        .until(&path, "protection_group", |now| {
            !now["fencing"]["replicated_back_at"].is_null()
        })
        .await?;
    assert_eq!(back["fencing"]["status"], "fenced", "{back:#}");
    // The old direction is off, and the new one is on.
    let (old, new) = (
        stack.simulation.array_state("fa-a").await?,
        stack.simulation.array_state("fa-b").await?,
    );
    let sends = |array: &Value| -> Result<Value> {
        let groups = array["groups"].as_array().into_iter().flatten();
        let mut found = groups.filter(|one| one["name"] == "pg-web");
        Ok(found.next().context("no group pg-web")?["replication_schedule"]["enabled"].clone())
    };
    assert_eq!((sends(&old)?, sends(&new)?), (json!(false), json!(true)));
    stack.nobody_panicked()
}

/// That it can't be replicated there yet is told, and doesn't make it less fenced.
#[tokio::test]
async fn o2_a_fence_is_closed_though_the_group_cannot_be_replicated_back() -> Result<()> {
    let (stack, pair, group) = taken_over().await?;
    Trouble::at("fa-b", "POST /protection-groups$")
        .status(400, array("pg-web", "Invalid protection group."))
        .cause(&stack.simulation)
        .await?;
    stack.return_site_a().await?;
    let path = format!("/protection-groups/{}", group.id);
    let there = pair.reversed();
    let shown = there
        .until(&path, "protection_group", |now| {
            !now["fencing"]["fenced_at"].is_null()
        })
        .await?;
    ensure!(held(&pair, &group).await?, "fenced, and a server runs");
    assert_eq!(shown["fencing"]["status"], "fenced", "{shown:#}");
    assert_eq!(shown["fencing"]["replicated_back_at"], json!(null), "{shown:#}");
    ensure!(
        text(&shown["fencing"], "reason")?.contains("Invalid protection group"),
        "{shown:#}"
    );
    stack.simulation.heal().await?;
    let back = |now: &Value| !now["fencing"]["replicated_back_at"].is_null();
    let shown = there.until(&path, "protection_group", back).await?;
    assert_eq!(shown["fencing"]["reason"], json!(null), "{shown:#}");
    stack.nobody_panicked()
}

#[tokio::test]
async fn o2_a_site_that_returns_fences_itself_before_anybody_tells_it() -> Result<()> {
    let (mut stack, pair, group) = taken_over().await?;
    if let Some(engine) = stack.b.engine.take() {
        engine.kill().await?;
    }
    stack.return_site_a().await?;
    stack.a.start().await?;
    until_held(&pair, &group).await?;
    let path = format!("/protection-groups/{}", group.id);
    let own = pair.here.get(&path).await?["protection_group"].clone();
    assert_eq!(own["status"], "error", "{own:#}");
    ensure!(
        text(&own, "error_message")
            .or_else(|_| text(&own, "status_reason"))?
            .contains("has taken this protection group over"),
        "{own:#}"
    );
    // The news arrive.
    pair.reversed().push(&group.id).await?;
    let own = pair.here.get(&path).await?["protection_group"].clone();
    assert_eq!(
        (&own["status"], &own["current_primary_site"]),
        (&json!("failed_over"), &json!("site-b")),
        "{own:#}"
    );
    stack.nobody_panicked()
}

/// One sign of a takeover alone stops nobody's production.
#[tokio::test]
async fn o2_an_array_that_is_refused_stops_nothing() -> Result<()> {
    let stack = Stack::configured(QUICK).await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    stack.replicated().await?;
    let array = Administrator::sign_in(&stack.b.array_url, "fa-b-token").await?;
    array.refuse("fa-a:pg-web", "fa-b").await?;
    // Many looks.
    sleep(Duration::from_secs(6)).await;
    let servers = pair.here.listed("compute", "/servers/detail", "servers").await?;
    ensure!(
        servers
            .iter()
            .all(|server| server["status"] == "ACTIVE" && server["locked"] == false),
        "{servers:#?}"
    );
    let path = format!("/protection-groups/{}", group.id);
    assert_eq!(
        pair.here.get(&path).await?["protection_group"]["status"],
        "active"
    );
    let log = std::fs::read_to_string(stack.a.directory.join("protector-engine.out"))?;
    ensure!(
        log.contains("accepts nothing of this group any more"),
        "nobody was warned"
    );
    stack.nobody_panicked()
}

/// Back by a planned failover the other way: old servers make room, addresses and volumes stay.
#[tokio::test]
async fn o2_a_group_that_was_taken_over_goes_back() -> Result<()> {
    let (mut stack, pair, group) = taken_over().await?;
    let there = pair.reversed();
    // Not as long as the old servers may run.
    let ask = format!("/protection-groups/{}/preflight", group.id);
    let early = pair
        .there
        .call(
            Method::POST,
            &ask,
            Some(&json!({"preflight": {"type": "planned"}})),
        )
        .await?
        .ok(200)?;
    ensure!(
        early.to_string().contains("has not reached the other site yet"),
        "{early}"
    );
    stack.return_site_a().await?;
    stack.a.start().await?;
    until_held(&pair, &group).await?;
    let ports = pair.here.listed("network", "/v2.0/ports", "ports").await?;
    let volumes = pair.here.listed("volumev3", "/volumes/detail", "volumes").await?;
    let path = format!("/protection-groups/{}", group.id);
    there.push(&group.id).await?;
    there
        .until(&path, "protection_group", |now| {
            !now["fencing"]["replicated_back_at"].is_null()
        })
        .await?;
    for server in there.here.listed("compute", "/servers/detail", "servers").await? {
        let id = text(&server, "id")?;
        stack
            .simulation
            .write("site-b", id, "vda", "written at site-b")
            .await?;
    }
    let operation = there.failover(&group.id, json!({})).await?;
    let ended = there.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    let servers = pair.here.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&servers), ["web-0", "web-1"]);
    for server in &servers {
        let id = text(server, "id")?;
        ensure!(
            !group.servers.iter().any(|old| old == id),
            "an old server is there: {server:#}"
        );
        assert_eq!(server["status"], "ACTIVE");
        let read = stack.simulation.read("site-a", id, "vda").await?;
        ensure!(read.contains("written at site-b"), "{read}");
    }
    // The very ports of before, and the old volumes beside the new ones.
    let ids = |list: &[Value]| -> Vec<String> {
        let mut all: Vec<String> = list
            .iter()
            .filter_map(|one| one["id"].as_str().map(str::to_owned))
            .collect();
        all.sort();
        all
    };
    let now = pair.here.listed("network", "/v2.0/ports", "ports").await?;
    assert_eq!(ids(&now), ids(&ports));
    let now = ids(&pair.here.listed("volumev3", "/volumes/detail", "volumes").await?);
    ensure!(
        ids(&volumes).iter().all(|old| now.contains(old)),
        "an old volume is gone"
    );
    assert_eq!(now.len(), volumes.len() + 4);
    for site in [&pair.here, &pair.there] {
        let shown = site.get(&path).await?["protection_group"].clone();
        assert_eq!(
            (&shown["status"], &shown["current_primary_site"], &shown["epoch"]),
            (&json!("active"), &json!("site-a"), &json!(3))
        );
    }
    // And there again: what was left at site-b makes room in its turn.
    let operation = pair.failover(&group.id, json!({})).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    let servers = pair.there.listed("compute", "/servers/detail", "servers").await?;
    assert_eq!(names(&servers), ["web-0", "web-1"]);
    stack.nobody_panicked()
}
