//! Which volumes are in a protection group, and which arrays it replicates to.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ask::{Answer, Ask};
use super::error::{ApiError, ApiResult};
use super::groups::{WHAT, id, leave_target};
use super::names::split;
use super::world::{Array, Group, Target, World};

/// An array takes no more.
const MAX_TARGETS: usize = 4;

fn groups(array: &Array, ask: &Ask<'_>) -> ApiResult<Vec<String>> {
    ask.pick_by("group_names", "group_ids", &array.groups, WHAT, id)
}

/// The groups of a call that changes something, all of them local and live.
fn changed_groups(array: &Array, ask: &Ask<'_>) -> ApiResult<Vec<String>> {
    if ask.query.list("group_names").is_empty() && ask.query.list("group_ids").is_empty() {
        return Err(ApiError::new(
            "group_names",
            "One of group_names or group_ids is required.",
        ));
    }
    let names = groups(array, ask)?;
    for name in &names {
        if !array.live_group(name)?.is_local {
            return Err(ApiError::new(
                name,
                "Protection group is not local and cannot be modified on a target.",
            ));
        }
    }
    Ok(names)
}

fn refuse_if_locked(group: &Group) -> ApiResult<()> {
    if group.ratcheted {
        return Err(ApiError::new(
            &group.name,
            "Protection group is locked by its ratcheted retention lock.",
        ));
    }
    Ok(())
}

fn volume_view(array: &Array, group: &Group, volume: &str) -> Value {
    let member = match array.volumes.get(volume) {
        Some(found) if group.is_local => {
            json!({"id": found.id, "name": found.name, "destroyed": found.destroyed.is_some()})
        }
        _ => json!({"name": volume}),
    };
    json!({"group": {"id": group.id, "name": group.name}, "member": member})
}

pub(super) fn get_volumes(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let (names, mut members) = (groups(array, ask)?, ask.query.list("member_names"));
    for wanted in ask.query.list("member_ids") {
        let found = array.volumes.values().find(|volume| volume.id == wanted);
        members.push(
            found
                .ok_or_else(|| ApiError::missing("Volume", &wanted))?
                .name
                .clone(),
        );
    }
    let mut items = Vec::new();
    for group in names.iter().filter_map(|name| array.groups.get(name)) {
        let wanted = |volume: &&String| members.is_empty() || members.contains(*volume);
        items.extend(
            group
                .volumes
                .iter()
                .filter(wanted)
                .map(|volume| volume_view(array, group, volume)),
        );
    }
    match members.first() {
        Some(volume) if items.is_empty() && !array.volumes.contains_key(volume) => {
            Err(ApiError::missing("Volume", volume))
        }
        Some(volume) if items.is_empty() => Err(ApiError::new(
            volume,
            "Protection group volume could not be found.",
        )),
        _ => Ok(Answer::List(items)),
    }
}

pub(super) fn post_volumes(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let (names, members) = (changed_groups(array, ask)?, ask.query.list("member_names"));
    for group in names.iter().filter_map(|name| array.groups.get(name)) {
        for volume in &members {
            array.live_volume(volume)?;
            if group.volumes.contains(volume) {
                return Err(ApiError::new(
                    volume,
                    format!("Volume already belongs to protection group {}.", group.name),
                ));
            }
            if split(volume).0 != split(&group.name).0 {
                return Err(ApiError::new(
                    volume,
                    "Volume is not in the same container as the protection group.",
                ));
            }
        }
    }
    let mut items = Vec::new();
    for name in names {
        if let Some(group) = array.groups.get_mut(&name) {
            Arc::make_mut(&mut group.volumes).extend(members.iter().cloned());
        }
        if let Some(group) = array.groups.get(&name) {
            items.extend(members.iter().map(|volume| volume_view(array, group, volume)));
        }
    }
    Ok(Answer::Items(items))
}

pub(super) fn delete_volumes(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let (names, members) = (changed_groups(array, ask)?, ask.query.list("member_names"));
    for group in names.iter().filter_map(|name| array.groups.get(name)) {
        if !members.is_empty() {
            refuse_if_locked(group)?;
        }
        if let Some(absent) = members.iter().find(|volume| !group.volumes.contains(volume)) {
            return Err(ApiError::new(
                absent,
                "Volume could not be found in the protection group.",
            ));
        }
    }
    for name in names {
        if let Some(group) = array.groups.get_mut(&name) {
            Arc::make_mut(&mut group.volumes).retain(|volume| !members.contains(volume));
        }
    }
    Ok(Answer::Empty)
}

fn target_view(group: &Group, target: &str, allowed: bool) -> Value {
    json!({"group": {"id": group.id, "name": group.name}, "member": {"name": target}, "allowed": allowed})
}

pub(super) fn get_targets(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let (names, members) = (groups(array, ask)?, ask.query.list("member_names"));
    let mut items = Vec::new();
    for group in names.iter().filter_map(|name| array.groups.get(name)) {
        if group.is_local {
            items.extend(
                group
                    .targets
                    .iter()
                    .map(|(name, target)| target_view(group, name, target.allowed)),
            );
        } else {
            // A target knows of itself only, and what it says is what counts.
            items.push(target_view(group, ask.array, group.allowed));
        }
    }
    let wanted = |item: &Value| {
        members.is_empty()
            || item["member"]["name"]
                .as_str()
                .is_some_and(|name| members.iter().any(|m| m == name))
    };
    items.retain(wanted);
    Ok(Answer::List(items))
}

pub(super) fn post_targets(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let members = ask.query.list("member_names");
    if members.is_empty() {
        return Err(ApiError::new("member_names", "member_names is required."));
    }
    let names = changed_groups(world.array(ask.array)?, ask)?;
    let mut delays = Vec::new();
    for target in &members {
        let link = world
            .link(ask.array, target)
            .ok_or_else(|| ApiError::missing("Target", target))?;
        delays.push((target.clone(), link.config.announce_millis));
    }
    let array = world.array(ask.array)?;
    for group in names.iter().filter_map(|name| array.groups.get(name)) {
        if let Some(target) = members.iter().find(|target| group.targets.contains_key(*target)) {
            return Err(ApiError::new(
                target,
                "Protection group already includes the target.",
            ));
        }
        if group.targets.len() + members.len() > MAX_TARGETS {
            return Err(ApiError::new(
                &group.name,
                "Protection group target limit reached.",
            ));
        }
    }
    let mut items = Vec::new();
    for name in names {
        let Some(group) = array.groups.get_mut(&name) else {
            continue;
        };
        for (target, delay) in &delays {
            let state = Target {
                allowed: false,
                announce_at: ask.now + delay,
                announced: false,
            };
            group.targets.insert(target.clone(), state);
            items.push(target_view(group, target, false));
        }
    }
    Ok(Answer::Items(items))
}

/// Let a group of another array send its snapshots here, or no longer.
pub(super) fn patch_targets(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = groups(array, ask)?;
    if ask.query.list("group_names").is_empty() && ask.query.list("group_ids").is_empty() {
        return Err(ApiError::new(
            "group_names",
            "One of group_names or group_ids is required.",
        ));
    }
    let allowed = ask
        .body_flag("allowed")?
        .ok_or_else(|| ApiError::new("allowed", "allowed is required."))?;
    for name in &names {
        let group = array.live_group(name)?;
        if group.is_local {
            return Err(ApiError::new(
                name,
                "Protection group is local; only its targets can allow it.",
            ));
        }
        if allowed && group.allowed {
            return Err(ApiError::new(
                name,
                "Protection group is already allowed on target.",
            ));
        }
    }
    let mut items = Vec::new();
    for name in names {
        let Some(group) = array.groups.get_mut(&name) else {
            continue;
        };
        group.allowed = allowed;
        items.push(target_view(group, ask.array, allowed));
    }
    Ok(Answer::Items(items))
}

pub(super) fn delete_targets(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let (names, members) = (changed_groups(array, ask)?, ask.query.list("member_names"));
    for group in names.iter().filter_map(|name| array.groups.get(name)) {
        refuse_if_locked(group)?;
        if let Some(absent) = members.iter().find(|target| !group.targets.contains_key(*target)) {
            return Err(ApiError::new(
                absent,
                "Target could not be found in the protection group.",
            ));
        }
    }
    for name in names {
        let array = world.array(ask.array)?;
        if let Some(group) = array.groups.get_mut(&name) {
            group.targets.retain(|target, _| !members.contains(target));
        }
        for target in &members {
            leave_target(world, ask.array, &name, target);
        }
    }
    Ok(Answer::Empty)
}
