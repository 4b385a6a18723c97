//! Things to store.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use protector_domain::*;
use protector_ports::{Clock, Store, SystemClock};
use protector_saga::{Claim, NewSaga, Owner};
use serde_json::json;
use uuid::Uuid;

pub fn now() -> DateTime<Utc> {
    SystemClock.now().trunc_subsecs(6)
}

pub fn site(id: SiteId, name: &str) -> Site {
    Site {
        id,
        name: name.to_owned(),
        description: "a cloud".to_owned(),
        site_type: SiteType::Primary,
        auth_url: "https://keystone.example/v3".to_owned(),
        region_name: Some("RegionOne".to_owned()),
        public_key: None,
        status: SiteStatus::Active,
        status_reason: None,
        created_at: now(),
        updated_at: now(),
    }
}

/// Registers this site and a peer.
pub async fn two_sites(store: &dyn Store) -> (SiteId, SiteId) {
    let (here, there) = (store.local_site_id().await.unwrap(), SiteId(Uuid::new_v4()));
    store.insert_site(&site(here, "site-a"), None).await.unwrap();
    store.insert_site(&site(there, "site-b"), None).await.unwrap();
    (here, there)
}

pub fn project(name: &str) -> ProjectId {
    ProjectId::new(name).unwrap()
}

pub fn member(name: &str) -> Member {
    let volume = |device: &str, boot| MemberVolume {
        volume_id: VolumeId::new(Uuid::new_v4().to_string()).unwrap(),
        array_name: format!("volume-{device}-cinder"),
        device: format!("/dev/{device}"),
        boot,
        size_gb: 20,
    };
    Member {
        id: MemberId(Uuid::new_v4()),
        instance_id: ServerId::new(Uuid::new_v4().to_string()).unwrap(),
        instance_name: name.to_owned(),
        left: Default::default(),
        volumes: vec![volume("vda", true), volume("vdb", false)],
    }
}

pub fn policy(here: SiteId, there: SiteId) -> Policy {
    Policy {
        id: PolicyId(Uuid::new_v4()),
        primary: ArraySide {
            site_id: here,
            url: "https://array-a.example".to_owned(),
            token_secret: None,
        },
        secondary: ArraySide {
            site_id: there,
            url: "https://array-b.example".to_owned(),
            token_secret: None,
        },
        pure_pg_name: "pg-web".to_owned(),
        replication_interval_seconds: Some(300),
        rpo_minutes: Some(15),
    }
}

pub fn group((here, there): (SiteId, SiteId), owner: &str, name: &str) -> Group {
    let members = vec![member("web-🦀"), member("db-1")];
    let states = BTreeMap::from([(
        members[0].id,
        MemberState {
            status: MemberStatus::Error,
            reason: Some("no such volume".to_owned()),
            since: now(),
        },
    )]);
    let volume_type = |name: &str| VolumeTypeRef {
        id: VolumeTypeId::new(Uuid::new_v4().to_string()).unwrap(),
        name: name.to_owned(),
    };
    let reference = |id, name: &str| SiteRef {
        id,
        name: name.to_owned(),
    };
    Group {
        document: Document {
            group_id: GroupId(Uuid::new_v4()),
            stamp: Stamp::FIRST,
            name: name.to_owned(),
            description: "shop".to_owned(),
            replication_type: ReplicationType::Async,
            primary_site: reference(here, "site-a"),
            secondary_site: reference(there, "site-b"),
            current_primary_site_id: here,
            projects: BTreeMap::from([(here, project(owner)), (there, project("elsewhere"))]),
            volume_types: BTreeMap::from([
                (here, volume_type("replicated")),
                (there, volume_type("replicated")),
            ]),
            members,
            mappings: Mappings {
                networks: BTreeMap::from([("net-a".to_owned(), "net-b".to_owned())]),
                ..Mappings::default()
            },
            policy: Some(policy(here, there)),
            intents: vec![Intent {
                operation_id: OperationId(Uuid::new_v4()),
                kind: OperationKind::Failover,
                reserved_epoch: 2,
                state: IntentState::Closed(Outcome::RolledBack),
                adopts: None,
            }],
            failover_count: 3,
            modified_at: now(),
        },
        status: GroupStatus::Active,
        status_reason: Some("as new".to_owned()),
        member_states: states,
        consistency_group: ConsistencyGroup {
            id: ConsistencyGroupId(Uuid::new_v4()),
            status: ConsistencyGroupStatus::Active,
            backend_name: Some("pure@pool".to_owned()),
            volume_groups: BTreeMap::from([(here, VolumeGroupId::new("cg-here").unwrap())]),
        },
        policy_status: Some(PolicyStatus::Active),
        policy_reason: None,
        array_group_made: false,
        sync: SyncState {
            status: SyncStatus::Pending,
            peer: Some(Stamp::FIRST),
            last_sync_at: Some(now()),
        },
        created_at: now(),
        updated_at: now(),
        revision: 0,
    }
}

pub fn saga(subject: GroupId) -> NewSaga {
    NewSaga {
        id: SagaId(Uuid::new_v4()),
        kind: "planned_failover".to_owned(),
        version: 3,
        subject: subject.to_string(),
        params: json!({"to": "site-b", "members": [1, 2]}).to_string().into(),
    }
}

pub fn operation(group: &Group, owner: &str) -> Operation {
    Operation {
        id: OperationId(Uuid::new_v4()),
        group_id: group.id(),
        project_id: project(owner),
        operation_type: OperationKind::Failover,
        status: OperationStatus::Pending,
        outcome: None,
        waiting_for: None,
        progress: 0,
        current_step: None,
        source_site_id: group.document.primary_site.id,
        target_site_id: group.document.secondary_site.id,
        created_at: now(),
        started_at: None,
        completed_at: None,
        error_message: None,
        steps_completed: vec![],
        steps_failed: vec![],
        steps: vec![],
        result_data: json!({}),
    }
}

pub fn engine(name: &str) -> Owner {
    Owner(name.to_owned())
}

/// The claim of the only saga.
pub async fn claim(store: &dyn Store, owner: &str, lease: std::time::Duration) -> Option<Claim> {
    store
        .claim(&engine(owner), lease, 10)
        .await
        .unwrap()
        .pop()
        .map(|(_, claim)| claim)
}
