//! What may happen next, and what comes of it: every step is the product's own rule.

use std::fmt;

use protector_domain::protocol::{self, Move};
use protector_domain::{Checksum, Group, GroupStatus, OperationId, OperationKind, Outcome, Receipt};
use stateright::{Model, Property};
use uuid::Uuid;

use crate::group::{Side, group_id, now};
use crate::promises;
use crate::world::{Said, World, pack};

/// How much happens at most in one history.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    pub groups: usize,
    pub edits: u8,
    pub plans: u8,
    pub takeovers: u8,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// A client asks a site for a nonce, and the other one for its statement.
    Ask { group: usize, side: Side },
    /// A client changes the group, with the statement that was said at this place.
    Edit { group: usize, side: Side, said: usize },
    /// A client orders a planned failover with it.
    Announce { group: usize, side: Side, said: usize },
    /// The engine ends what was announced.
    Conclude { group: usize, side: Side, moved: bool },
    /// A client brings what was said at this place to the other site.
    Bring { group: usize, said: usize },
    /// Somebody forces a failover.
    TakeOver { group: usize, side: Side },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// One operation of a group at a time, so its number is that of the versions before it.
fn operation(group: &Group) -> OperationId {
    OperationId(Uuid::from_u128(u128::from(group.document.stamp.version)))
}

fn checksum(group: &Group) -> Checksum {
    pack(&group.document, Side::A).checksum
}

impl Protocol {
    /// Uses a statement up. `None` where the site refuses it.
    fn accept(world: &mut World, group: usize, side: Side, said: usize) -> Option<()> {
        let (by, Said::Statement(statement)) = world.said.get(said)?.clone() else {
            return None;
        };
        let copy = world.copy_mut(group, side);
        protocol::may_modify(&copy.group, side.id()).ok()?;
        protocol::agrees(&copy.group, side.id(), &statement).ok()?;
        let nonce: u8 = statement.nonce.parse().ok()?;
        (by == side.other() && copy.nonces.remove(&nonce)).then_some(())
    }

    fn ask(world: &mut World, group: usize, side: Side) -> Option<()> {
        let copy = world.copy_mut(group, side);
        protocol::may_modify(&copy.group, side.id()).ok()?;
        let nonce = copy.next_nonce;
        copy.next_nonce += 1;
        copy.nonces.insert(nonce);
        let peer = &world.copy(group, side.other()).group;
        let statement = protocol::state(
            group_id(group),
            Some(peer),
            nonce.to_string(),
            side.other().id(),
            now(),
        );
        world.say(side.other(), Said::Statement(statement));
        Some(())
    }

    fn edit(world: &mut World, group: usize, side: Side, said: usize) -> Option<()> {
        Self::accept(world, group, side, said)?;
        let mark = char::from(b'a' + world.edits);
        world.edits += 1;
        let copy = world.copy_mut(group, side);
        copy.group.document.description.push(mark);
        protocol::commit(&mut copy.group, now());
        world.write(group, side);
        Some(())
    }

    fn announce(world: &mut World, group: usize, side: Side, said: usize) -> Option<()> {
        Self::accept(world, group, side, said)?;
        world.plans += 1;
        let copy = &mut world.copy_mut(group, side).group;
        let epoch = protocol::planned_epoch(&copy.document);
        let id = operation(copy);
        protocol::announce(copy, id, OperationKind::Failover, epoch, now());
        copy.set_status(GroupStatus::FailingOver, None).ok()?;
        world.write(group, side);
        Some(())
    }

    fn conclude(world: &mut World, group: usize, side: Side, moved: bool) -> Option<()> {
        let copy = &mut world.copy_mut(group, side).group;
        let intent = copy.document.open_intent()?.clone();
        // The engine of the site where the group runs works on it, and moves nothing before the receipt is in.
        if copy.document.current_primary_site_id != side.id() || (moved && !protocol::is_known(copy)) {
            return None;
        }
        let (outcome, to) = match moved {
            true => (
                Outcome::Completed,
                Some(Move {
                    to: side.other().id(),
                    epoch: intent.reserved_epoch,
                }),
            ),
            false => (Outcome::RolledBack, None),
        };
        if !protocol::conclude(copy, intent.operation_id, outcome, to, now()) {
            return None;
        }
        copy.set_status(copy.resting_status(), None).ok()?;
        world.write(group, side);
        Some(())
    }

    fn take_over(world: &mut World, group: usize, side: Side) -> Option<()> {
        let copy = &mut world.copy_mut(group, side).group;
        let adopts = protocol::may_take_over(copy, side.id()).ok()?;
        let moved = Move {
            to: side.id(),
            epoch: protocol::next_epoch(&copy.document, side.id()),
        };
        let id = operation(copy);
        copy.set_status(GroupStatus::FailingOver, None).ok()?;
        protocol::take_over(copy, id, adopts, Outcome::Completed, moved, now());
        copy.set_status(copy.resting_status(), None).ok()?;
        world.takeovers += 1;
        world.forced.insert(group);
        world.write(group, side);
        Some(())
    }

    fn bring(world: &mut World, group: usize, said: usize) -> Option<()> {
        let (by, said) = world.said.get(said)?.clone();
        match said {
            Said::Statement(_) => None,
            Said::Bundle(bundle) => {
                let document = bundle.open().ok()?;
                if document.group_id != group_id(group) {
                    return None;
                }
                let here = by.other();
                let copy = &mut world.copy_mut(group, here).group;
                protocol::judge(copy, &document, by.id()).ok()?;
                protocol::adopt(copy, document, now()).ok()?;
                let receipt = Receipt {
                    group_id: group_id(group),
                    site_id: here.id(),
                    stamp: bundle.stamp,
                    checksum: bundle.checksum.clone(),
                    trust_id: None,
                    received_at: now(),
                    signature: None,
                };
                world.say(here, Said::Receipt(receipt));
                Some(())
            }
            Said::Receipt(receipt) => {
                let here = by.other();
                let copy = &mut world.copy_mut(group, here).group;
                protocol::confirms(copy, here.id(), &checksum(copy), &receipt).ok()?;
                protocol::confirm(copy, &receipt, now());
                let marks: Vec<char> = copy.document.description.chars().collect();
                world
                    .confirmed
                    .extend(marks.into_iter().map(|mark| (group, mark)));
                Some(())
            }
        }
    }

    /// `None` where the site refuses, or nothing changes.
    pub fn after(world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        match step {
            Step::Ask { group, side } => Self::ask(&mut next, group, side),
            Step::Edit { group, side, said } => Self::edit(&mut next, group, side, said),
            Step::Announce { group, side, said } => Self::announce(&mut next, group, side, said),
            Step::Conclude { group, side, moved } => Self::conclude(&mut next, group, side, moved),
            Step::Bring { group, said } => Self::bring(&mut next, group, said),
            Step::TakeOver { group, side } => Self::take_over(&mut next, group, side),
        }?;
        (next != *world).then_some(next)
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.groups)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        // Two clients at once have two statements in hand.
        const IN_HAND: usize = 2;
        let (may_edit, may_plan) = (world.edits < self.edits, world.plans < self.plans);
        for group in 0..self.groups {
            for side in Side::BOTH {
                if (may_edit || may_plan) && world.copy(group, side).nonces.len() < IN_HAND {
                    steps.push(Step::Ask { group, side });
                }
                if world.copy(group, side).group.document.open_intent().is_some() {
                    for moved in [true, false] {
                        steps.push(Step::Conclude { group, side, moved });
                    }
                }
                if world.takeovers < self.takeovers {
                    steps.push(Step::TakeOver { group, side });
                }
            }
            for (said, (by, what)) in world.said.iter().enumerate() {
                let side = by.other();
                match what {
                    Said::Statement(_) => {
                        if may_edit {
                            steps.push(Step::Edit { group, side, said });
                        }
                        if may_plan {
                            steps.push(Step::Announce { group, side, said });
                        }
                    }
                    Said::Bundle(_) | Said::Receipt(_) => steps.push(Step::Bring { group, said }),
                }
            }
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        Self::after(world, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all()
    }
}
