//! Snapshots age by their group's retention, and what was destroyed goes for good after a while.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::world::{Array, Group, Retention, World};

const DAY: u64 = 24 * 60 * 60 * 1000;

/// Destroy what has aged, eradicate what was destroyed long enough ago. Says whether there was any.
pub(super) fn age(world: &mut World, now: u64) -> bool {
    let mut happened = false;
    for array in world.arrays.values_mut().filter(|array| !array.dark) {
        happened |= retire(array, now);
        happened |= eradicate(array, now);
    }
    if happened {
        forget_transfers(world);
    }
    happened
}

/// Destroy the group snapshots that their group's retention no longer keeps.
fn retire(array: &mut Array, now: u64) -> bool {
    let mut by_group: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for snapshot in array
        .group_snapshots
        .values()
        .filter(|snapshot| snapshot.ages && snapshot.destroyed.is_none())
    {
        by_group
            .entry(snapshot.source.name.clone())
            .or_default()
            .push((snapshot.created, snapshot.name.clone()));
    }
    let mut gone = Vec::new();
    for (group, mut snapshots) in by_group {
        let Some(group) = array.groups.get(&group) else {
            continue;
        };
        snapshots.sort();
        gone.extend(expired(retention(group), &snapshots, now));
    }
    for name in &gone {
        destroy_group_snapshot(array, name, now);
    }
    let over: Vec<String> = array
        .group_snapshots
        .values()
        .filter(|snapshot| snapshot.until.is_some_and(|until| until <= now))
        .map(|snapshot| snapshot.name.clone())
        .collect();
    for name in &over {
        remove_group_snapshot(array, name);
    }
    !gone.is_empty() || !over.is_empty()
}

fn retention(group: &Group) -> Retention {
    if group.is_local {
        group.source_retention
    } else {
        group.target_retention
    }
}

/// All are kept for a while; after that so many a day (the newest of each), for so many days.
fn expired(retention: Retention, snapshots: &[(u64, String)], now: u64) -> Vec<String> {
    let all = retention.all_for_sec.saturating_mul(1000);
    let mut kept: BTreeMap<u64, u64> = BTreeMap::new();
    let mut gone = Vec::new();
    for (created, name) in snapshots.iter().rev() {
        let age = now.saturating_sub(*created);
        if age <= all {
            continue;
        }
        let day = (age - all) / DAY;
        let of_day = kept.entry(day).or_default();
        if day < retention.days && *of_day < retention.per_day {
            *of_day += 1;
        } else {
            gone.push(name.clone());
        }
    }
    gone
}

/// Remove what has been destroyed for longer than things can be recovered.
fn eradicate(array: &mut Array, now: u64) -> bool {
    let delay = array.eradication_delay;
    let over = |destroyed: Option<u64>| destroyed.is_some_and(|at| at + delay <= now);
    let names = |found: Vec<&String>| found.into_iter().cloned().collect::<Vec<String>>();
    let volumes = names(
        array
            .volumes
            .iter()
            .filter(|(_, v)| over(v.destroyed))
            .map(|(name, _)| name)
            .collect(),
    );
    let snapshots = names(
        array
            .snapshots
            .iter()
            .filter(|(_, s)| over(s.destroyed))
            .map(|(name, _)| name)
            .collect(),
    );
    let groups = names(
        array
            .groups
            .iter()
            .filter(|(_, g)| over(g.destroyed))
            .map(|(name, _)| name)
            .collect(),
    );
    let of_groups = names(
        array
            .group_snapshots
            .iter()
            .filter(|(_, s)| over(s.destroyed))
            .map(|(name, _)| name)
            .collect(),
    );
    for name in &volumes {
        remove_volume(array, name);
    }
    for name in &snapshots {
        array.snapshots.remove(name);
    }
    for name in &of_groups {
        remove_group_snapshot(array, name);
    }
    for name in &groups {
        remove_group(array, name);
    }
    let before = array.pods.len() + array.volume_groups.len();
    array.pods.retain(|_, pod| !over(pod.destroyed));
    array.volume_groups.retain(|_, group| !over(group.destroyed));
    let containers = before > array.pods.len() + array.volume_groups.len();
    containers || !(volumes.is_empty() && snapshots.is_empty() && groups.is_empty() && of_groups.is_empty())
}

/// Destroy a group snapshot with its members.
pub(super) fn destroy_group_snapshot(array: &mut Array, name: &str, now: u64) {
    if let Some(snapshot) = array.group_snapshots.get_mut(name) {
        snapshot.destroyed = Some(now);
    }
    for snapshot in array
        .snapshots
        .values_mut()
        .filter(|member| member.group_snapshot.as_deref() == Some(name))
    {
        snapshot.destroyed = Some(now);
    }
}

/// Remove a group snapshot with its members.
pub(super) fn remove_group_snapshot(array: &mut Array, name: &str) {
    array.group_snapshots.remove(name);
    array
        .snapshots
        .retain(|_, member| member.group_snapshot.as_deref() != Some(name));
}

/// Remove a group with its snapshots.
pub(super) fn remove_group(array: &mut Array, name: &str) {
    array.groups.remove(name);
    for groups in array.default_protections.values_mut() {
        groups.retain(|group| group != name);
    }
    let of_group: Vec<String> = array
        .group_snapshots
        .values()
        .filter(|s| s.source.name == name)
        .map(|s| s.name.clone())
        .collect();
    for snapshot in of_group {
        remove_group_snapshot(array, &snapshot);
    }
}

/// Remove a volume with its own snapshots and its memberships. Group snapshots keep their copy of it.
pub(super) fn remove_volume(array: &mut Array, name: &str) {
    array.volumes.remove(name);
    array
        .snapshots
        .retain(|_, snapshot| snapshot.group_snapshot.is_some() || snapshot.source.name != name);
    for group in array.groups.values_mut().filter(|group| group.is_local) {
        if group.volumes.iter().any(|volume| volume == name) {
            Arc::make_mut(&mut group.volumes).retain(|volume| volume != name);
        }
    }
}

/// Forget transfers of snapshots that are on neither array any more, and end those that lost an end.
pub(super) fn forget_transfers(world: &mut World) {
    let arrays = &world.arrays;
    world.transfers.retain(|transfer| {
        let has = |array: &str, name: &str| {
            arrays
                .get(array)
                .is_some_and(|array| array.group_snapshots.contains_key(name))
        };
        let (at_source, at_target) = (
            has(&transfer.from, &transfer.snapshot),
            has(&transfer.to, &transfer.target_name()),
        );
        match (transfer.completed, transfer.started) {
            (Some(_), _) => at_source || at_target,
            (None, Some(_)) => at_source && at_target,
            (None, None) => at_source,
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_keeps_all_then_some_a_day_then_none() {
        let retention = Retention {
            all_for_sec: 3600,
            per_day: 2,
            days: 2,
        };
        let now = 10 * DAY;
        let hour = DAY / 24;
        let ages = [
            0,
            hour / 2,
            2 * hour,
            3 * hour,
            4 * hour,
            DAY + 2 * hour,
            DAY + 3 * hour,
            DAY + 4 * hour,
            3 * DAY,
        ];
        let mut snapshots: Vec<(u64, String)> = ages
            .iter()
            .map(|age| (now - age, (age / hour).to_string()))
            .collect();
        snapshots.sort();
        assert_eq!(expired(retention, &snapshots, now), ["4", "28", "72"]);
    }
}
