//! One group as both sites begin with it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use protector_domain::*;
use uuid::Uuid;

/// The two sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    A,
    B,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::A, Side::B];

    pub fn id(self) -> SiteId {
        SiteId(Uuid::from_u128(0xA + self as u128))
    }

    pub fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

/// Nothing in the protocol depends on the time: the model's stands still.
pub fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

pub fn group_id(number: usize) -> GroupId {
    GroupId(Uuid::from_u128(number as u128 + 1))
}

fn site(side: Side) -> SiteRef {
    SiteRef {
        id: side.id(),
        name: format!("site-{side:?}").to_lowercase(),
    }
}

/// A group that runs on `site-a`, and that both sites know.
pub fn new(number: usize) -> Group {
    Group {
        document: Document {
            group_id: group_id(number),
            stamp: Stamp::FIRST,
            name: format!("group-{number}"),
            description: String::new(),
            replication_type: ReplicationType::Async,
            primary_site: site(Side::A),
            secondary_site: site(Side::B),
            current_primary_site_id: Side::A.id(),
            projects: BTreeMap::new(),
            volume_types: BTreeMap::new(),
            members: Vec::new(),
            mappings: Mappings::default(),
            policy: None,
            intents: Vec::new(),
            failover_count: 0,
            modified_at: now(),
        },
        status: GroupStatus::Active,
        status_reason: None,
        member_states: BTreeMap::new(),
        consistency_group: ConsistencyGroup {
            id: ConsistencyGroupId(Uuid::nil()),
            status: ConsistencyGroupStatus::Active,
            backend_name: None,
            volume_groups: BTreeMap::new(),
        },
        policy_status: None,
        policy_reason: None,
        array_group_made: false,
        sync: protocol::received(Stamp::FIRST, now()),
        created_at: now(),
        updated_at: now(),
        revision: 0,
    }
}
