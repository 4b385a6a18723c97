//! A protected server and its volumes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{MemberId, ServerId, SiteId, VolumeId};

/// One disk of a member, in the order in which the guest sees its disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberVolume {
    pub volume_id: VolumeId,
    /// The volume's name on the array of the site where the group runs now.
    pub array_name: String,
    /// As Nova shows it, e.g. `/dev/vda`.
    pub device: String,
    pub boot: bool,
    pub size_gb: u64,
}

/// The versioned part of a member: what both sites must agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub id: MemberId,
    /// The server on the site where the group runs now.
    pub instance_id: ServerId,
    pub instance_name: String,
    pub volumes: Vec<MemberVolume>,
    /// What failovers left at the sites that the member is not on now.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left: BTreeMap<SiteId, Left>,
}

/// A server that a failover left behind, stopped and locked, until a way back replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub instance_id: ServerId,
    pub volumes: Vec<MemberVolume>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberStatus {
    /// Its volumes are being put into the groups.
    Protecting,
    /// In the Cinder group and, where the group has a policy, in the array's group.
    Protected,
    Error,
    /// Its volumes are being taken out of the groups.
    Removing,
}

impl MemberStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Protecting => "protecting",
            Self::Protected => "protected",
            Self::Error => "error",
            Self::Removing => "removing",
        }
    }
}

/// What this site knows of a member; never carried across as truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberState {
    pub status: MemberStatus,
    pub reason: Option<String>,
    pub since: DateTime<Utc>,
}
