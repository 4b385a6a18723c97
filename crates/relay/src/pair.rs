//! The two sites of a group, and how a change of it reaches both.
//!
//! The other site is asked *before* anything is changed, and gets the new document right after. A client that dies
//! in between leaves the sites one version apart; whoever comes next meets a `pending` sync and carries it on.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::error::Result;
use crate::site::{DELETED, STATEMENT, Site, header_value};
use crate::types::Operation;

/// How often a modification is begun anew when somebody else was faster.
const ATTEMPTS: usize = 4;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Here,
    There,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Here => Self::There,
            Self::There => Self::Here,
        }
    }
}

/// Two sites that one tenant is signed in to.
#[derive(Debug)]
pub struct Pair {
    here: Site,
    there: Site,
}

/// One change, before it is known which site accepts it.
pub(crate) struct Change<'a> {
    pub method: Method,
    pub path: String,
    pub body: Option<&'a Value>,
}

impl Pair {
    #[must_use]
    pub fn new(here: Site, there: Site) -> Self {
        Self { here, there }
    }

    /// The site that is asked first.
    #[must_use]
    pub fn here(&self) -> &Site {
        &self.here
    }

    #[must_use]
    pub fn there(&self) -> &Site {
        &self.there
    }

    fn at(&self, side: Side) -> &Site {
        match side {
            Side::Here => &self.here,
            Side::There => &self.there,
        }
    }

    /// Make one change and carry it. Gives the answer, and the site that gave it.
    pub(crate) async fn modify(&self, group: &str, change: &Change<'_>) -> Result<(Value, &Site)> {
        let (answer, side) = self.change(group, change).await?;
        self.push(group, side).await?;
        Ok((answer, self.at(side)))
    }

    async fn change(&self, group: &str, change: &Change<'_>) -> Result<(Value, Side)> {
        let mut side = Side::Here;
        let mut attempt = 1;
        loop {
            let error = match self.attempt(group, change, side).await {
                Ok(answer) => return Ok((answer, side)),
                Err(error) => error,
            };
            if attempt == ATTEMPTS || error.status() != Some(409) {
                return Err(error);
            }
            let elsewhere = error
                .beside("current_primary_site_id")
                .is_some_and(|id| id == self.at(side.other()).identity().id);
            if elsewhere {
                side = side.other();
            } else if error.beside("sync_status").is_some() {
                self.push(group, side).await?;
            } else {
                return Err(error);
            }
            attempt += 1;
        }
    }

    async fn attempt(&self, group: &str, change: &Change<'_>, side: Side) -> Result<Value> {
        let (primary, peer) = (self.at(side), self.at(side.other()));
        let nonce = primary.nonce(group).await?;
        let statement = peer.statement(group, &nonce).await?;
        let headers = [(STATEMENT, statement.as_str())];
        primary
            .call_with(change.method.clone(), &change.path, &headers, change.body)
            .await
    }

    /// Carry the current document from one site to the other, and the receipt back.
    async fn push(&self, group: &str, from: Side) -> Result<()> {
        let (primary, peer) = (self.at(from), self.at(from.other()));
        let path = format!("/protection-groups/{group}/metadata");
        let sync = format!("/protection-groups/{group}/sync");
        let bundle: Value = primary.get(&path, "bundle").await?;
        let put = peer
            .call(Method::PUT, &path, Some(&json!({"bundle": bundle})))
            .await;
        let receipt: Value = match put {
            Ok(answer) => peer.read(&path, &answer, "receipt")?,
            Err(error) => {
                let reason: String = error.to_string().chars().take(1000).collect();
                let note = json!({"failed": {"reason": reason}});
                // The first failure is the one to tell; that it can't be recorded either is no news.
                let _ = primary.call(Method::POST, &sync, Some(&note)).await;
                return Err(error);
            }
        };
        primary
            .call(Method::POST, &sync, Some(&json!({"receipt": receipt})))
            .await?;
        Ok(())
    }

    /// Delete a group at the site where it runs, then at the other one.
    pub async fn delete_group(&self, group: &str) -> Result<()> {
        let path = format!("/protection-groups/{group}");
        let change = Change {
            method: Method::DELETE,
            path: path.clone(),
            body: None,
        };
        let (answer, side) = self.change(group, &change).await?;
        let tombstone: Value = self.at(side).read(&path, &answer, "tombstone")?;
        let header = header_value(&tombstone);
        let told = self
            .at(side.other())
            .call_with(Method::DELETE, &path, &[(DELETED, header.as_str())], None)
            .await;
        match told {
            Err(error) if error.status() != Some(404) => Err(error),
            _ => Ok(()),
        }
    }

    /// Start an operation such as `failover`: its intent is carried before this returns.
    pub async fn act(&self, group: &str, action: &str, options: &Value) -> Result<(Operation, &Site)> {
        let path = format!("/protection-groups/{group}/action");
        let body = json!({ action: options });
        let change = Change {
            method: Method::POST,
            path: path.clone(),
            body: Some(&body),
        };
        let (answer, site) = self.modify(group, &change).await?;
        Ok((site.read(&path, &answer, "operation")?, site))
    }

    /// Watch an operation to its end and carry its outcome. `seen` hears of every look at it.
    pub async fn follow(
        &self,
        operation: Operation,
        at: &Site,
        interval: Duration,
        seen: impl FnMut(&Operation),
    ) -> Result<Operation> {
        let operation = at.watch(operation, interval, seen).await?;
        let from = if std::ptr::eq(at, &self.here) {
            Side::Here
        } else {
            Side::There
        };
        self.push(&operation.protection_group_id, from).await?;
        Ok(operation)
    }
}
