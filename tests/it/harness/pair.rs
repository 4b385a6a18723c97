//! The same user at both sites, and the way that a change of a group takes: the peer is asked before, and told after.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::session::{Answer, Session};

/// How long anything may take that ends by itself.
const PATIENCE: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(50);

pub struct Pair {
    pub here: Session,
    pub there: Session,
}

impl Pair {
    /// Seen from the other side.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            here: self.there.clone(),
            there: self.here.clone(),
        }
    }

    /// The header by which the peer says what it knows, for one modification.
    pub async fn statement(&self, group: &str) -> Result<String> {
        let path = format!("/protection-groups/{group}/sync");
        let nonce = self
            .here
            .call(Method::POST, &path, Some(&json!({"nonce": {}})))
            .await?
            .ok(200)?;
        let ask = json!({"statement": {"nonce": nonce["nonce"]["value"]}});
        let told = self.there.call(Method::POST, &path, Some(&ask)).await?.ok(200)?;
        Ok(STANDARD.encode(told["statement"].to_string()))
    }

    /// Make a change here, without telling the peer.
    pub async fn change(
        &self,
        group: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let statement = self.statement(group).await?;
        let url = format!("{}{path}", self.here.base());
        self.here
            .ask(method, &url, &[("X-Protector-Statement", &statement)], body)
            .await
    }

    /// Carry the document there, and the receipt back.
    pub async fn push(&self, group: &str) -> Result<()> {
        let path = format!("/protection-groups/{group}/metadata");
        let bundle = self.here.get(&path).await?;
        let receipt = self
            .there
            .call(Method::PUT, &path, Some(&json!({"bundle": bundle["bundle"]})))
            .await?
            .ok(200)?;
        let path = format!("/protection-groups/{group}/sync");
        self.here
            .call(Method::POST, &path, Some(&json!({"receipt": receipt["receipt"]})))
            .await?
            .ok(200)?;
        Ok(())
    }

    /// A change that has to be taken, told to the peer.
    pub async fn modify(
        &self,
        group: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
        status: u16,
    ) -> Result<Value> {
        let answer = self.change(group, method, path, body).await?.ok(status)?;
        self.push(group).await?;
        Ok(answer)
    }

    /// Look at something here until it is as it should be.
    pub async fn until(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let now = self.here.get(path).await?[what].clone();
            if wanted(&now) {
                return Ok(now);
            }
            if Instant::now() > end {
                bail!("{path} stays as it is: {now:#}");
            }
            sleep(INTERVAL).await;
        }
    }

    /// Start a failover and tell the peer of the intent.
    pub async fn failover(&self, group: &str, mappings: Value) -> Result<String> {
        let body = json!({"failover": {"type": "planned", "mappings": mappings}});
        let path = format!("/protection-groups/{group}/action");
        let answer = self.modify(group, Method::POST, &path, Some(&body), 202).await?;
        let id = answer["operation"]["id"].as_str();
        Ok(id.context("an operation without id")?.to_owned())
    }

    /// Watch an operation to its end and tell the peer of its outcome.
    pub async fn ended(&self, group: &str, operation: &str) -> Result<Value> {
        let ended = self
            .until(&format!("/operations/{operation}"), "operation", |now| {
                matches!(now["status"].as_str(), Some("completed" | "failed")) && !now["outcome"].is_null()
            })
            .await?;
        self.push(group).await?;
        Ok(ended)
    }

    /// Watch an operation to its end, and say this word as often as it waits for the operator.
    pub async fn ended_by(&self, operation: &str, word: &Value) -> Result<Value> {
        let end = Instant::now() + PATIENCE * 2;
        loop {
            let now = self.here.get(&format!("/operations/{operation}")).await?["operation"].clone();
            if !now["outcome"].is_null() {
                return Ok(now);
            }
            if now["waiting_for"] == "operator" {
                let path = format!("/operations/{operation}/action");
                // It may have gone on by itself meanwhile.
                self.here.call(Method::POST, &path, Some(word)).await?;
            }
            ensure!(Instant::now() < end, "it never ends: {now:#}");
            sleep(INTERVAL * 2).await;
        }
    }

    /// Order the deletion of a group here, and tell it there.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let path = format!("/protection-groups/{id}");
        let end = Instant::now() + PATIENCE;
        let answer = loop {
            let answer = self.change(id, Method::DELETE, &path, None).await?;
            // A change that is still being worked on comes first.
            if answer.status != 409 || Instant::now() > end {
                break answer.ok(202)?;
            }
            sleep(INTERVAL).await;
        };
        let tombstone = STANDARD.encode(answer["tombstone"].to_string());
        let url = format!("{}{path}", self.there.base());
        let header = [("X-Protector-Deleted", tombstone.as_str())];
        let told = self.there.ask(Method::DELETE, &url, &header, None).await?;
        ensure!(told.status.is_success(), "{told:?}");
        Ok(())
    }
}
