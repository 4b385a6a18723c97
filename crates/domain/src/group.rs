//! A protection group as one site knows it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::ids::{ConsistencyGroupId, GroupId, MemberId, ProjectId, SiteId, VolumeGroupId};
use crate::member::{MemberState, MemberStatus};
use crate::policy::PolicyStatus;
use crate::sync::SyncState;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicationType {
    Async,
    Sync,
}

impl ReplicationType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Sync => "sync",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupStatus {
    Creating,
    Active,
    FailingOver,
    FailedOver,
    FailedOverPartial,
    FailingBack,
    Deleting,
    Error,
}

impl GroupStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Active => "active",
            Self::FailingOver => "failing_over",
            Self::FailedOver => "failed_over",
            Self::FailedOverPartial => "failed_over_partial",
            Self::FailingBack => "failing_back",
            Self::Deleting => "deleting",
            Self::Error => "error",
        }
    }

    /// The one table of legal changes. Staying as it is is always legal: steps may be repeated.
    pub fn becomes(self, next: GroupStatus) -> Result<GroupStatus, IllegalTransition> {
        use GroupStatus::*;
        let legal = self == next
            || match self {
                Creating => matches!(next, Active | Error | Deleting),
                Active => matches!(next, FailingOver | Deleting | Error | FailedOver),
                FailingOver => matches!(next, FailedOver | FailedOverPartial | Active | Error),
                FailedOver => matches!(
                    next,
                    FailingOver | FailingBack | Deleting | Error | FailedOverPartial | Active
                ),
                FailedOverPartial => {
                    matches!(next, FailedOver | FailingBack | FailingOver | Deleting | Error)
                }
                FailingBack => matches!(next, Active | FailedOver | FailedOverPartial | Error),
                Error => matches!(
                    next,
                    Active | FailedOver | FailingOver | FailingBack | Deleting | Creating
                ),
                Deleting => matches!(next, Error),
            };
        if legal {
            Ok(next)
        } else {
            Err(IllegalTransition {
                from: self.as_str(),
                to: next.as_str(),
            })
        }
    }

    /// Whether an operation moves the group right now.
    pub fn is_in_transit(self) -> bool {
        matches!(
            self,
            Self::Creating | Self::FailingOver | Self::FailingBack | Self::Deleting
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a protection group that is '{from}' cannot become '{to}'")]
pub struct IllegalTransition {
    pub from: &'static str,
    pub to: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsistencyGroupStatus {
    Creating,
    Active,
    Error,
}

impl ConsistencyGroupStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Active => "active",
            Self::Error => "error",
        }
    }
}

/// The pair of Cinder groups that users can see, one on each site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyGroup {
    pub id: ConsistencyGroupId,
    pub status: ConsistencyGroupStatus,
    /// `backend@pool` of the volumes where the group runs, once a member is in.
    pub backend_name: Option<String>,
    pub volume_groups: BTreeMap<SiteId, VolumeGroupId>,
}

/// A group: the shared document, and beside it what this site alone knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub document: Document,
    pub status: GroupStatus,
    pub status_reason: Option<String>,
    pub member_states: BTreeMap<MemberId, MemberState>,
    pub consistency_group: ConsistencyGroup,
    pub policy_status: Option<PolicyStatus>,
    pub policy_reason: Option<String>,
    /// Whether the array group is our making, and so ours to take away.
    pub array_group_made: bool,
    pub sync: SyncState,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Rises with every write; a writer that read an older one is refused.
    pub revision: i64,
}

impl Group {
    pub fn id(&self) -> GroupId {
        self.document.group_id
    }

    /// The owner's project on this site.
    pub fn project(&self, site: SiteId) -> Option<&ProjectId> {
        self.document.projects.get(&site)
    }

    pub fn set_status(&mut self, next: GroupStatus, reason: Option<String>) -> Result<(), IllegalTransition> {
        self.status = self.status.becomes(next)?;
        self.status_reason = reason;
        Ok(())
    }

    pub fn set_member(
        &mut self,
        id: MemberId,
        status: MemberStatus,
        reason: Option<String>,
        since: DateTime<Utc>,
    ) {
        self.member_states.insert(
            id,
            MemberState {
                status,
                reason,
                since,
            },
        );
    }

    /// What this site knows of the member; one that it was only told of counts as not yet protected.
    pub fn member_status(&self, id: MemberId) -> MemberStatus {
        self.member_states
            .get(&id)
            .map_or(MemberStatus::Protecting, |state| state.status)
    }

    /// The status at rest that belongs to where the group runs.
    pub fn resting_status(&self) -> GroupStatus {
        if self.document.current_primary_site_id == self.document.primary_site.id {
            GroupStatus::Active
        } else {
            GroupStatus::FailedOver
        }
    }

    pub fn volume_count(&self) -> usize {
        self.document
            .members
            .iter()
            .map(|member| member.volumes.len())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::GroupStatus::*;

    #[test]
    fn a_group_in_transit_cannot_start_another_journey() {
        assert!(FailingOver.becomes(FailingBack).is_err());
        assert!(Deleting.becomes(Active).is_err());
        assert!(Creating.becomes(FailingOver).is_err());
        assert_eq!(Active.becomes(FailingOver), Ok(FailingOver));
        assert_eq!(FailingOver.becomes(Active), Ok(Active));
    }

    #[test]
    fn a_group_at_rest_can_be_taken_over_wherever_it_runs() {
        for rest in [Active, Error, FailedOver, FailedOverPartial] {
            assert_eq!(rest.becomes(FailingOver), Ok(FailingOver));
        }
    }
}
