//! Disaster-recovery operations as users see them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{GroupId, OperationId, ProjectId, SiteId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    Failover,
    Failback,
    TestFailover,
    TestCleanup,
    SyncVolumes,
}

impl OperationKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Failback => "failback",
            Self::TestFailover => "test_failover",
            Self::TestCleanup => "test_cleanup",
            Self::SyncVolumes => "sync_volumes",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationStatus {
    Pending,
    Running,
    Completed,
    Failed,
    RollingBack,
}

impl OperationStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::RollingBack => "rolling_back",
        }
    }

    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// How an operation ended, where the five documented status words can't say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Completed,
    RolledBack,
    Partial,
    Abandoned,
    Cancelled,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::RolledBack => "rolled_back",
            Self::Partial => "partial",
            Self::Abandoned => "abandoned",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The four documented phases, each with its range of the progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Prepare,
    StorageFailover,
    InstanceRecreation,
    Finalization,
}

impl Phase {
    pub const ALL: [Phase; 4] = [
        Self::Prepare,
        Self::StorageFailover,
        Self::InstanceRecreation,
        Self::Finalization,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::StorageFailover => "storage_failover",
            Self::InstanceRecreation => "instance_recreation",
            Self::Finalization => "finalization",
        }
    }

    /// First and last per cent of the phase.
    pub fn range(self) -> (u8, u8) {
        match self {
            Self::Prepare => (0, 20),
            Self::StorageFailover => (20, 60),
            Self::InstanceRecreation => (60, 90),
            Self::Finalization => (90, 100),
        }
    }

    /// The progress when `done` of the phase's `all` steps are done, all earlier phases being over.
    pub fn progress(self, done: usize, all: usize) -> u8 {
        let (from, to) = self.range();
        if all == 0 {
            return to;
        }
        let part = usize::from(to - from) * done.min(all) / all;
        from.saturating_add(u8::try_from(part).unwrap_or(0))
    }
}

/// One step, with its own times and its own error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    pub name: String,
    pub phase: Phase,
    /// `waiting`, `running`, `done`, `failed`, `undoing`, `undone`, `undo_failed`.
    pub state: String,
    pub attempts: u32,
    pub started_at: Option<DateTime<Utc>>,
    pub completed_at: Option<DateTime<Utc>>,
    pub error: Option<StepError>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepError {
    pub class: String,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    pub id: OperationId,
    pub group_id: GroupId,
    pub project_id: ProjectId,
    pub operation_type: OperationKind,
    pub status: OperationStatus,
    pub outcome: Option<Outcome>,
    pub waiting_for: Option<String>,
    pub progress: u8,
    pub current_step: Option<String>,
    /// The site that the workload leaves.
    pub source_site_id: SiteId,
    pub target_site_id: SiteId,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub completed_at: Option<DateTime<Utc>>,
    /// The first fatal error.
    pub error_message: Option<String>,
    pub steps_completed: Vec<Phase>,
    pub steps_failed: Vec<Phase>,
    pub steps: Vec<StepReport>,
    pub result_data: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_stays_in_the_documented_range_of_its_phase() {
        for phase in Phase::ALL {
            let (from, to) = phase.range();
            let mut last = from;
            for done in 0..=7 {
                let now = phase.progress(done, 7);
                assert!((from..=to).contains(&now) && now >= last);
                last = now;
            }
            assert_eq!(last, to);
        }
    }
}
