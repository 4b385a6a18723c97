//! What arrays answer and are told.
//!
//! Arrays leave out what is null, and some fields came with later releases: whatever a caller can do without is
//! optional. Unknown fields are ignored.

use serde::{Deserialize, Serialize};

/// Another object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Reference {
    pub id: Option<String>,
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ArrayInfo {
    pub id: String,
    /// The prefix by which its peers know its objects.
    pub name: String,
    pub version: Option<String>,
}

/// A peer, as an array sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ArrayConnection {
    pub id: Option<String>,
    pub name: Option<String>,
    pub status: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

impl ArrayConnection {
    /// Whether snapshots get through. Synchronous connections carry asynchronous replication too.
    pub fn replicates(&self) -> bool {
        matches!(
            self.status.as_deref(),
            Some("connected" | "partially_connected" | "unbalanced")
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Volume {
    pub id: String,
    pub name: String,
    pub serial: Option<String>,
    /// Bytes.
    pub provisioned: Option<u64>,
    pub destroyed: Option<bool>,
    pub connection_count: Option<u64>,
    pub source: Option<Reference>,
}

impl Volume {
    pub fn is_destroyed(&self) -> bool {
        self.destroyed.unwrap_or(false)
    }
}

/// A host that is connected to a volume.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Connection {
    pub host: Option<Reference>,
    pub host_group: Option<Reference>,
    pub volume: Option<Reference>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Tag {
    pub namespace: Option<String>,
    pub key: String,
    pub value: Option<String>,
    pub resource: Option<Reference>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewTag {
    pub namespace: String,
    pub key: String,
    pub value: String,
    pub copyable: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Schedule {
    pub enabled: Option<bool>,
    /// Milliseconds.
    pub frequency: Option<u64>,
}

/// How long snapshots are kept: all for some time, then some of each day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    pub all_for_sec: Option<u64>,
    pub per_day: Option<u64>,
    pub days: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProtectionGroup {
    pub id: Option<String>,
    pub name: String,
    pub is_local: Option<bool>,
    pub source: Option<Reference>,
    pub destroyed: Option<bool>,
    pub retention_lock: Option<String>,
    pub replication_schedule: Option<Schedule>,
    pub source_retention: Option<Retention>,
    pub target_retention: Option<Retention>,
    pub host_count: Option<u64>,
    pub host_group_count: Option<u64>,
}

impl ProtectionGroup {
    pub fn is_destroyed(&self) -> bool {
        self.destroyed.unwrap_or(false)
    }

    /// Made on the array that was asked, and not replicated to it.
    pub fn is_local(&self) -> bool {
        self.is_local.unwrap_or_else(|| !self.name.contains(':'))
    }

    /// SafeMode: it can be made stricter only.
    pub fn is_ratcheted(&self) -> bool {
        self.retention_lock.as_deref() == Some("ratcheted")
    }

    pub fn is_scheduled(&self) -> bool {
        self.replication_schedule
            .as_ref()
            .and_then(|schedule| schedule.enabled)
            .unwrap_or(false)
    }

    /// Milliseconds.
    pub fn frequency(&self) -> Option<u64> {
        self.replication_schedule
            .as_ref()
            .and_then(|schedule| schedule.frequency)
    }
}

/// What of a group is to be different.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GroupPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destroyed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_schedule: Option<SchedulePatch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_retention: Option<Retention>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_retention: Option<Retention>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SchedulePatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GroupMember {
    pub group: Option<Reference>,
    pub member: Member,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Member {
    pub name: String,
    pub destroyed: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GroupTarget {
    pub group: Option<Reference>,
    pub member: Option<Reference>,
    pub allowed: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GroupSnapshot {
    pub name: String,
    pub suffix: Option<String>,
    /// Milliseconds since the epoch, on the array that took it.
    pub created: Option<u64>,
    pub destroyed: Option<bool>,
}

impl GroupSnapshot {
    pub fn is_destroyed(&self) -> bool {
        self.destroyed.unwrap_or(false)
    }
}

/// How far a snapshot has come on its way.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Transfer {
    pub name: String,
    pub started: Option<u64>,
    pub completed: Option<u64>,
    /// 0.0 to 1.0.
    pub progress: Option<f64>,
    pub data_transferred: Option<u64>,
    pub destroyed: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct VolumeSnapshot {
    pub name: String,
    pub created: Option<u64>,
    pub provisioned: Option<u64>,
    pub source: Option<Reference>,
    pub destroyed: Option<bool>,
}
