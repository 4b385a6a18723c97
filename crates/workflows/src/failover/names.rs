//! The names and marks by which everything that a failover makes is found again, without any memory.

use protector_domain::{FailoverOrder, Member, MemberVolume, OperationId};
use protector_ports::array::Mark;

/// One disk of the group, with its place in the plan.
#[derive(Clone, Copy)]
pub(super) struct Disk<'a> {
    pub(super) index: usize,
    pub(super) member: &'a Member,
    pub(super) volume: &'a MemberVolume,
}

/// All disks in the order of the plan.
pub(super) fn disks(order: &FailoverOrder) -> impl Iterator<Item = Disk<'_>> {
    order
        .members
        .iter()
        .flat_map(|member| member.volumes.iter().map(move |volume| (member, volume)))
        .enumerate()
        .map(|(index, (member, volume))| Disk {
            index,
            member,
            volume,
        })
}

/// The suffix of the last group snapshot.
pub(super) fn suffix(order: &FailoverOrder) -> String {
    format!("dr-{}", order.maker().short())
}

/// What the first names of an operation's clones begin with, and those of its transfers.
pub(super) fn name_prefix(maker: OperationId) -> String {
    format!("dr-{}-", maker.short())
}

/// The first name of a clone, before Cinder gives it its own.
pub(super) fn clone_name(order: &FailoverOrder, disk: Disk<'_>) -> String {
    let volume: String = disk
        .volume
        .volume_id
        .as_str()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    format!("{}{}-{volume}", name_prefix(order.maker()), disk.index)
}

pub(super) fn mark(order: &FailoverOrder, disk: Disk<'_>) -> Mark {
    Mark {
        operation: order.maker().to_string(),
        member: disk.member.id.to_string(),
        volume: disk.volume.volume_id.to_string(),
    }
}

/// What the description of everything that an operation makes begins with.
pub(super) fn operation_mark(order: &FailoverOrder) -> String {
    format!("dr_operation_id={} ", order.maker())
}

/// The same, for one member.
pub(super) fn member_mark(order: &FailoverOrder, member: &Member) -> String {
    format!("{}dr_member_id={} ", operation_mark(order), member.id)
}

/// What the description of an imported volume says.
pub(super) fn volume_description(order: &FailoverOrder, disk: Disk<'_>) -> String {
    format!("{}dr_volume={}", member_mark(order, disk.member), disk.index)
}

/// What the names of an operation's transfers begin with.
pub(super) fn transfer_prefix(order: &FailoverOrder) -> String {
    name_prefix(order.maker())
}

/// What the description of a port says.
pub(super) fn port_description(order: &FailoverOrder, member: &Member, index: usize) -> String {
    format!("{}dr_port={index}", member_mark(order, member))
}

/// The keys in a server's metadata.
pub(super) const OPERATION_KEY: &str = "dr_operation_id";
pub(super) const MEMBER_KEY: &str = "dr_member_id";
pub(crate) const GROUP_KEY: &str = "dr_group_id";
/// In which epoch it is the group's server.
pub(crate) const EPOCH_KEY: &str = "dr_epoch";

/// The names of the steps.
pub(super) mod step {
    use super::{Disk, Member};

    pub(crate) const RECEIPT: &str = "await-receipt";
    pub(crate) const ADOPT: &str = "adopt-operation";
    pub(crate) const INSPECT: &str = "inspect";
    pub(crate) const PREFLIGHT: &str = "preflight";
    pub(crate) const SNAPSHOT: &str = "final-snapshot";
    pub(crate) const FENCE: &str = "fence-replication";
    pub(crate) const CHOICE: &str = "choose-snapshot";
    pub(crate) const VOLUME_GROUP: &str = "join-consistency-group";
    pub(crate) const KEYPAIRS: &str = "create-keypairs";
    pub(crate) const COMMIT: &str = "commit";
    pub(crate) const REVERSE: &str = "reverse-replication";

    pub(crate) fn inspect(member: &Member) -> String {
        format!("inspect-server/{}", member.id)
    }
    pub(crate) fn stop(member: &Member) -> String {
        format!("stop-server/{}", member.id)
    }
    pub(crate) fn clone(disk: Disk<'_>) -> String {
        format!("clone-volume/{}", disk.index)
    }
    pub(crate) fn import(disk: Disk<'_>) -> String {
        format!("import-volume/{}", disk.index)
    }
    pub(crate) fn hand_over(disk: Disk<'_>) -> String {
        format!("hand-over-volume/{}", disk.index)
    }
    pub(crate) fn replace(member: &Member) -> String {
        format!("replace-old-server/{}", member.id)
    }
    pub(crate) fn ports(member: &Member) -> String {
        format!("create-ports/{}", member.id)
    }
    pub(crate) fn boot(member: &Member) -> String {
        format!("boot-server/{}", member.id)
    }
    pub(crate) fn give_up(member: &Member) -> String {
        format!("give-up/{}", member.id)
    }
    pub(crate) fn lock(member: &Member) -> String {
        format!("lock-old-server/{}", member.id)
    }
}
