//! Who is who in an order: members and disks by the names that stand in the steps.

use std::collections::HashMap;
use std::ops::Range;

use protector_domain::{FailoverOrder, MemberId};

use super::names::Disk;

pub(super) struct Roster {
    members: HashMap<String, usize>,
    /// For every disk of the plan its member, and its place among that one's volumes.
    disks: Vec<(usize, usize)>,
    /// For every member its disks.
    disks_of: HashMap<MemberId, Range<usize>>,
}

impl Roster {
    pub(super) fn of(order: &FailoverOrder) -> Self {
        let mut roster = Self {
            members: HashMap::with_capacity(order.members.len()),
            disks: Vec::new(),
            disks_of: HashMap::with_capacity(order.members.len()),
        };
        for (place, member) in order.members.iter().enumerate() {
            let first = roster.disks.len();
            roster
                .disks
                .extend((0..member.volumes.len()).map(|volume| (place, volume)));
            roster.disks_of.insert(member.id, first..roster.disks.len());
            roster.members.insert(member.id.to_string(), place);
        }
        roster
    }

    /// The place in the order of the member whose id this is.
    pub(super) fn member(&self, id: &str) -> Option<usize> {
        self.members.get(id).copied()
    }

    pub(super) fn disk<'a>(&self, order: &'a FailoverOrder, index: usize) -> Option<Disk<'a>> {
        let (member, volume) = *self.disks.get(index)?;
        let member = order.members.get(member)?;
        Some(Disk {
            index,
            member,
            volume: member.volumes.get(volume)?,
        })
    }

    /// The disks of one member, in the guest's order.
    pub(super) fn disks_of<'a>(
        &self,
        order: &'a FailoverOrder,
        member: MemberId,
    ) -> impl Iterator<Item = Disk<'a>> {
        let range = self.disks_of.get(&member).cloned().unwrap_or_default();
        range.filter_map(move |index| self.disk(order, index))
    }
}
