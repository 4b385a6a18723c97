//! The parts of the API's documents that this client looks at. Fields that may be absent are defaults.

use serde::Deserialize;
use serde_json::Value;

/// Who a site is, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Identity {
    pub id: String,
    #[serde(default)]
    pub public_key: Option<String>,
    #[serde(default)]
    pub region_name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Group {
    pub id: String,
    pub name: String,
    pub status: String,
    #[serde(default)]
    pub status_reason: Option<String>,
    #[serde(default)]
    pub current_primary_site_id: Option<String>,
    #[serde(default)]
    pub current_primary_site: Option<String>,
    #[serde(default)]
    pub member_count: u64,
    #[serde(default)]
    pub failover_count: u64,
    #[serde(default)]
    pub consistency_group_id: Option<String>,
    #[serde(default)]
    pub epoch: u64,
    #[serde(default)]
    pub version: u64,
    #[serde(default)]
    pub sync_status: Option<String>,
    /// When the site that answers last read what the servers look like.
    #[serde(default)]
    pub facts_read_at: Option<String>,
    /// Whether it has that of all servers, as they are now.
    #[serde(default)]
    pub facts_complete: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Policy {
    pub status: String,
    #[serde(default)]
    pub error_message: Option<String>,
    #[serde(default)]
    pub pure_pg_name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Member {
    pub id: String,
    pub instance_id: String,
    pub instance_name: String,
    pub status: String,
    #[serde(default)]
    pub error_message: Option<String>,
    #[serde(default)]
    pub volumes: Vec<MemberVolume>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct MemberVolume {
    pub volume_id: String,
    #[serde(default)]
    pub device: Option<String>,
    #[serde(default)]
    pub boot: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Operation {
    pub id: String,
    pub protection_group_id: String,
    pub operation_type: String,
    pub status: String,
    #[serde(default)]
    pub outcome: Option<String>,
    #[serde(default)]
    pub waiting_for: Option<String>,
    #[serde(default)]
    pub progress: u64,
    #[serde(default)]
    pub current_step: Option<String>,
    #[serde(default)]
    pub created_at: Option<String>,
    #[serde(default)]
    pub error_message: Option<String>,
    #[serde(default)]
    pub steps: Vec<StepView>,
    #[serde(default)]
    pub result_data: Value,
}

impl Operation {
    /// Nothing moves any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed")
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct StepView {
    pub name: String,
    #[serde(default)]
    pub phase: Option<String>,
    pub state: String,
    #[serde(default)]
    pub attempts: u64,
    #[serde(default)]
    pub error: Option<Value>,
    /// RFC 3339.
    #[serde(default)]
    pub started_at: Option<String>,
    #[serde(default)]
    pub completed_at: Option<String>,
}
