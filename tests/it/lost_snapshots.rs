//! Snapshots that are missing, or are eradicated while they are cloned: another one is taken where somebody starts the
//! operation again, and never two of different times in one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::bad_luck::{over, until_at};
use crate::harness::setback::{as_before, brief, told};
use crate::harness::state::differences;
use crate::harness::{Pair, Stack, Trouble, text};

/// Whoever administers an array, and does what he shouldn't.
struct Hand {
    http: reqwest::Client,
    url: String,
    session: String,
}

impl Hand {
    async fn at(url: &str, token: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .danger_accept_invalid_certs(true)
            .build()?;
        let answer = http
            .post(format!("{url}/api/2.26/login"))
            .header("api-token", token)
            .send()
            .await?;
        let session = answer
            .headers()
            .get("x-auth-token")
            .context("no session")?
            .to_str()?
            .to_owned();
        Ok(Self {
            http,
            url: url.to_owned(),
            session,
        })
    }

    /// The group snapshots of a group, the newest first.
    async fn snapshots(&self, group: &str) -> Result<Vec<String>> {
        let url = format!("{}/api/2.26/protection-group-snapshots?destroyed=false", self.url);
        let answer: Value = self
            .http
            .get(url)
            .header("x-auth-token", &self.session)
            .send()
            .await?
            .json()
            .await?;
        let mut found: Vec<(u64, String)> = answer["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| Some((one["created"].as_u64()?, one["name"].as_str()?.to_owned())))
            .filter(|(_, name)| name.starts_with(&format!("{group}.")))
            .collect();
        found.sort();
        Ok(found.into_iter().rev().map(|(_, name)| name).collect())
    }

    async fn eradicate(&self, snapshot: &str) -> Result<()> {
        let url = format!(
            "{}/api/2.26/protection-group-snapshots?names={snapshot}",
            self.url
        );
        let destroyed = self
            .http
            .patch(&url)
            .header("x-auth-token", &self.session)
            .json(&json!({"destroyed": true}));
        destroyed.send().await?.error_for_status()?;
        self.http
            .delete(&url)
            .header("x-auth-token", &self.session)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }
}

#[tokio::test]
async fn o8_a_final_snapshot_that_is_eradicated_is_said_and_taken_again() -> Result<()> {
    let stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    let before = stack.simulation.world().await?;
    let hand = Hand::at(&stack.b.array_url, "fa-b-token").await?;
    Trouble::at("fa-b", "POST /volumes$")
        .held_back()
        .cause(&stack.simulation)
        .await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    until_at(&pair, &operation, "clone-volume").await?;
    let newest = hand.snapshots("fa-a:pg-web").await?;
    hand.eradicate(newest.first().context("no snapshot")?).await?;
    let ended = pair.ended(&group.id, &operation).await?;
    stack.simulation.heal().await?;
    ensure!(ended["outcome"] == "rolled_back", "{}", brief(&ended));
    told(
        &ended,
        &[
            "cloning volume",
            "does not exist",
            "destroyed while it was needed",
            "started again, the operation takes another snapshot",
        ],
    )?;
    as_before(&stack, &before, &[]).await?;
    let operation = pair.failover(&group.id, json!({})).await?;
    assert_eq!(pair.ended(&group.id, &operation).await?["outcome"], "completed");
    stack.nobody_panicked()
}

async fn take_over(pair: &Pair, group: &str) -> Result<String> {
    let body = json!({"failover": {"type": "unplanned"}});
    let path = format!("/protection-groups/{group}/action");
    let answer = pair.there.call(Method::POST, &path, Some(&body)).await?.ok(202)?;
    Ok(text(&answer["operation"], "id")?.to_owned())
}

#[tokio::test]
async fn o2_a_snapshot_that_is_missing_or_eradicated_is_said_and_another_one_taken() -> Result<()> {
    let mut stack = Stack::start().await?;
    let pair = stack.pair("demo").await?;
    let group = stack.protected(&pair, "web", 2).await?;
    let there = pair.reversed();
    let hand = Hand::at(&stack.b.array_url, "fa-b-token").await?;
    for snapshot in hand.snapshots("fa-a:pg-web").await? {
        hand.eradicate(&snapshot).await?;
    }
    let before = stack.simulation.world().await?;
    let operation = take_over(&pair, &group.id).await?;
    let ended = over(&there, &operation).await?;
    ensure!(ended["outcome"] == "rolled_back", "{}", brief(&ended));
    told(
        &ended,
        &[
            "no replicated snapshot found",
            "on FlashArray fa-b",
            "Verify replication policy and RPO",
        ],
    )?;
    assert_eq!(ended["result_data"]["left_behind"], json!([]));
    as_before(&stack, &before, &[]).await?;
    // Two come over, and the one that was chosen goes while it is cloned.
    stack.replicated().await?;
    stack.advance(Duration::from_secs(301)).await?;
    let end = Instant::now() + Duration::from_secs(20);
    while hand.snapshots("fa-a:pg-web").await?.len() < 2 {
        ensure!(Instant::now() < end, "no second snapshot arrives");
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_millis(500)).await;
    stack.lose_site_a().await?;
    let before = stack.simulation.cloud_state("site-b").await?;
    Trouble::at("fa-b", "POST /volumes$")
        .held_back()
        .cause(&stack.simulation)
        .await?;
    let operation = take_over(&pair, &group.id).await?;
    until_at(&there, &operation, "clone-volume").await?;
    let chosen = hand.snapshots("fa-a:pg-web").await?;
    hand.eradicate(&chosen[0]).await?;
    let ended = over(&there, &operation).await?;
    ensure!(ended["outcome"] == "rolled_back", "{}", brief(&ended));
    told(
        &ended,
        &[
            "No server could be brought up",
            "does not exist",
            "never mixed",
            "takes another snapshot",
        ],
    )?;
    assert_eq!(ended["result_data"]["left_behind"], json!([]));
    let found = differences(&before, &stack.simulation.cloud_state("site-b").await?, &[]);
    ensure!(found.is_empty(), "{}", found.join("\n"));
    // The older one is whole: started again, all servers are of it.
    let operation = take_over(&pair, &group.id).await?;
    let ended = over(&there, &operation).await?;
    ensure!(ended["outcome"] == "completed", "{}", brief(&ended));
    let suffix = chosen[1].rsplit('.').next().unwrap_or_default();
    assert_eq!(
        ended["result_data"]["snapshot"]["suffix"],
        suffix,
        "{}",
        brief(&ended)
    );
    stack.nobody_panicked()
}
