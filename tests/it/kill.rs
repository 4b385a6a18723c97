//! The engine is killed at every call by which it changes something: once before the call has its effect, once after
//! it and before the answer. It starts again and ends what it began, and in the whole world of both sites nothing is
//! there twice, and nothing is left over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::harness::protection::Group;
use crate::harness::state::{ALLOWED, differences};
use crate::harness::{Pair, Stack, names, text};
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Worlds at a time.
const AT_ONCE: usize = 6;
const PLACES: [&str; 4] = ["site-a", "site-b", "fa-a", "fa-b"];
const METHODS: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];
/// What signs in changes nothing that anybody would miss.
const CLOUD: &str = "^/(compute|network|volume)";
const ARRAY: &str = "/(volumes|volume-snapshots|protection-group|hosts|connections|tags)";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Planned,
    Unplanned,
}

/// At which call, of those of one method at one place, and whether it has its effect.
#[derive(Clone, Debug)]
struct Blow {
    place: &'static str,
    method: &'static str,
    nth: u64,
    effect: bool,
}

/// A group with a written disk, and what the world looks like before anything happens to it.
struct Scene {
    stack: Stack,
    pair: Pair,
    group: Group,
    before: Value,
}

async fn scene(manner: Manner) -> Result<Scene> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    if manner == Manner::Unplanned {
        stack.replicated().await?;
    }
    let before = stack.simulation.world().await?;
    Ok(Scene {
        stack,
        pair,
        group,
        before,
    })
}

impl Scene {
    async fn order(&self, manner: Manner) -> Result<String> {
        if manner == Manner::Planned {
            return self.pair.failover(&self.group.id, json!({})).await;
        }
        let body = json!({"failover": {"type": "unplanned"}});
        let path = format!("/protection-groups/{}/action", self.group.id);
        let answer = self
            .pair
            .there
            .call(Method::POST, &path, Some(&body))
            .await?
            .ok(202)?;
        Ok(text(&answer["operation"], "id")?.to_owned())
    }

    async fn look(&self, manner: Manner, operation: &str) -> Result<Value> {
        let session = match manner {
            Manner::Planned => &self.pair.here,
            Manner::Unplanned => &self.pair.there,
        };
        let shown = session.get(&format!("/operations/{operation}")).await?;
        Ok(shown["operation"].clone())
    }

    async fn end(&self, manner: Manner, operation: &str) -> Result<Value> {
        let end = Instant::now() + Duration::from_secs(90);
        loop {
            let now = self.look(manner, operation).await?;
            if !now["outcome"].is_null() || now["waiting_for"] == "operator" {
                return Ok(now);
            }
            ensure!(Instant::now() < end, "it never ends: {now:#}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The engine's calls that change something, by place and method.
    async fn count(&self, since: &BTreeMap<(&'static str, &'static str), u64>) -> Result<Counts> {
        let mut counts = Counts::new();
        for place in PLACES {
            for method in METHODS {
                let calls = match place.starts_with("fa-") {
                    true => self.stack.simulation.array_calls(place, method, "").await?,
                    false => self.stack.simulation.calls(place, method, "").await?,
                };
                let counted = calls.iter().filter(|call| {
                    let path = call["path"].as_str().unwrap_or_default();
                    match place.starts_with("fa-") {
                        true => ARRAY
                            .trim_matches(['/', '(', ')'])
                            .split('|')
                            .any(|part| path.contains(&format!("/{part}"))),
                        false => ["/compute", "/network", "/volume"]
                            .iter()
                            .any(|part| path.starts_with(part)),
                    }
                });
                let number = counted.count() as u64;
                counts.insert(
                    (place, method),
                    number - since.get(&(place, method)).unwrap_or(&0),
                );
            }
        }
        Ok(counts)
    }
}

type Counts = BTreeMap<(&'static str, &'static str), u64>;

/// Every blow there is for a failover that nobody disturbs.
async fn blows(manner: Manner) -> Result<Vec<Blow>> {
    let scene = scene(manner).await?;
    let since = scene.count(&Counts::new()).await?;
    let operation = scene.order(manner).await?;
    let ended = scene.end(manner, &operation).await?;
    ensure!(ended["outcome"] == "completed", "{ended:#}");
    let mut blows = Vec::new();
    for ((place, method), number) in scene.count(&since).await? {
        for nth in 1..=number {
            for effect in [false, true] {
                blows.push(Blow {
                    place,
                    method,
                    nth,
                    effect,
                });
            }
        }
    }
    Ok(blows)
}

/// Strike, let the engine start again, and look at what came of it: the outcome, or none where nothing was hit.
async fn strike(manner: Manner, blow: &Blow) -> Result<Option<String>> {
    let mut scene = scene(manner).await?;
    let path = if blow.place.starts_with("fa-") {
        ARRAY
    } else {
        CLOUD
    };
    let kind = if blow.effect { "swallow" } else { "hang" };
    let rule = json!({
        "method": blow.method, "path": path, "nth": blow.nth, "times": 1, "action": {"kind": kind}
    });
    scene.stack.simulation.disturb(blow.place, &rule).await?;
    let operation = scene.order(manner).await?;
    let end = Instant::now() + Duration::from_secs(60);
    let mut hit = false;
    while !hit && scene.look(manner, &operation).await?["outcome"].is_null() {
        ensure!(Instant::now() < end, "neither hit nor ended");
        hit = scene.stack.simulation.hits(blow.place).await? > 0;
        sleep(Duration::from_millis(10)).await;
    }
    // So that what was to have its effect has it.
    sleep(Duration::from_millis(150)).await;
    let site = match manner {
        Manner::Planned => &mut scene.stack.a,
        Manner::Unplanned => &mut scene.stack.b,
    };
    if let Some(engine) = site.engine.take() {
        engine.kill().await?;
    }
    site.start_engine()?;
    scene.stack.simulation.heal().await?;
    let ended = scene.end(manner, &operation).await?;
    scene.judge(manner, &ended).await?;
    Ok(hit.then(|| text(&ended, "outcome").unwrap_or("waiting").to_owned()))
}

impl Scene {
    async fn judge(&self, manner: Manner, ended: &Value) -> Result<()> {
        let servers = self
            .pair
            .there
            .listed("compute", "/servers/detail", "servers")
            .await?;
        let volumes = self
            .pair
            .there
            .listed("volumev3", "/volumes/detail", "volumes")
            .await?;
        let ports = self.pair.there.listed("network", "/v2.0/ports", "ports").await?;
        let service = self.stack.b.sign_in("protector").await?;
        let kept = service.listed("volumev3", "/volumes/detail", "volumes").await?;
        let transfers = service
            .listed("volumev3", "/volume-transfers/detail?all_tenants=1", "transfers")
            .await?;
        match ended["outcome"].as_str() {
            Some("completed") => {
                ensure!(names(&servers) == ["web-0"], "servers: {:?}", names(&servers));
                ensure!(servers[0]["status"] == "ACTIVE", "{}", servers[0]);
                ensure!(volumes.len() == 2, "volumes: {volumes:#?}");
                ensure!(
                    volumes.iter().all(|volume| volume["status"] == "in-use"),
                    "volumes: {volumes:#?}"
                );
                ensure!(
                    ports.iter().all(|port| port["device_id"] == servers[0]["id"]),
                    "ports: {ports:#?}"
                );
                ensure!(kept.is_empty(), "the service keeps {kept:#?}");
                ensure!(transfers.is_empty(), "transfers: {transfers:#?}");
                let array = self.stack.simulation.array_state("fa-b").await?;
                let live = array["volumes"].as_array().into_iter().flatten();
                let live = live.filter(|volume| volume["destroyed"] == false).count();
                ensure!(
                    live == 2,
                    "{live} volumes on the array and not 2: {:#}",
                    array["volumes"]
                );
            }
            Some("rolled_back") => {
                let after = self.stack.simulation.world().await?;
                let found = differences(&self.before, &after, ALLOWED);
                ensure!(found.is_empty(), "{} traces: {}", found.len(), found.join("\n"));
            }
            _ => ensure!(
                ended["waiting_for"] == "operator",
                "{manner:?} ended {}",
                ended["outcome"]
            ),
        }
        Ok(())
    }
}

/// Every blow in a world of its own, and what came of them all.
async fn everywhere(manner: Manner) -> Result<Value> {
    let blows = blows(manner).await?;
    let all = blows.len();
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut runs = JoinSet::new();
    for blow in blows {
        let permits = permits.clone();
        runs.spawn(async move {
            let _permit = permits.acquire_owned().await?;
            let result = strike(manner, &blow).await;
            result.with_context(|| format!("{blow:?}"))
        });
    }
    let (mut outcomes, mut failures) = (BTreeMap::new(), Vec::new());
    while let Some(run) = runs.join_next().await {
        match run? {
            Ok(outcome) => {
                *outcomes
                    .entry(outcome.unwrap_or("not hit".to_owned()))
                    .or_insert(0_usize) += 1
            }
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    let missed = outcomes.get("not hit").copied().unwrap_or(0);
    ensure!(missed * 10 <= all, "{missed} of {all} blows hit nothing");
    Ok(json!({"manner": format!("{manner:?}"), "calls": all / 2, "blows": all, "outcomes": outcomes}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o10_an_engine_killed_at_any_call_of_a_planned_failover_ends_it() -> Result<()> {
    println!("{}", everywhere(Manner::Planned).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o10_an_engine_killed_at_any_call_of_an_unplanned_failover_ends_it() -> Result<()> {
    println!("{}", everywhere(Manner::Unplanned).await?);
    Ok(())
}

/// Its successor on the same host knows that it is dead, and doesn't wait for the end of its lease.
#[tokio::test]
async fn o10_a_killed_engine_goes_on_within_seconds_of_its_return_however_long_its_lease() -> Result<()> {
    let mut stack = Stack::configured("[engine]\nlease_seconds = 600\n").await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 1).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    let path = format!("/operations/{operation}");
    pair.until(&path, "operation", |now| now["progress"].as_u64() > Some(20))
        .await?;
    let engine = stack.a.engine.take().context("no engine runs")?;
    engine.kill().await?;
    let before = pair.here.get(&path).await?["operation"].clone();
    ensure!(before["status"] == "running", "{before:#}");

    stack.a.start_engine()?;
    let back = Instant::now();
    pair.until(&path, "operation", |now| *now != before).await?;
    let resumed = back.elapsed();
    println!("resumed after {resumed:?}");
    ensure!(resumed < Duration::from_secs(5), "resumed after {resumed:?}");
    let ended = pair.ended(&group.id, &operation).await?;
    assert_eq!(ended["outcome"], "completed", "{ended:#}");
    stack.nobody_panicked()
}
