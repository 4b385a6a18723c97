//! What happens by itself: groups become known to their targets, snapshots travel, schedules fire.
//!
//! Nothing here runs in the background. [`settle`] brings the world up to a given time, event by event, so a
//! test that moves the clock forward by a day gets the same history as one that waits.

use std::sync::Arc;

use super::aging;
use super::group_snapshots::{self, Making};
use super::world::{Group, GroupSnapshot, Member, Reference, Schedule, Snapshot, Target, Transfer, World};
use super::world::{is_on_target, new_id, new_serial, on_target};

/// More events than that between two looks at the world are skipped rather than waited for.
const MAX_EVENTS: usize = 20_000;

/// Bring the world up to `now`. Says whether anything happened that is worth keeping.
pub(super) fn settle(world: &mut World, now: u64) -> bool {
    if world.settled == 0 || world.settled > now {
        // A world that was just made has no past; one of a former run missed the time in between.
        world.settled = now;
    }
    let mut happened = tick(world, world.settled);
    for _ in 0..MAX_EVENTS {
        if world.settled >= now {
            return happened;
        }
        let until = next_event(world).clamp(world.settled + 1, now);
        flow(world, until - world.settled);
        // Aging is looked at once a second; nothing depends on its exact moment.
        let ages = until / 1000 > world.settled / 1000;
        world.settled = until;
        happened |= tick(world, until);
        happened |= ages && aging::age(world, until);
    }
    world.settled = now;
    happened
}

/// When something is due next, as far as can be told now.
fn next_event(world: &World) -> u64 {
    let mut next = u64::MAX;
    for transfer in world
        .transfers
        .iter()
        .filter(|transfer| transfer.completed.is_none())
    {
        let due = match transfer.started {
            Some(_) if flows(world, transfer) => world.settled + (transfer.needs - transfer.done),
            Some(_) => continue,
            None if transfer.start_at > world.settled => transfer.start_at,
            // Held up by something that is none of this function's business.
            None => continue,
        };
        next = next.min(due);
    }
    for array in world.arrays.values().filter(|array| !array.dark) {
        for group in array
            .groups
            .values()
            .filter(|group| group.is_local && group.destroyed.is_none())
        {
            for target in group
                .targets
                .values()
                .filter(|target| target.announce_at > world.settled)
            {
                next = next.min(target.announce_at);
            }
            let sends = group.targets.values().any(|target| target.allowed);
            for (schedule, able) in [
                (&group.replication_schedule, sends),
                (&group.snapshot_schedule, true),
            ] {
                if schedule.enabled && able {
                    next = next.min(schedule.last + schedule.period());
                }
            }
        }
    }
    // At least once a minute, for what ages.
    next.min(world.settled + 60_000)
}

/// Let data flow for a while.
fn flow(world: &mut World, span: u64) {
    let flowing: Vec<usize> = (0..world.transfers.len())
        .filter(|&at| world.transfers[at].started.is_some() && flows(world, &world.transfers[at]))
        .collect();
    for at in flowing {
        let transfer = &mut world.transfers[at];
        transfer.done = transfer.needs.min(transfer.done + span);
    }
}

/// Whether a transfer can move: both arrays and the link are up, and the target still lets it in.
fn flows(world: &World, transfer: &Transfer) -> bool {
    transfer.completed.is_none()
        && world.connected(&transfer.from, &transfer.to)
        && world
            .arrays
            .get(&transfer.to)
            .and_then(|array| array.groups.get(&on_target(&transfer.from, &transfer.group)))
            .is_some_and(|group| group.allowed && group.destroyed.is_none())
}

/// Do what is due at this moment.
fn tick(world: &mut World, now: u64) -> bool {
    let mut happened = exchange(world, now);
    happened |= complete(world, now);
    happened |= start(world, now);
    happened | fire_schedules(world, now)
}

/// Arrays that can talk tell each other of groups and permissions.
fn exchange(world: &mut World, now: u64) -> bool {
    let mut news: Vec<(String, String, String)> = Vec::new();
    for (source, array) in &world.arrays {
        for group in array.groups.values().filter(|group| group.is_local) {
            for (target, state) in &group.targets {
                let due = state.announced || state.announce_at <= now;
                if due && world.connected(source, target) && is_news(world, source, group, target, state) {
                    news.push((source.clone(), group.name.clone(), target.clone()));
                }
            }
        }
    }
    for (source, name, target) in &news {
        tell(world, source, name, target);
    }
    !news.is_empty()
}

/// Whether the two ends of a replication have different pictures of it.
fn is_news(world: &World, source: &str, group: &Group, target: &str, state: &Target) -> bool {
    let remote = world
        .arrays
        .get(target)
        .and_then(|array| array.groups.get(&on_target(source, &group.name)));
    remote.is_none_or(|remote| {
        !state.announced || state.allowed != remote.lets_in() || !remote.mirrors(source, group)
    })
}

fn tell(world: &mut World, source: &str, name: &str, target: &str) {
    let find = |world: &mut World| {
        world
            .arrays
            .get(source)
            .and_then(|array| array.groups.get(name))
            .cloned()
    };
    let (Some(mut local), Some(there)) = (find(world), world.arrays.get_mut(target)) else {
        return;
    };
    let remote_name = on_target(source, name);
    let remote = there
        .groups
        .entry(remote_name.clone())
        .or_insert_with(|| Group::remote(&remote_name, &local));
    if let Some(state) = local.targets.get_mut(target) {
        state.allowed = remote.lets_in();
        state.announced = true;
    }
    remote.mirror(source, &local);
    if let Some(array) = world.arrays.get_mut(source) {
        array.groups.insert(name.to_owned(), local);
    }
}

/// Start the transfers whose time has come: from here on the target knows of them.
fn start(world: &mut World, now: u64) -> bool {
    let mut happened = false;
    for at in 0..world.transfers.len() {
        let transfer = &world.transfers[at];
        let behind = transfer.queued
            && world.transfers[..at].iter().any(|other| {
                other.completed.is_none()
                    && (&other.group, &other.from, &other.to)
                        == (&transfer.group, &transfer.from, &transfer.to)
            });
        if transfer.started.is_some() || transfer.start_at > now || behind || !flows(world, transfer) {
            continue;
        }
        let bytes = bytes_to_send(world, transfer);
        let link = world
            .link(&transfer.from, &transfer.to)
            .map(|link| link.config.clone())
            .unwrap_or_default();
        let sending = bytes
            .saturating_mul(1000)
            .checked_div(link.bytes_per_second)
            .unwrap_or_default();
        let transfer = &mut world.transfers[at];
        transfer.bytes = bytes;
        transfer.needs = link.transfer_millis + sending;
        transfer.started = Some(now);
        let transfer = transfer.clone();
        receive(world, &transfer);
        happened = true;
    }
    happened | complete(world, now)
}

/// What the target doesn't have yet, counted from the newest complete snapshot of the group there.
fn bytes_to_send(world: &World, transfer: &Transfer) -> u64 {
    let target = world.arrays.get(&transfer.to);
    let base = world
        .transfers
        .iter()
        .filter(|other| other.completed.is_some())
        .filter(|other| {
            (&other.group, &other.from, &other.to) == (&transfer.group, &transfer.from, &transfer.to)
        })
        .max_by_key(|other| other.completed)
        .map(Transfer::target_name);
    let has = |member: &Member| {
        let (target, base) = (target?, base.as_deref()?);
        target
            .snapshots
            .values()
            .find(|snapshot| {
                snapshot.group_snapshot.as_deref() == Some(base) && snapshot.source.id == member.source.id
            })
            .map(|snapshot| snapshot.content.clone())
    };
    transfer
        .members
        .iter()
        .map(|member| member.content.bytes_since(has(member).as_ref()))
        .sum()
}

/// Make the records of a snapshot that is about to arrive.
fn receive(world: &mut World, transfer: &Transfer) {
    let source = world
        .arrays
        .get(&transfer.from)
        .and_then(|array| array.group_snapshots.get(&transfer.snapshot))
        .cloned();
    let (Some(source), Some(array)) = (source, world.arrays.get_mut(&transfer.to)) else {
        return;
    };
    let group_name = on_target(&transfer.from, &transfer.group);
    let group_id = array
        .groups
        .get(&group_name)
        .map(|group| group.id.clone())
        .unwrap_or_default();
    let name = transfer.target_name();
    for member in &transfer.members {
        let snapshot = Snapshot {
            id: new_id(),
            name: format!("{name}.{}", member.name),
            suffix: source.suffix.clone(),
            serial: new_serial(),
            created: source.created,
            provisioned: member.provisioned,
            destroyed: None,
            source: Reference {
                id: member.source.id.clone(),
                name: on_target(&transfer.from, &member.source.name),
            },
            group_snapshot: Some(name.clone()),
            complete: false,
            content: super::content::Content::default(),
        };
        array.snapshots.insert(snapshot.name.clone(), snapshot);
    }
    let snapshot = GroupSnapshot {
        id: new_id(),
        name: name.clone(),
        destroyed: None,
        until: None,
        source: Reference {
            id: group_id,
            name: group_name,
        },
        ..source
    };
    array.group_snapshots.insert(name, snapshot);
}

/// Hand over what has arrived in full.
fn complete(world: &mut World, now: u64) -> bool {
    let mut happened = false;
    for at in 0..world.transfers.len() {
        let transfer = &world.transfers[at];
        if transfer.started.is_none() || transfer.done < transfer.needs || !flows(world, transfer) {
            continue;
        }
        let name = transfer.target_name();
        let transfer = &mut world.transfers[at];
        transfer.completed = Some(now);
        let (to, members) = (transfer.to.clone(), std::mem::take(&mut transfer.members));
        let Some(array) = world.arrays.get_mut(&to) else {
            continue;
        };
        for member in members {
            if let Some(snapshot) = array.snapshots.get_mut(&format!("{name}.{}", member.name)) {
                snapshot.content = member.content;
                snapshot.complete = true;
            }
        }
        happened = true;
    }
    happened
}

fn fire_schedules(world: &mut World, now: u64) -> bool {
    let due = |schedule: &Schedule| schedule.enabled && schedule.last + schedule.period() <= now;
    let mut fire: Vec<(String, String, bool)> = Vec::new();
    for (source, array) in world.arrays.iter().filter(|(_, array)| !array.dark) {
        for group in array
            .groups
            .values()
            .filter(|group| group.is_local && group.destroyed.is_none())
        {
            let replicates =
                due(&group.replication_schedule) && group.targets.values().any(|target| target.allowed);
            if replicates || due(&group.snapshot_schedule) {
                fire.push((source.clone(), group.name.clone(), replicates));
            }
        }
    }
    let fired = !fire.is_empty();
    for (source, name, replicates) in fire {
        let Some(array) = world.arrays.get_mut(&source) else {
            continue;
        };
        let Some(group) = array.groups.get_mut(&name) else {
            continue;
        };
        let schedule = if replicates {
            &mut group.replication_schedule
        } else {
            &mut group.snapshot_schedule
        };
        schedule.last = now;
        let has_live = |array: &super::world::Array, volumes: &[String]| {
            volumes.iter().any(|volume| array.live_volume(volume).is_ok())
        };
        let volumes = group.volumes.clone();
        if has_live(array, &volumes) {
            let making = Making {
                ages: true,
                replicate: replicates,
                scheduled: true,
                ..Making::default()
            };
            if let Err(error) = group_snapshots::make(world, &source, &name, &making, now) {
                tracing::warn!(%error, array = source, group = name, "a scheduled snapshot failed");
            }
        }
    }
    fired
}

/// Send a snapshot of a group to all its targets. A scheduled one is left out where the one before it is
/// still under way.
pub(super) fn send(world: &mut World, source: &str, group: &str, snapshot: &str, making: &Making, now: u64) {
    let Some(array) = world.arrays.get(source) else {
        return;
    };
    let Some(state) = array.groups.get(group) else {
        return;
    };
    let members: Vec<Member> = array
        .snapshots
        .values()
        .filter(|member| member.group_snapshot.as_deref() == Some(snapshot))
        .map(|member| Member {
            name: member
                .name
                .strip_prefix(&format!("{snapshot}."))
                .unwrap_or(&member.name)
                .to_owned(),
            source: member.source.clone(),
            provisioned: member.provisioned,
            content: member.content.clone(),
        })
        .collect();
    let targets: Vec<String> = state
        .targets
        .iter()
        .filter(|(_, target)| target.allowed)
        .map(|(name, _)| name.clone())
        .collect();
    for target in targets {
        let busy = world.transfers.iter().any(|transfer| {
            transfer.completed.is_none()
                && (
                    transfer.from.as_str(),
                    transfer.to.as_str(),
                    transfer.group.as_str(),
                ) == (source, &target, group)
        });
        if busy && making.scheduled {
            continue;
        }
        let start = world
            .link(source, &target)
            .map(|link| link.config.start_millis)
            .unwrap_or_default();
        world.transfers.push(Transfer {
            id: new_id(),
            from: source.to_owned(),
            to: target,
            group: group.to_owned(),
            snapshot: snapshot.to_owned(),
            queued: making.queue,
            start_at: now + start,
            started: None,
            completed: None,
            needs: 0,
            done: 0,
            bytes: 0,
            members: members.clone(),
        });
    }
}

impl Group {
    /// The picture that a target has of a group when it first hears of it.
    fn remote(name: &str, local: &Self) -> Self {
        Self {
            id: new_id(),
            name: name.to_owned(),
            is_local: false,
            destroyed: None,
            allowed: false,
            ..local.clone()
        }
    }

    /// Whether snapshots of this group of another array may come in.
    fn lets_in(&self) -> bool {
        self.allowed && self.destroyed.is_none()
    }

    /// Take over what the source says of itself.
    fn mirror(&mut self, source: &str, local: &Self) {
        source.clone_into(&mut self.source);
        let names = local.volumes.iter().map(|volume| on_target(source, volume));
        self.volumes = Arc::new(names.collect());
        self.mirrored = Some(Arc::clone(&local.volumes));
        self.targets = local.targets.clone();
        self.replication_schedule = local.replication_schedule.clone();
        self.snapshot_schedule = local.snapshot_schedule.clone();
        self.source_retention = local.source_retention;
        self.target_retention = local.target_retention;
        self.ratcheted = local.ratcheted;
    }

    fn mirrors_volumes(&self, source: &str, volumes: &Arc<Vec<String>>) -> bool {
        let same = |list: &Arc<Vec<String>>| Arc::ptr_eq(list, volumes);
        self.mirrored.as_ref().is_some_and(same)
            || self.volumes.len() == volumes.len()
                && self
                    .volumes
                    .iter()
                    .zip(volumes.iter())
                    .all(|(there, here)| is_on_target(there, source, here))
    }

    /// Whether taking over would change nothing.
    fn mirrors(&self, source: &str, local: &Self) -> bool {
        self.mirrors_volumes(source, &local.volumes)
            && self.targets == local.targets
            && self.replication_schedule == local.replication_schedule
            && self.snapshot_schedule == local.snapshot_schedule
            && self.source_retention == local.source_retention
            && self.target_retention == local.target_retention
            && self.ratcheted == local.ratcheted
    }
}
