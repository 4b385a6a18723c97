//! The plans as they are, word for word. A journal is read by the plan that wrote it: whoever changes the steps of one of
//! these, or their order, raises its version (`protector_domain::Work`), and the journals of the release before are refused
//! with a message, never misread. How long and how often a step is tried is in no journal, and may change.

use std::fmt::Write;

use protector_domain::{
    FailoverOrder, GroupId, Mappings, Member, MemberId, MemberVolume, OperationId, ServerId, SiteId,
    VolumeId, Work,
};
use protector_saga::Dag;
use uuid::Uuid;

use crate::failover::plans;
use crate::{Options, arrays, dissolve, establish, members};

fn member(number: u128, disks: u128) -> Member {
    let id = |kind: u128| Uuid::from_u128(kind * 1_000 + number * 10);
    let volume = |disk: u128| MemberVolume {
        volume_id: VolumeId::new(Uuid::from_u128(2_000 + number * 10 + disk).to_string()).unwrap(),
        array_name: format!("volume-{number}-{disk}"),
        device: "/dev/vda".to_owned(),
        boot: disk == 0,
        size_gb: 1,
    };
    Member {
        id: MemberId(id(1)),
        instance_id: ServerId::new(id(3).to_string()).unwrap(),
        instance_name: format!("vm-{number}"),
        left: Default::default(),
        volumes: (0..disks).map(volume).collect(),
    }
}

fn order() -> FailoverOrder {
    FailoverOrder {
        operation: OperationId(Uuid::from_u128(1)),
        group: GroupId(Uuid::from_u128(2)),
        source: SiteId(Uuid::from_u128(3)),
        target: SiteId(Uuid::from_u128(4)),
        members: vec![member(1, 2), member(2, 1)],
        array_group: "pg".to_owned(),
        replication_interval_seconds: 300,
        mappings: Mappings::default(),
        epoch: 2,
        adopts: None,
    }
}

/// One line a step: what it is, what it waits for, how long and how often it is tried.
fn told(dag: &Dag) -> String {
    let mut text = String::new();
    for node in dag.nodes() {
        let lane = node
            .lane
            .map_or_else(String::new, |(lane, limit)| format!(" in {lane} ({limit})"));
        let back = node
            .undone_after
            .as_ref()
            .map_or_else(String::new, |steps| format!(" undone after {}", steps.join(", ")));
        writeln!(
            text,
            "{:?} {} [{}]{lane} within {:?}, {} tries{back}\n    after {}",
            node.kind,
            node.name,
            node.label,
            node.timeout,
            node.retry.max_attempts,
            node.after.join(", ")
        )
        .unwrap();
    }
    text
}

#[test]
fn the_plans_are_those_of_their_versions() {
    let (group, options) = (order().group, Options::default());
    let all = [
        (Work::EstablishGroup { group }, establish::Establish::plan()),
        (Work::DissolveGroup { group }, dissolve::Dissolve::plan()),
        (Work::BindArrays { group }, arrays::BindArrays::plan()),
        (
            Work::AddMember {
                group,
                member: member(1, 1),
            },
            members::AddMember::plan(),
        ),
        (
            Work::RemoveMember {
                group,
                member: member(1, 1),
            },
            members::RemoveMember::plan(),
        ),
        (Work::PlannedFailover(order()), plans::planned(&options, &order())),
        (
            Work::UnplannedFailover(order()),
            plans::unplanned(&options, &order()),
        ),
    ];
    insta::with_settings!({snapshot_path => "golden", prepend_module_to_snapshot => false, omit_expression => true}, {
        for (work, dag) in all {
            let (kind, version, _) = work.into_parts().unwrap();
            insta::assert_snapshot!(format!("{kind}.v{version}"), told(&dag.unwrap()));
        }
    });
}
