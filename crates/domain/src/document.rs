//! The versioned part of a group: the one document that both sites must hold alike.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::group::ReplicationType;
use crate::ids::{GroupId, MemberId, OperationId, ProjectId, SiteId, VolumeTypeId};
use crate::mapping::Mappings;
use crate::member::Member;
use crate::operation::{OperationKind, Outcome};
use crate::policy::Policy;

/// Where a document stands in the order of all documents of its group: a takeover outranks any edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Rises by one with every change of the current primary.
    pub epoch: u64,
    /// Rises by one with every modification.
    pub version: u64,
}

impl Stamp {
    pub const FIRST: Stamp = Stamp { epoch: 1, version: 1 };

    /// The stamp of a modification.
    pub fn modified(self) -> Stamp {
        Stamp {
            version: self.version + 1,
            ..self
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteRef {
    pub id: SiteId,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeTypeRef {
    pub id: VolumeTypeId,
    pub name: String,
}

/// An operation that was announced to both sites before it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub operation_id: OperationId,
    pub kind: OperationKind,
    /// The epoch that the operation brings about if it completes.
    pub reserved_epoch: u64,
    pub state: IntentState,
    /// The operation of the site that was lost whose work this one has carried on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopts: Option<OperationId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "outcome")]
pub enum IntentState {
    Open,
    Closed(Outcome),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub group_id: GroupId,
    #[serde(flatten)]
    pub stamp: Stamp,
    pub name: String,
    pub description: String,
    pub replication_type: ReplicationType,
    pub primary_site: SiteRef,
    pub secondary_site: SiteRef,
    /// Where the group runs.
    pub current_primary_site_id: SiteId,
    /// The project that owns the group, on each site.
    pub projects: BTreeMap<SiteId, ProjectId>,
    /// The replicated volume type, on each site.
    pub volume_types: BTreeMap<SiteId, VolumeTypeRef>,
    pub members: Vec<Member>,
    pub mappings: Mappings,
    pub policy: Option<Policy>,
    /// The latest intents, newest last; at most one of them is open.
    pub intents: Vec<Intent>,
    pub failover_count: u64,
    pub modified_at: DateTime<Utc>,
}

impl Document {
    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    pub fn open_intent(&self) -> Option<&Intent> {
        self.intents
            .iter()
            .find(|intent| intent.state == IntentState::Open)
    }

    pub fn site(&self, id: SiteId) -> Option<&SiteRef> {
        [&self.primary_site, &self.secondary_site]
            .into_iter()
            .find(|site| site.id == id)
    }

    /// The other one of the two sites.
    pub fn peer_of(&self, id: SiteId) -> &SiteRef {
        if self.primary_site.id == id {
            &self.secondary_site
        } else {
            &self.primary_site
        }
    }

    pub fn current_primary(&self) -> &SiteRef {
        self.site(self.current_primary_site_id)
            .unwrap_or(&self.primary_site)
    }

    /// Notes a modification: one version on, at this time.
    pub fn touch(&mut self, now: DateTime<Utc>) {
        self.stamp = self.stamp.modified();
        self.modified_at = now;
    }

    /// Announces an operation; the last few stay as history.
    pub fn open(&mut self, intent: Intent) {
        const KEPT: usize = 8;
        self.intents.push(intent);
        if self.intents.len() > KEPT {
            self.intents.drain(..self.intents.len() - KEPT);
        }
    }

    /// Records how an announced operation ended. Recording it again changes nothing.
    pub fn close(&mut self, operation: OperationId, outcome: Outcome) {
        for intent in self
            .intents
            .iter_mut()
            .filter(|intent| intent.operation_id == operation)
        {
            intent.state = IntentState::Closed(outcome);
        }
    }
}
