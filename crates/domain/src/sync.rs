//! What two sites say to each other through a client: nonce, statement, receipt.
//!
//! A modification begins with the primary's nonce. The peer answers it with a *statement* of what it holds;
//! with a fresh one that agrees the primary commits the next version, and the peer's *receipt* for that
//! version ends the modification. Clients relay all three and need not be honest.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::bundle::Checksum;
use crate::document::{Intent, Stamp};
use crate::ids::{GroupId, ProjectId, SiteId};
use crate::lost::LostEdit;

/// A number used once, which makes a statement an answer to this primary and to this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nonce {
    pub value: String,
    pub group_id: GroupId,
    pub site_id: SiteId,
    pub expires_at: DateTime<Utc>,
}

impl Nonce {
    /// How long a peer's answer counts as fresh.
    pub const LIFETIME: TimeDelta = TimeDelta::seconds(60);
}

/// What the peer holds of a group, as an answer to a nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub nonce: String,
    pub group_id: GroupId,
    pub site_id: SiteId,
    /// False for a group that the peer doesn't have (yet).
    pub exists: bool,
    pub stamp: Option<Stamp>,
    pub open_intent: Option<Intent>,
    pub stated_at: DateTime<Utc>,
    /// By the site's key.
    pub signature: Option<String>,
}

/// The peer's word that it stores a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub group_id: GroupId,
    pub site_id: SiteId,
    pub stamp: Stamp,
    pub checksum: Checksum,
    /// The trust by which this site's peer may act for the tenant on the site that gives the receipt.
    pub trust_id: Option<String>,
    pub received_at: DateTime<Utc>,
    /// By the site's key.
    pub signature: Option<String>,
}

/// The primary's word that a group is to go, for the peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    pub group_id: GroupId,
    #[serde(flatten)]
    pub stamp: Stamp,
    pub origin_site_id: SiteId,
    /// By the origin's key.
    pub signature: Option<String>,
}

/// What a site keeps of a group that it held, so that it stays deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grave {
    pub group_id: GroupId,
    /// The owner's on this site.
    pub project_id: ProjectId,
    /// Where the group ran.
    pub primary_site_id: SiteId,
    pub stamp: Stamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncStatus {
    /// Committed here, the peer's receipt hasn't come yet.
    Pending,
    Synced,
    /// A push was tried and failed.
    Failed,
}

impl SyncStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Synced => "synced",
            Self::Failed => "failed",
        }
    }
}

/// What this site knows about the other's copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncState {
    pub status: SyncStatus,
    pub peer: Option<Stamp>,
    pub last_sync_at: Option<DateTime<Utc>>,
}

/// The other site took the group over; a version that never crossed isn't valid any more.
pub const SUPERSEDED: &str = "superseded";
/// What such a version changed was changed again.
pub const REAPPLIED: &str = "reapplied";

/// One line of a group's sync history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncEntry {
    pub group_id: GroupId,
    pub at: DateTime<Utc>,
    /// `committed`, `imported`, `receipt`, `refused`, `begun`, `fenced`, [`SUPERSEDED`], [`REAPPLIED`].
    pub event: String,
    pub stamp: Option<Stamp>,
    pub message: String,
    /// Of a version that was superseded: what was in it.
    pub lost: Option<LostEdit>,
}
