//! What an operation would find, told before anything is changed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::MemberId;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The operation would fail, or go on without the member.
    Blocker,
    /// It would go on, and somebody should know.
    Warning,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocker => "blocker",
            Self::Warning => "warning",
        }
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    Group,
    /// A whole cloud or array that can't be asked.
    Site,
    Trust,
    Server,
    Disks,
    Arrays,
    Snapshot,
    VolumeType,
    VolumeService,
    Quota,
    Flavor,
    Network,
    Address,
    SecurityGroup,
    Keypair,
}

impl Check {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Site => "site",
            Self::Trust => "trust",
            Self::Server => "server",
            Self::Disks => "disks",
            Self::Arrays => "arrays",
            Self::Snapshot => "snapshot",
            Self::VolumeType => "volume_type",
            Self::VolumeService => "volume_service",
            Self::Quota => "quota",
            Self::Flavor => "flavor",
            Self::Network => "network",
            Self::Address => "address",
            Self::SecurityGroup => "security_group",
            Self::Keypair => "keypair",
        }
    }
}

/// One thing that stands in the way: what is so and why, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub severity: Severity,
    pub check: Check,
    /// Whom it holds up; everybody where it is empty.
    pub member: Option<(MemberId, String)>,
    pub message: String,
    pub remedy: String,
}

impl Finding {
    pub fn blocker(check: Check, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            severity: Severity::Blocker,
            check,
            member: None,
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    pub fn warning(check: Check, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::blocker(check, message, remedy)
        }
    }

    #[must_use]
    pub fn of(self, id: MemberId, name: &str) -> Self {
        Self {
            member: Some((id, name.to_owned())),
            ..self
        }
    }

    /// Reason and remedy as one text.
    pub fn told(&self) -> String {
        match self.remedy.is_empty() {
            true => self.message.clone(),
            false => format!("{} {}", self.message, self.remedy),
        }
    }
}

/// Everything that was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Preflight {
    pub findings: Vec<Finding>,
    /// What an unplanned failover would bring up: the snapshot, and when the other array took it.
    pub snapshot: Option<(String, DateTime<Utc>)>,
    /// When what the servers look like was last read, where it is recalled.
    pub facts_read_at: Option<DateTime<Utc>>,
}

impl Preflight {
    /// Whether everybody would be brought over.
    pub fn is_ready(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity == Severity::Warning)
    }
}
