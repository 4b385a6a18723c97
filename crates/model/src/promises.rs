//! What must hold in every history.

use protector_domain::SyncStatus;
use stateright::Property;

use crate::group::Side;
use crate::history::{Protocol, Step};
use crate::world::{Said, World, pack};

pub fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(
            "a group runs on one site, unless somebody forced it onto the other one",
            |_, world: &World| {
                (0..world.copies.len())
                    .all(|group| world.forced.contains(&group) || primaries(world, group) <= 1)
            },
        ),
        Property::always(
            "no two documents have the same epoch and version",
            |_, world: &World| !world.forked,
        ),
        Property::always("two primaries are of different epochs", |_, world: &World| {
            (0..world.copies.len()).all(|group| {
                let [a, b] = Side::BOTH.map(|side| world.copy(group, side).group.document.stamp.epoch);
                primaries(world, group) <= 1 || a != b
            })
        }),
        Property::always("sites that meet agree", |_, world: &World| {
            let met = met(world);
            (0..met.copies.len()).all(|group| {
                let [a, b] = Side::BOTH.map(|side| &met.copy(group, side).group);
                a.document == b.document
                    && a.sync.status == SyncStatus::Synced
                    && b.sync.status == SyncStatus::Synced
            })
        }),
        Property::always("what both sites had is never lost", |_, world: &World| {
            let met = met(world);
            world.confirmed.iter().all(|(group, mark)| {
                let [a, b] = Side::BOTH.map(|side| &met.copy(*group, side).group.document.description);
                a.contains(*mark) && b.contains(*mark)
            })
        }),
        Property::sometimes(
            "a forced takeover has two primaries for a while",
            |protocol: &Protocol, world: &World| {
                protocol.takeovers == 0 || (0..world.copies.len()).any(|group| primaries(world, group) == 2)
            },
        ),
        Property::sometimes(
            "a planned failover moves the group",
            |protocol: &Protocol, world: &World| {
                protocol.plans == 0
                    || world.forced.is_empty()
                        && Side::BOTH.iter().all(|side| {
                            world.copy(0, *side).group.document.current_primary_site_id == Side::B.id()
                        })
            },
        ),
        Property::sometimes(
            "all changes are made, and both sites have them",
            |protocol: &Protocol, world: &World| {
                world.edits == protocol.edits && world.confirmed.len() == usize::from(protocol.edits)
            },
        ),
    ]
}

/// How many sites take the group for theirs.
fn primaries(world: &World, group: usize) -> usize {
    Side::BOTH
        .iter()
        .filter(|side| world.copy(group, **side).group.document.current_primary_site_id == side.id())
        .count()
}

/// The sites after a client has carried what each holds to the other, and the receipts back.
fn met(world: &World) -> World {
    let mut world = world.clone();
    world.said.clear();
    for _ in 0..2 {
        for group in 0..world.copies.len() {
            for side in Side::BOTH {
                let document = world.copy(group, side).group.document.clone();
                world.say(side, Said::Bundle(Box::new(pack(&document, side))));
                for _ in 0..2 {
                    let last = world.said.len() - 1;
                    if let Some(next) = Protocol::after(&world, Step::Bring { group, said: last }) {
                        world = next;
                    }
                }
            }
        }
    }
    world
}
