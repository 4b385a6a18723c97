//! Protection groups: their schedules, retention and life.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::aging;
use super::ask::{Answer, Ask, number};
use super::error::{ApiError, ApiResult};
use super::names::{check_name, split};
use super::volumes::check_eradication;
use super::world::{Array, Group, Retention, Schedule, World, new_id, on_target};

pub(super) const WHAT: &str = "Protection group";
/// What an array takes as a period, in milliseconds.
const PERIODS: std::ops::RangeInclusive<u64> = 300_000..=34_560_000_000;

pub(super) fn id(group: &Group) -> &str {
    &group.id
}

pub(super) fn view(array: &Array, group: &Group, now: u64) -> Value {
    let schedule = |schedule: &Schedule| json!({"enabled": schedule.enabled, "frequency": schedule.frequency, "at": schedule.at});
    let mut replication = schedule(&group.replication_schedule);
    replication["blackout"] = group.replication_schedule.blackout.clone().unwrap_or(Value::Null);
    let retention =
        |r: Retention| json!({"all_for_sec": r.all_for_sec, "per_day": r.per_day, "days": r.days});
    let live = |name: &&String| !group.is_local || array.live_volume(name).is_ok();
    let pod = split(&group.name).0.filter(|_| group.is_local);
    json!({
        "id": group.id, "name": group.name, "is_local": group.is_local, "source": {"name": group.source},
        "pod": pod.map_or_else(|| json!({}), |pod| json!({"name": pod})), "destroyed": group.destroyed.is_some(),
        "time_remaining": array.time_remaining(group.destroyed, now),
        "volume_count": group.volumes.iter().filter(live).count(), "host_count": 0, "host_group_count": 0,
        "target_count": group.targets.len(), "retention_lock": if group.ratcheted { "ratcheted" } else { "unlocked" },
        "eradication_config": {"manual_eradication": if array.manual_eradication { "enabled" } else { "disabled" }},
        "replication_schedule": replication, "snapshot_schedule": schedule(&group.snapshot_schedule),
        "source_retention": retention(group.source_retention), "target_retention": retention(group.target_retention),
        "space": {},
    })
}

impl Group {
    fn local(name: &str, source: &str) -> Self {
        let retention = Retention {
            all_for_sec: 86_400,
            per_day: 4,
            days: 7,
        };
        let schedule = |frequency| Schedule {
            enabled: false,
            frequency,
            at: None,
            blackout: None,
            last: 0,
        };
        Self {
            id: new_id(),
            name: name.to_owned(),
            is_local: true,
            source: source.to_owned(),
            destroyed: None,
            volumes: Arc::default(),
            mirrored: None,
            targets: BTreeMap::new(),
            allowed: false,
            replication_schedule: schedule(14_400_000),
            snapshot_schedule: schedule(3_600_000),
            source_retention: retention,
            target_retention: retention,
            ratcheted: false,
        }
    }
}

fn views(array: &Array, names: &[String], now: u64) -> Vec<Value> {
    names
        .iter()
        .filter_map(|name| array.groups.get(name))
        .map(|group| view(array, group, now))
        .collect()
}

pub(super) fn get(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick(&array.groups, WHAT, id)?;
    Ok(Answer::List(views(array, &names, ask.now)))
}

pub(super) fn post(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.new_names()?;
    for name in &names {
        match array.groups.get(name) {
            Some(group) if group.destroyed.is_some() => {
                // No word of existing: Cinder's driver would take such a group for a live one.
                let text = "Protection group has been destroyed and is pending eradication.";
                return Err(ApiError::new(name, text));
            }
            Some(_) => return Err(ApiError::exists(WHAT, name)),
            None => {}
        }
        let (pod, _, base) = split(name);
        check_name("protection group", base)?;
        if pod.is_some_and(|pod| !array.pods.contains_key(pod)) {
            return Err(ApiError::missing("Pod", pod.unwrap_or_default()));
        }
    }
    for name in &names {
        array.groups.insert(name.clone(), Group::local(name, ask.array));
    }
    Ok(Answer::Items(views(array, &names, ask.now)))
}

pub(super) fn patch(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick_named(&array.groups, WHAT, id)?;
    let mut changed = Vec::new();
    for name in &names {
        let Some(group) = array.groups.get(name) else {
            continue;
        };
        changed.push(change(group.clone(), ask)?);
    }
    if let Some(new) = ask.body_text("name") {
        return rename(array, &changed, new, ask);
    }
    for group in changed {
        array.groups.insert(group.name.clone(), group);
    }
    Ok(Answer::Items(views(array, &names, ask.now)))
}

/// The group as the body of the call wants it, or why it can't be so.
fn change(mut group: Group, ask: &Ask<'_>) -> ApiResult<Group> {
    let name = group.name.clone();
    let destroyed = ask.body_flag("destroyed")?;
    if group.destroyed.is_some() && destroyed != Some(false) {
        return Err(ApiError::destroyed(WHAT, &name));
    }
    let locked = |yes: bool| {
        let text = "Protection group is locked by its ratcheted retention lock.";
        if group.ratcheted && yes {
            Err(ApiError::new(&name, text))
        } else {
            Ok(())
        }
    };
    locked(destroyed == Some(true))?;
    let policy = [
        "replication_schedule",
        "snapshot_schedule",
        "source_retention",
        "target_retention",
        "retention_lock",
        "name",
    ];
    if !group.is_local && policy.iter().any(|field| ask.body.get(field).is_some()) {
        return Err(ApiError::new(
            &name,
            "Protection group is not local and cannot be modified on a target.",
        ));
    }
    for (field, old) in [
        ("source_retention", group.source_retention),
        ("target_retention", group.target_retention),
    ] {
        let new = retention(old, ask.body.get(field))?;
        locked(new.all_for_sec < old.all_for_sec || new.days < old.days || new.per_day < old.per_day)?;
    }
    for (field, old) in [
        ("replication_schedule", &group.replication_schedule),
        ("snapshot_schedule", &group.snapshot_schedule),
    ] {
        locked(old.enabled && !schedule(old, ask.body.get(field), ask)?.enabled)?;
    }
    group.source_retention = retention(group.source_retention, ask.body.get("source_retention"))?;
    group.target_retention = retention(group.target_retention, ask.body.get("target_retention"))?;
    group.replication_schedule = schedule(
        &group.replication_schedule,
        ask.body.get("replication_schedule"),
        ask,
    )?;
    group.snapshot_schedule = schedule(&group.snapshot_schedule, ask.body.get("snapshot_schedule"), ask)?;
    match ask.body_text("retention_lock") {
        Some("ratcheted") => group.ratcheted = true,
        Some("unlocked") if group.ratcheted => {
            return Err(ApiError::new(
                &name,
                "Protection group is locked by its ratcheted retention lock.",
            ));
        }
        _ => {}
    }
    match destroyed {
        Some(true) => {
            group.destroyed = Some(ask.now);
            group.allowed = false;
        }
        Some(false) => group.destroyed = None,
        None => {}
    }
    Ok(group)
}

fn retention(old: Retention, body: Option<&Value>) -> ApiResult<Retention> {
    let Some(body) = body else { return Ok(old) };
    let field = |name: &str, old: u64, range: std::ops::RangeInclusive<u64>| {
        let new = number(body, name)?.unwrap_or(old);
        if range.contains(&new) {
            Ok(new)
        } else {
            Err(ApiError::new(name, format!("Invalid value for {name}.")))
        }
    };
    Ok(Retention {
        all_for_sec: field("all_for_sec", old.all_for_sec, 60..=34_560_000)?,
        per_day: field("per_day", old.per_day, 0..=1440)?,
        days: field("days", old.days, 0..=4000)?,
    })
}

fn schedule(old: &Schedule, body: Option<&Value>, _: &Ask<'_>) -> ApiResult<Schedule> {
    let mut new = old.clone();
    let Some(body) = body else { return Ok(new) };
    if let Some(frequency) = number(body, "frequency")? {
        new.frequency = frequency;
        if frequency == 0 || !PERIODS.contains(&new.period()) {
            return Err(ApiError::new("frequency", "Invalid frequency."));
        }
    }
    if let Some(at) = number(body, "at")? {
        if at > 86_399 || !new.period().is_multiple_of(86_400_000) {
            return Err(ApiError::new("at", "Invalid time of day for the frequency."));
        }
        new.at = Some(at);
    }
    if let Some(enabled) = body.get("enabled").and_then(Value::as_bool) {
        new.enabled = enabled;
    }
    if let Some(blackout) = body.get("blackout") {
        new.blackout = blackout.is_object().then(|| blackout.clone());
    }
    Ok(new)
}

/// A new name for a group that nothing else is called after yet.
fn rename(array: &mut Array, groups: &[Group], new: &str, ask: &Ask<'_>) -> ApiResult<Answer> {
    let [group] = groups else {
        return Err(ApiError::new(
            "name",
            "Only one protection group can be renamed at a time.",
        ));
    };
    check_name("protection group", split(new).2)?;
    if array.groups.contains_key(new) {
        return Err(ApiError::exists(WHAT, new));
    }
    let used = array
        .group_snapshots
        .values()
        .any(|snapshot| snapshot.source.name == group.name);
    if used || !group.targets.is_empty() {
        return Err(ApiError::new(
            &group.name,
            "This array renames only groups without snapshots and targets.",
        ));
    }
    array.groups.remove(&group.name);
    array.groups.insert(
        new.to_owned(),
        Group {
            name: new.to_owned(),
            ..group.clone()
        },
    );
    Ok(Answer::Items(views(array, &[new.to_owned()], ask.now)))
}

pub(super) fn delete(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick_named(&array.groups, WHAT, id)?;
    for name in &names {
        if array
            .groups
            .get(name)
            .is_some_and(|group| group.destroyed.is_none())
        {
            return Err(ApiError::new(name, "Protection group is not destroyed."));
        }
    }
    check_eradication(array, &names)?;
    for name in &names {
        let array = world.array(ask.array)?;
        let targets: Vec<String> = array
            .groups
            .get(name)
            .filter(|group| group.is_local)
            .map(|group| group.targets.keys().cloned().collect())
            .unwrap_or_default();
        aging::remove_group(array, name);
        for target in targets {
            leave_target(world, ask.array, name, &target);
        }
    }
    aging::forget_transfers(world);
    Ok(Answer::Empty)
}

/// A target that a group has left keeps the snapshots it has; its picture of the group goes with the last.
pub(super) fn leave_target(world: &mut World, source: &str, group: &str, target: &str) {
    if !world.connected(source, target) {
        return;
    }
    let Some(there) = world.arrays.get_mut(target) else {
        return;
    };
    let name = on_target(source, group);
    if there
        .group_snapshots
        .values()
        .any(|snapshot| snapshot.source.name == name)
    {
        if let Some(group) = there.groups.get_mut(&name) {
            group.allowed = false;
        }
    } else {
        there.groups.remove(&name);
    }
}
