//! The journal as the driver needs it. The store implements it, with the lease and its fencing number
//! checked in the transaction of every write.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use protector_domain::SagaId;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Record};

/// A saga that is to be written down together with the change that calls for it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSaga {
    pub id: SagaId,
    /// Which workflow, e.g. `planned_failover`.
    pub kind: String,
    /// The workflow's version; a journal of another version is refused, never misread.
    pub version: u32,
    /// What it is about: the group's id. One subject has one live saga at a time.
    pub subject: String,
    /// As JSON. Of many servers that is long, so it stays text until somebody needs what it says.
    pub params: Arc<str>,
}

/// One engine process, by a name that no other process has or had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner(pub String);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The right to act for a saga: valid while the database agrees with owner and fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub saga: SagaId,
    pub owner: Owner,
    /// Rises with every change of owner; an older one is refused.
    pub fence: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SagaHeader {
    pub id: SagaId,
    pub kind: String,
    pub version: u32,
    pub subject: String,
    pub params: Arc<str>,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another engine owns the saga by now: stop acting for it.
    #[error("this engine no longer owns saga {0}")]
    Fenced(SagaId),
    #[error("the database can't be reached or refused the write")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the journal of saga {saga} can't be read: {reason}")]
    Corrupt { saga: SagaId, reason: String },
}

#[async_trait]
pub trait Journal: Send + Sync {
    /// What time it is, as well as that can be told without asking the database.
    fn guess_now(&self) -> DateTime<Utc> {
        Utc::now()
    }
    /// Takes up to `limit` unfinished sagas that have no live owner; their lease runs from the database's now.
    async fn claim(
        &self,
        owner: &Owner,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<(SagaHeader, Claim)>, JournalError>;
    /// Extends the lease of everything that `owner` still owns, and says what that is.
    async fn renew(&self, owner: &Owner, lease: Duration) -> Result<Vec<SagaId>, JournalError>;
    /// Gives everything of `owner` back at once, for a clean stop.
    async fn release(&self, owner: &Owner) -> Result<(), JournalError>;
    /// Whether the claim still holds; asked right before an effect.
    async fn check(&self, claim: &Claim) -> Result<(), JournalError>;
    /// Writes the events in one transaction, if the claim still holds. `Ended` also frees the subject.
    async fn append(&self, claim: &Claim, events: &[Event]) -> Result<Vec<Record>, JournalError>;
    /// The whole journal, in order.
    async fn events(&self, saga: SagaId) -> Result<Vec<Record>, JournalError>;
    /// What stands behind the line `seq`, in order.
    async fn events_after(&self, saga: SagaId, seq: i64) -> Result<Vec<Record>, JournalError> {
        let mut records = self.events(saga).await?;
        records.retain(|record| record.seq > seq);
        Ok(records)
    }
    /// Adds a request from outside the engine (cancel, operator's decision); needs no claim.
    async fn request(&self, saga: SagaId, event: Event) -> Result<(), JournalError>;
}
