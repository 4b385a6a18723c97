//! Work orders: what a use case asks the engine to do. The journal keeps them as the saga's parameters, so
//! a change of shape is a change of version.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{GroupId, MemberId, OperationId, SiteId};
use crate::mapping::Mappings;
use crate::member::Member;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "params", rename_all = "snake_case")]
pub enum Work {
    /// Make this site's Cinder group and find the other site's.
    EstablishGroup { group: GroupId },
    /// Take everything of the group away but the servers.
    DissolveGroup { group: GroupId },
    /// Bind the array group and put the members' volumes into it.
    BindArrays { group: GroupId },
    /// Put a member's volumes into the groups.
    AddMember { group: GroupId, member: Member },
    /// Take a member's volumes out of the groups.
    RemoveMember { group: GroupId, member: Member },
    /// Both sites are up, and nothing may be lost.
    PlannedFailover(FailoverOrder),
    /// The other site is dead, and is not asked.
    UnplannedFailover(FailoverOrder),
}

/// Everything that shapes the plan of a failover; what the clouds look like is found out by its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailoverOrder {
    pub operation: OperationId,
    pub group: GroupId,
    pub source: SiteId,
    pub target: SiteId,
    pub members: Vec<Member>,
    pub array_group: String,
    pub replication_interval_seconds: u64,
    /// The group's own mappings with those of the call laid over them.
    pub mappings: Mappings,
    /// The epoch that begins with the new primary.
    pub epoch: u64,
    /// The lost site's operation that has begun, or even ended, the same move: what it made is used, not made twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopts: Option<OperationId>,
}

impl FailoverOrder {
    /// The operation whose marks everything bears that is made. Those of an adopted one: then the names that are unique
    /// on array and cloud keep both from making the same thing, whichever comes first.
    pub fn maker(&self) -> OperationId {
        self.adopts.unwrap_or(self.operation)
    }
}

impl Work {
    pub fn group(&self) -> GroupId {
        match self {
            Self::EstablishGroup { group }
            | Self::DissolveGroup { group }
            | Self::BindArrays { group }
            | Self::AddMember { group, .. }
            | Self::RemoveMember { group, .. } => *group,
            Self::PlannedFailover(order) | Self::UnplannedFailover(order) => order.group,
        }
    }

    /// The workflow's name and version, and its parameters as JSON, as the journal keeps them.
    pub fn into_parts(self) -> Result<(String, u32, String), serde_json::Error> {
        let value = serde_json::to_value(self)?;
        let kind = value["kind"].as_str().unwrap_or_default().to_owned();
        let version = version_of(&kind);
        Ok((kind, version, value["params"].to_string()))
    }

    /// The order in a journal, if this release knows that workflow in that version.
    pub fn from_parts(kind: &str, version: u32, params: &str) -> Result<Work, String> {
        let known = version_of(kind);
        if version != known {
            return Err(format!(
                "workflow '{kind}' version {version} is not known to this release (it knows version {known}): go on with the release that began it, or give the operation up with `openstack protector operation resolve ID --decision abandon`"
            ));
        }
        // As text, and the kind first: so the parameters are read as they are met, not kept as a tree before.
        let text = format!(r#"{{"kind":{},"params":{params}}}"#, Value::from(kind));
        serde_json::from_str(&text)
            .map_err(|error| format!("workflow '{kind}' version {version} can't be read: {error}"))
    }

    pub fn member_id(&self) -> Option<MemberId> {
        match self {
            Self::AddMember { member, .. } | Self::RemoveMember { member, .. } => Some(member.id),
            _ => None,
        }
    }
}

/// The version of a workflow's plan. It rises with every change of the steps or of what they record, because a journal
/// is read by the plan that wrote it.
fn version_of(kind: &str) -> u32 {
    match kind {
        "bind_arrays" | "planned_failover" | "unplanned_failover" => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_order_survives_the_journal() {
        let work = Work::BindArrays {
            group: GroupId(uuid::Uuid::nil()),
        };
        let (kind, version, params) = work.clone().into_parts().unwrap();
        assert_eq!(kind, "bind_arrays");
        assert_eq!(Work::from_parts(&kind, version, &params), Ok(work));
        assert!(
            Work::from_parts("bind_arrays", 9, &params)
                .unwrap_err()
                .contains("version 9")
        );
    }
}
