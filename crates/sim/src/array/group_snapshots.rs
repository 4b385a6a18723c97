//! Snapshots of protection groups: all members at one instant, here and on the targets.

use serde_json::{Value, json};

use super::aging;
use super::ask::{Answer, Ask};
use super::error::{ApiError, ApiResult};
use super::names::{check_suffix, split};
use super::replication;
use super::volumes::check_eradication;
use super::world::{Array, GroupSnapshot, Reference, Snapshot, World, new_id, new_serial};

const WHAT: &str = "Protection group snapshot";
/// A snapshot that was made for replication only is gone from the source after this long.
const FOR_REPLICATION: u64 = 60 * 60 * 1000;

/// How a group snapshot is made.
#[derive(Clone, Debug, Default)]
pub(super) struct Making {
    pub suffix: Option<String>,
    pub ages: bool,
    pub replicate: bool,
    /// Behind earlier transfers instead of at once.
    pub queue: bool,
    /// The source keeps it for an hour only.
    pub passing: bool,
    /// By a schedule.
    pub scheduled: bool,
}

fn view(array: &Array, snapshot: &GroupSnapshot, now: u64) -> Value {
    let pod = split(&snapshot.name)
        .0
        .map_or_else(|| json!({}), |pod| json!({"name": pod}));
    json!({
        "id": snapshot.id, "name": snapshot.name, "suffix": snapshot.suffix, "created": snapshot.created,
        "destroyed": snapshot.destroyed.is_some(), "time_remaining": array.time_remaining(snapshot.destroyed, now),
        "source": snapshot.source.view(), "pod": pod, "space": {},
    })
}

fn id(snapshot: &GroupSnapshot) -> &str {
    &snapshot.id
}

fn views(array: &Array, names: &[String], now: u64) -> Vec<Value> {
    names
        .iter()
        .filter_map(|name| array.group_snapshots.get(name))
        .map(|snapshot| view(array, snapshot, now))
        .collect()
}

/// The snapshots that a call is about. `names` may name groups too and then means all their snapshots.
fn pick(array: &Array, ask: &Ask<'_>) -> ApiResult<Vec<String>> {
    let named = ask.query.list("names");
    let sources = ask.query.list("source_names");
    if !named.is_empty() && named.iter().all(|name| array.groups.contains_key(name)) {
        return Ok(of_groups(array, &named));
    }
    if let Some(missing) = sources.iter().find(|source| !array.groups.contains_key(*source)) {
        return Err(ApiError::missing("Protection group", missing));
    }
    let found = ask.pick(&array.group_snapshots, WHAT, id)?;
    if sources.is_empty() {
        return Ok(found);
    }
    let of_sources = of_groups(array, &sources);
    Ok(found
        .into_iter()
        .filter(|name| of_sources.contains(name))
        .collect())
}

fn of_groups(array: &Array, groups: &[String]) -> Vec<String> {
    array
        .group_snapshots
        .values()
        .filter(|s| groups.contains(&s.source.name))
        .map(|s| s.name.clone())
        .collect()
}

pub(super) fn get(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = pick(array, ask)?;
    Ok(Answer::List(views(array, &names, ask.now)))
}

pub(super) fn post(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let sources = ask.query.list("source_names");
    if sources.is_empty() {
        return Err(ApiError::new("source_names", "source_names is required."));
    }
    let flags = ["replicate", "replicate_now", "for_replication"].map(|flag| ask.query.is(flag));
    let [queue, now, passing] = flags;
    let (queue, now, passing) = (queue?, now?, passing?);
    if queue && now {
        return Err(ApiError::new(
            "replicate_now",
            "replicate and replicate_now cannot be combined.",
        ));
    }
    let suffix = ask.body_text("suffix").map(str::to_owned);
    if let Some(suffix) = &suffix {
        check_suffix(suffix)?;
    }
    let making = Making {
        suffix,
        ages: ask.query.is("apply_retention")?,
        replicate: queue || now,
        queue,
        passing,
        scheduled: false,
    };
    for source in &sources {
        check(array, source, &making)?;
    }
    let mut names = Vec::new();
    for source in &sources {
        names.push(make(world, ask.array, source, &making, ask.now)?);
    }
    let array = world.array(ask.array)?;
    Ok(Answer::Items(views(array, &names, ask.now)))
}

fn check(array: &Array, group: &str, making: &Making) -> ApiResult<()> {
    let state = array.live_group(group)?;
    if !state.is_local {
        return Err(ApiError::new(
            group,
            "Protection group is not local; snapshots are made on its source.",
        ));
    }
    if making.replicate && !state.targets.values().any(|target| target.allowed) {
        return Err(ApiError::new(
            group,
            "Protection group has no allowed target to replicate to.",
        ));
    }
    match &making.suffix {
        Some(suffix) if array.group_snapshots.contains_key(&format!("{group}.{suffix}")) => {
            Err(ApiError::exists("Snapshot", &format!("{group}.{suffix}")))
        }
        _ => Ok(()),
    }
}

/// Make a snapshot of a group: all its live volumes at this instant, as the fabric is locked meanwhile.
pub(super) fn make(
    world: &mut World,
    source: &str,
    group: &str,
    making: &Making,
    now: u64,
) -> ApiResult<String> {
    let array = world.array(source)?;
    check(array, group, making)?;
    let suffix = match &making.suffix {
        Some(suffix) => suffix.clone(),
        None => array.next_suffix(),
    };
    let name = format!("{group}.{suffix}");
    let state = array.live_group(group)?;
    let mut members = Vec::new();
    for volume in state
        .volumes
        .iter()
        .filter_map(|volume| array.live_volume(volume).ok())
    {
        let short = volume
            .name
            .split_once("::")
            .map_or(volume.name.as_str(), |(_, short)| short);
        members.push(Snapshot {
            id: new_id(),
            name: format!("{name}.{short}"),
            suffix: suffix.clone(),
            serial: new_serial(),
            created: now,
            provisioned: volume.provisioned,
            destroyed: None,
            source: Reference {
                id: volume.id.clone(),
                name: volume.name.clone(),
            },
            group_snapshot: Some(name.clone()),
            complete: true,
            content: volume.content.clone(),
        });
    }
    let snapshot = GroupSnapshot {
        id: new_id(),
        name: name.clone(),
        suffix,
        created: now,
        destroyed: None,
        source: Reference {
            id: state.id.clone(),
            name: group.to_owned(),
        },
        ages: making.ages,
        until: making.passing.then(|| now + FOR_REPLICATION),
    };
    array
        .snapshots
        .extend(members.into_iter().map(|member| (member.name.clone(), member)));
    array.group_snapshots.insert(name.clone(), snapshot);
    if making.replicate {
        replication::send(world, source, group, &name, making, now);
    }
    Ok(name)
}

pub(super) fn patch(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick_named(&array.group_snapshots, WHAT, id)?;
    let destroyed = ask.body_flag("destroyed")?;
    for name in &names {
        let Some(snapshot) = array.group_snapshots.get(name) else {
            continue;
        };
        if snapshot.destroyed.is_some() && destroyed != Some(false) {
            return Err(ApiError::destroyed(WHAT, name));
        }
        let locked = array
            .groups
            .get(&snapshot.source.name)
            .is_some_and(|group| group.ratcheted);
        if locked && destroyed == Some(true) {
            return Err(ApiError::new(
                name,
                "Protection group is locked by its ratcheted retention lock.",
            ));
        }
    }
    for name in &names {
        match destroyed {
            Some(true) => aging::destroy_group_snapshot(array, name, ask.now),
            Some(false) => recover(array, name),
            None => {}
        }
    }
    Ok(Answer::Items(views(array, &names, ask.now)))
}

fn recover(array: &mut Array, name: &str) {
    if let Some(snapshot) = array.group_snapshots.get_mut(name) {
        snapshot.destroyed = None;
    }
    for member in array.members_of(name) {
        if let Some(member) = array.snapshots.get_mut(&member) {
            member.destroyed = None;
        }
    }
}

pub(super) fn delete(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick_named(&array.group_snapshots, WHAT, id)?;
    for name in &names {
        if array
            .group_snapshots
            .get(name)
            .is_some_and(|snapshot| snapshot.destroyed.is_none())
        {
            return Err(ApiError::new(name, "Protection group snapshot is not destroyed."));
        }
    }
    check_eradication(array, &names)?;
    for name in &names {
        aging::remove_group_snapshot(array, name);
    }
    aging::forget_transfers(world);
    Ok(Answer::Empty)
}

/// How far the snapshots have come. A target knows of a transfer from its start on, the source from the
/// snapshot on; there one with several targets is told of once for each.
pub(super) fn transfers(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let transfers = world.transfers.clone();
    let array = world.array(ask.array)?;
    let names = pick(array, ask)?;
    let mut items = Vec::new();
    for transfer in &transfers {
        let (name, target) = if transfer.to == ask.array && transfer.started.is_some() {
            (transfer.target_name(), None)
        } else if transfer.from == ask.array {
            (transfer.snapshot.clone(), Some(&transfer.to))
        } else {
            continue;
        };
        let Some(snapshot) = array.group_snapshots.get(&name).filter(|_| names.contains(&name)) else {
            continue;
        };
        let sent = transfer
            .bytes
            .saturating_mul(transfer.done)
            .checked_div(transfer.needs)
            .unwrap_or(transfer.bytes);
        let mut item = json!({
            "id": snapshot.id, "name": name, "started": transfer.started, "completed": transfer.completed,
            "progress": transfer.progress(), "data_transferred": sent, "physical_bytes_written": sent,
            "destroyed": snapshot.destroyed.is_some(),
        });
        if let Some(target) = target {
            item["target"] = json!({"name": target});
        }
        items.push(item);
    }
    Ok(Answer::List(items))
}
