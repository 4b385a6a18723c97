//! Any service is killed at any moment of what goes from site to site, and starts again: the sites say the same in the
//! end, and nothing of it is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::harness::{Pair, Stack};
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// A service that is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    ApiA,
    ApiB,
    EngineA,
    EngineB,
}

const VICTIMS: [Victim; 4] = [Victim::ApiA, Victim::ApiB, Victim::EngineA, Victim::EngineB];

/// What a modification has got to when somebody is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    Nonce,
    Statement,
    Commit,
    Bundle,
    Receipt,
    Delivery,
}

const POINTS: [After; 7] = [
    After::Nothing,
    After::Nonce,
    After::Statement,
    After::Commit,
    After::Bundle,
    After::Receipt,
    After::Delivery,
];

impl Victim {
    async fn falls(self, stack: &mut Stack) -> Result<()> {
        match self {
            Self::ApiA => stack.a.restart_api().await,
            Self::ApiB => stack.b.restart_api().await,
            Self::EngineA => stack.a.restart_engine().await,
            Self::EngineB => stack.b.restart_engine().await,
        }
    }
}

/// What is to be changed, and how it is answered.
struct Change<'a> {
    method: Method,
    path: &'a str,
    body: Value,
    status: u16,
}

/// A modification, one call after the other; `then` hears of each.
async fn modify(
    pair: &Pair,
    group: &str,
    change: Change<'_>,
    mut then: impl AsyncFnMut(After) -> Result<()>,
) -> Result<Value> {
    let sync = format!("/protection-groups/{group}/sync");
    let metadata = format!("/protection-groups/{group}/metadata");
    let post = async |side: &Pair, body: Value| -> Result<Value> {
        side.here.call(Method::POST, &sync, Some(&body)).await?.ok(200)
    };
    let peer = pair.reversed();
    then(After::Nothing).await?;
    let nonce = post(pair, json!({"nonce": {}})).await?;
    then(After::Nonce).await?;
    let told = post(&peer, json!({"statement": {"nonce": nonce["nonce"]["value"]}})).await?;
    then(After::Statement).await?;
    let statement = STANDARD.encode(told["statement"].to_string());
    let url = format!("{}{}", pair.here.base(), change.path);
    let header = [("X-Protector-Statement", statement.as_str())];
    let changed = pair
        .here
        .ask(change.method, &url, &header, Some(&change.body))
        .await?;
    let changed = changed.ok(change.status)?;
    then(After::Commit).await?;
    let bundle = json!({"bundle": pair.here.get(&metadata).await?["bundle"]});
    then(After::Bundle).await?;
    let receipt = peer
        .here
        .call(Method::PUT, &metadata, Some(&bundle))
        .await?
        .ok(200)?;
    then(After::Receipt).await?;
    // Whoever didn't hear the answer asks again.
    let again = peer
        .here
        .call(Method::PUT, &metadata, Some(&bundle))
        .await?
        .ok(200)?;
    assert_eq!(
        again["receipt"]["checksum"], receipt["receipt"]["checksum"],
        "{again}"
    );
    post(pair, json!({"receipt": receipt["receipt"]})).await?;
    then(After::Delivery).await?;
    Ok(changed)
}

/// What both sites say of the group, which has to be the same.
async fn agreed(pair: &Pair, group: &str) -> Result<Value> {
    let mut said = Vec::new();
    for side in [pair, &pair.reversed()] {
        let sync = side.here.get(&format!("/protection-groups/{group}/sync")).await?;
        let sync = &sync["sync"];
        ensure!(sync["status"] == "synced", "{sync:#}");
        let bundle = side
            .here
            .get(&format!("/protection-groups/{group}/metadata"))
            .await?;
        let bundle = &bundle["bundle"];
        ensure!(bundle["document"].is_object(), "{bundle:#}");
        said.push(json!({
            "epoch": sync["epoch"], "version": sync["version"], "checksum": sync["checksum"],
            "runs_at": sync["current_primary_site"], "document": bundle["document"]
        }));
    }
    ensure!(said[0] == said[1], "the sites differ: {:#}", json!(said));
    Ok(said.swap_remove(0))
}

#[tokio::test]
async fn t6_a_restart_at_any_point_of_a_modification_leaves_the_sites_equal() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let path = format!("/protection-groups/{}", group.id);
    let mut version = agreed(&pair, &group.id).await?["version"]
        .as_u64()
        .context("no version")?;
    for victim in VICTIMS {
        for point in POINTS {
            let words = format!("{victim:?} falls after {point:?}");
            let change = Change {
                method: Method::PATCH,
                path: &path,
                body: json!({"protection_group": {"description": words}}),
                status: 200,
            };
            let fall = async |now: After| -> Result<()> {
                if now == point {
                    victim.falls(&mut stack).await?;
                }
                Ok(())
            };
            modify(&pair, &group.id, change, fall)
                .await
                .context(words.clone())?;
            version += 1;
            let both = agreed(&pair, &group.id).await.context(words.clone())?;
            assert_eq!(both["version"], version, "{words}");
            assert_eq!(both["document"]["description"], words.as_str());
        }
    }
    stack.nobody_panicked()
}

/// The call that the service was busy with has its effect or it hasn't; what follows is the same either way.
#[tokio::test]
async fn t6_an_api_killed_in_the_middle_of_a_call_has_done_all_of_it_or_nothing() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let path = format!("/protection-groups/{}", group.id);
    for victim in [Victim::ApiA, Victim::ApiB] {
        for wait in [0, 2, 4, 7, 11, 16, 30] {
            let words = format!("{victim:?} falls after {wait} ms");
            let body = json!({"protection_group": {"description": words}});
            let before = agreed(&pair, &group.id).await?;
            let making = async {
                pair.modify(&group.id, Method::PATCH, &path, Some(&body), 200)
                    .await
            };
            let falling = async {
                sleep(Duration::from_millis(wait)).await;
                victim.falls(&mut stack).await
            };
            let (made, fallen) = tokio::join!(making, falling);
            fallen?;
            // The next client finishes what this one has left.
            let sync = pair.here.get(&format!("{path}/sync")).await?["sync"].clone();
            if sync["status"] != "synced" {
                pair.push(&group.id).await.context(words.clone())?;
            }
            let after = agreed(&pair, &group.id).await.context(words.clone())?;
            let grown = after["version"].as_u64() > before["version"].as_u64();
            ensure!(
                grown || made.is_err(),
                "{words}: what was answered is lost: {after:#}"
            );
            let description = if grown {
                json!(words)
            } else {
                before["document"]["description"].clone()
            };
            assert_eq!(after["document"]["description"], description, "{words}");
        }
    }
    stack.nobody_panicked()
}

/// The kinds of steps that have begun.
fn begun(operation: &Value) -> BTreeSet<String> {
    let steps = operation["steps"].as_array().into_iter().flatten();
    let begun = steps.filter(|step| !step["started_at"].is_null());
    begun
        .filter_map(|step| step["name"].as_str())
        .map(|name| name.split('/').next().unwrap_or(name).to_owned())
        .collect()
}

/// Kill it at every point of the way of intent and outcome, and whenever a step of another kind has begun.
async fn falls_all_along(victim: Victim) -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    // Slow enough to be met at each of its parts, however long a start takes.
    let slow = json!({"delays": {
        "build": 3000, "stop": 2500, "start": 150, "delete": 150, "volume": 1500, "group": 1500
    }});
    for site in ["site-a", "site-b"] {
        stack.simulation.settings(site, &slow).await?;
    }
    let action = format!("/protection-groups/{}/action", group.id);
    let change = Change {
        method: Method::POST,
        path: &action,
        body: json!({"failover": {"type": "planned", "mappings": {}}}),
        status: 202,
    };
    let answer = modify(&pair, &group.id, change, async |_| victim.falls(&mut stack).await).await?;
    let operation = answer["operation"]["id"]
        .as_str()
        .context("no operation")?
        .to_owned();
    let path = format!("/operations/{operation}");
    let (mut seen, mut falls) = (BTreeSet::new(), 0);
    let end = Instant::now() + Duration::from_secs(120);
    let ended = loop {
        let now = pair.here.get(&path).await?["operation"].clone();
        if !now["outcome"].is_null() {
            break now;
        }
        ensure!(Instant::now() < end, "it never ends: {now:#}");
        let steps = begun(&now);
        if steps.len() > seen.len() {
            victim.falls(&mut stack).await?;
            falls += 1;
        }
        seen.extend(steps);
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    // On a busy machine a start takes as long as several steps.
    ensure!(falls >= 2, "{victim:?} fell only {falls} times: {seen:?}");
    // The news of the outcome has the same way before it.
    victim.falls(&mut stack).await?;
    pair.push(&group.id).await?;
    victim.falls(&mut stack).await?;
    let both = agreed(&pair, &group.id).await?;
    assert_eq!(both["epoch"], 2, "{both:#}");
    assert_eq!(both["runs_at"], "site-b", "{both:#}");
    stack.arrived(&pair, &group).await?;
    for side in [&pair, &pair.reversed()] {
        let shown = side.here.get(&format!("/protection-groups/{}", group.id)).await?;
        assert_eq!(shown["protection_group"]["status"], "failed_over", "{shown:#}");
        assert_eq!(shown["protection_group"]["member_count"], 1, "{shown:#}");
    }
    stack.nobody_panicked()
}

#[tokio::test]
async fn t6_the_api_of_the_source_may_restart_all_along_a_planned_failover() -> Result<()> {
    falls_all_along(Victim::ApiA).await
}

#[tokio::test]
async fn t6_the_api_of_the_target_may_restart_all_along_a_planned_failover() -> Result<()> {
    falls_all_along(Victim::ApiB).await
}

#[tokio::test]
async fn t6_the_engine_of_the_source_may_restart_all_along_a_planned_failover() -> Result<()> {
    falls_all_along(Victim::EngineA).await
}

#[tokio::test]
async fn t6_the_engine_of_the_target_may_restart_all_along_a_planned_failover() -> Result<()> {
    falls_all_along(Victim::EngineB).await
}
