//! A planned failover that meets trouble before its point of no return, and must leave the world as it was.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::pair::Pair;
use super::protection::text;
use super::simulation::Simulation;
use super::stack::Stack;
use super::state::{ALLOWED, differences};
use super::trouble::Trouble;

/// What every rolled back operation says at its end, whatever happened: what came of it and what to do next.
const TAKEN_BACK: &str = "was taken back. When the cause is removed, start it again.";

/// One line of a table.
pub struct Case {
    name: &'static str,
    troubles: Vec<Trouble>,
    /// What the message has to say: what happened, why, and what helps.
    says: &'static [&'static str],
    mappings: Value,
    /// Ends in time, whatever the trouble.
    within: Duration,
}

impl Case {
    #[must_use]
    pub fn new(name: &'static str, says: &'static [&'static str]) -> Self {
        Self {
            name,
            troubles: Vec::new(),
            says,
            mappings: json!({}),
            within: Duration::from_secs(30),
        }
    }

    /// What went well until then is taken back, and the group can be used again.
    #[must_use]
    pub fn stopped_at_last(name: &'static str) -> Self {
        Self::new(name, &["Stopped at last."]).with(stop_at_last())
    }

    #[must_use]
    pub fn with(mut self, trouble: Trouble) -> Self {
        self.troubles.push(trouble);
        self
    }

    #[must_use]
    pub fn mapped(mut self, mappings: Value) -> Self {
        self.mappings = mappings;
        self
    }

    #[must_use]
    pub fn within(mut self, seconds: u64) -> Self {
        self.within = Duration::from_secs(seconds);
        self
    }

    /// The failover is tried and taken back; the operation as it ended.
    pub async fn taken_back(&self, stack: &Stack, pair: &Pair, group: &str) -> Result<Value> {
        self.taken_back_but(stack, pair, group, &[]).await
    }

    /// The same where something below these paths differs for another reason.
    pub async fn taken_back_but(
        &self,
        stack: &Stack,
        pair: &Pair,
        group: &str,
        but: &[&'static str],
    ) -> Result<Value> {
        self.tried(stack, pair, group, but)
            .await
            .with_context(|| format!("where {}", self.name))
    }

    async fn tried(&self, stack: &Stack, pair: &Pair, group: &str, but: &[&'static str]) -> Result<Value> {
        let simulation = &stack.simulation;
        let before = simulation.world().await?;
        for trouble in &self.troubles {
            trouble.cause(simulation).await?;
        }
        let started = Instant::now();
        let operation = pair.failover(group, self.mappings.clone()).await?;
        let ended = pair.ended(group, &operation).await?;
        let took = started.elapsed();
        self.hit(simulation).await.with_context(|| brief(&ended))?;
        simulation.heal().await?;
        ensure!(
            ended["outcome"] == "rolled_back" && ended["status"] == "failed",
            "not taken back: {}",
            brief(&ended)
        );
        ensure!(took < self.within, "it took {took:?}");
        told(&ended, self.says)?;
        ensure!(
            text(&ended, "error_message")?.ends_with(TAKEN_BACK),
            "{}",
            brief(&ended)
        );
        ensure!(
            ended["result_data"]["left_behind"] == json!([]),
            "{}",
            brief(&ended)
        );
        let shown = pair.here.get(&format!("/protection-groups/{group}")).await?;
        ensure!(shown["protection_group"]["status"] == "active", "{shown}");
        as_before(stack, &before, but).await?;
        Ok(ended)
    }

    /// Trouble that hits nothing proves nothing.
    async fn hit(&self, simulation: &Simulation) -> Result<()> {
        let mut places: Vec<&str> = self.troubles.iter().map(|trouble| trouble.place).collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            let idle = simulation.idle_rules(place).await?;
            ensure!(idle.is_empty(), "nothing was hit at {place} by {idle:?}");
        }
        Ok(())
    }
}

/// The last change before the point of no return is refused: the servers run by then.
pub fn stop_at_last() -> Trouble {
    let refused = json!({"forbidden": {"code": 403, "message": "Stopped at last."}});
    Trouble::at("site-b", "PUT /groups/")
        .times(1)
        .status(403, refused)
}

/// Both clouds and both arrays are as they were, and the servers run.
pub async fn as_before(stack: &Stack, before: &Value, but: &[&'static str]) -> Result<()> {
    let after = stack.simulation.world().await?;
    servers_run(&after)?;
    let found: Vec<String> = differences(before, &after, ALLOWED)
        .into_iter()
        .filter(|found| !but.iter().any(|path| found.starts_with(path)))
        .collect();
    ensure!(found.is_empty(), "{} traces:\n{}", found.len(), found.join("\n"));
    Ok(())
}

/// Whether the message of an operation says all of this.
pub fn told(operation: &Value, says: &[&str]) -> Result<()> {
    let message = text(operation, "error_message")?;
    for part in says {
        ensure!(
            message.contains(part),
            "'{part}' isn't said in: {message}\n{}",
            brief(operation)
        );
    }
    Ok(())
}

/// As much of an operation as fits on a screen: without the steps that are waiting or done.
pub fn brief(operation: &Value) -> String {
    let mut operation = operation.clone();
    if let Some(steps) = operation["steps"].as_array_mut() {
        steps.retain(|step| !step["error"].is_null());
    }
    format!("{operation:#}")
}

/// Every server of `site-a` runs and can be stopped by its owner.
fn servers_run(world: &Value) -> Result<()> {
    let servers = world["site-a"]["compute"]["servers"]
        .as_array()
        .context("no servers")?;
    for server in servers {
        ensure!(
            server["vm_state"] == "active" && server["task_state"].is_null() && server["locked"] == false,
            "{server}"
        );
    }
    Ok(())
}
