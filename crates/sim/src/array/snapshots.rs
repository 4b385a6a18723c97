//! Snapshots of volumes, those of groups among them.

use serde_json::{Value, json};

use super::ask::{Answer, Ask};
use super::error::{ApiError, ApiResult};
use super::names::{check_suffix, split};
use super::volumes::check_eradication;
use super::world::{Array, Reference, Snapshot, World, new_id, new_serial};

const WHAT: &str = "Volume snapshot";

fn view(array: &Array, snapshot: &Snapshot, now: u64) -> Value {
    let pod = split(&snapshot.name)
        .0
        .map_or_else(|| json!({}), |pod| json!({"name": pod}));
    json!({
        "id": snapshot.id, "name": snapshot.name, "suffix": snapshot.suffix, "serial": snapshot.serial,
        "created": snapshot.created, "provisioned": snapshot.provisioned, "destroyed": snapshot.destroyed.is_some(),
        "time_remaining": array.time_remaining(snapshot.destroyed, now), "source": snapshot.source.view(), "pod": pod,
        "space": {"total_physical": 0, "snapshots": 0},
    })
}

/// The snapshots that a call is about. `names` may name volumes too and then means all their snapshots.
fn pick(array: &Array, ask: &Ask<'_>) -> ApiResult<Vec<String>> {
    let named: Vec<String> = ask.query.list("names");
    if !named.is_empty() && named.iter().all(|name| array.volumes.contains_key(name)) {
        return Ok(of_sources(array, &named));
    }
    let found = ask.pick(&array.snapshots, WHAT, |snapshot| &snapshot.id)?;
    let sources = ask.query.list("source_names");
    let ids = ask.query.list("source_ids");
    if sources.is_empty() && ids.is_empty() {
        return Ok(found);
    }
    let wanted = |name: &String| {
        let source = array.snapshots.get(name).map(|snapshot| &snapshot.source);
        source.is_some_and(|source| sources.contains(&source.name) || ids.contains(&source.id))
    };
    Ok(found.into_iter().filter(wanted).collect())
}

fn of_sources(array: &Array, volumes: &[String]) -> Vec<String> {
    array
        .snapshots
        .values()
        .filter(|s| volumes.contains(&s.source.name))
        .map(|s| s.name.clone())
        .collect()
}

fn views(array: &Array, names: &[String], now: u64) -> Vec<Value> {
    names
        .iter()
        .filter_map(|name| array.snapshots.get(name))
        .map(|snapshot| view(array, snapshot, now))
        .collect()
}

pub(super) fn get(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = pick(array, ask)?;
    Ok(Answer::List(views(array, &names, ask.now)))
}

pub(super) fn post(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let sources = ask.pick_by("source_names", "source_ids", &array.volumes, "Volume", |volume| {
        &volume.id
    })?;
    if ask.query.list("source_names").is_empty() && ask.query.list("source_ids").is_empty() {
        return Err(ApiError::new(
            "source_names",
            "One of source_names or source_ids is required.",
        ));
    }
    let suffix = match ask.body_text("suffix") {
        Some(suffix) => {
            check_suffix(suffix)?;
            suffix.to_owned()
        }
        None => array.next_suffix(),
    };
    for source in &sources {
        array.live_volume(source)?;
        if array.snapshots.contains_key(&format!("{source}.{suffix}")) {
            return Err(ApiError::exists("Snapshot", &format!("{source}.{suffix}")));
        }
    }
    let mut names = Vec::new();
    for source in &sources {
        let Some(volume) = array.volumes.get(source) else {
            continue;
        };
        let snapshot = Snapshot {
            id: new_id(),
            name: format!("{source}.{suffix}"),
            suffix: suffix.clone(),
            serial: new_serial(),
            created: ask.now,
            provisioned: volume.provisioned,
            destroyed: None,
            source: Reference {
                id: volume.id.clone(),
                name: source.clone(),
            },
            group_snapshot: None,
            complete: true,
            content: volume.content.clone(),
        };
        names.push(snapshot.name.clone());
        array.snapshots.insert(snapshot.name.clone(), snapshot);
    }
    Ok(Answer::Items(views(array, &names, ask.now)))
}

pub(super) fn patch(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick_named(&array.snapshots, "No such volume or snapshot: it", |snapshot| {
        &snapshot.id
    })?;
    let destroyed = ask.body_flag("destroyed")?;
    let mut new_suffix = None;
    for name in &names {
        let Some(snapshot) = array.snapshots.get(name) else {
            continue;
        };
        if let (Some(_), Some(group)) = (destroyed, &snapshot.group_snapshot) {
            return Err(ApiError::new(
                name,
                format!("Snapshot is part of the protection group snapshot {group}."),
            ));
        }
        if snapshot.destroyed.is_some() && destroyed != Some(false) {
            return Err(ApiError::destroyed(WHAT, name));
        }
        if let Some(new) = ask.body_text("name") {
            // Clients send the suffix or the whole name.
            let suffix = new.rsplit_once('.').map_or(new, |(_, suffix)| suffix);
            check_suffix(suffix)?;
            let target = format!("{}.{suffix}", snapshot.source.name);
            if target != *name && array.snapshots.contains_key(&target) {
                return Err(ApiError::exists("Snapshot", &target));
            }
            new_suffix = Some(suffix.to_owned());
        }
    }
    let mut changed = Vec::new();
    for name in names {
        let Some(mut snapshot) = array.snapshots.remove(&name) else {
            continue;
        };
        match destroyed {
            Some(true) => snapshot.destroyed = Some(ask.now),
            Some(false) => snapshot.destroyed = None,
            None => {}
        }
        if let Some(suffix) = &new_suffix {
            snapshot.name = format!("{}.{suffix}", snapshot.source.name);
            snapshot.suffix.clone_from(suffix);
        }
        changed.push(snapshot.name.clone());
        array.snapshots.insert(snapshot.name.clone(), snapshot);
    }
    Ok(Answer::Items(views(array, &changed, ask.now)))
}

pub(super) fn delete(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick_named(&array.snapshots, WHAT, |snapshot| &snapshot.id)?;
    for name in &names {
        if array
            .snapshots
            .get(name)
            .is_some_and(|snapshot| snapshot.destroyed.is_none())
        {
            return Err(ApiError::new(name, "Volume snapshot is not destroyed."));
        }
    }
    check_eradication(array, &names)?;
    for name in &names {
        array.snapshots.remove(name);
    }
    Ok(Answer::Empty)
}

/// The transfers of group snapshots, volume by volume.
pub(super) fn transfers(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let transfers = world.transfers.clone();
    let array = world.array(ask.array)?;
    let names = pick(array, ask)?;
    let mut items = Vec::new();
    for snapshot in names.iter().filter_map(|name| array.snapshots.get(name)) {
        let of_group = snapshot.group_snapshot.as_deref().unwrap_or_default();
        for transfer in transfers.iter().filter(|transfer| {
            (transfer.to == ask.array && transfer.started.is_some() && transfer.target_name() == of_group)
                || (transfer.from == ask.array && transfer.snapshot == of_group)
        }) {
            items.push(json!({
                "id": snapshot.id, "name": snapshot.name, "started": transfer.started, "completed": transfer.completed,
                "progress": transfer.progress(), "destroyed": snapshot.destroyed.is_some(),
                "data_transferred": snapshot.content.bytes_since(None), "physical_bytes_written": snapshot.content.bytes_since(None),
            }));
        }
    }
    Ok(Answer::List(items))
}
