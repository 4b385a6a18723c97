//! Volumes: made, cloned, overwritten, renamed, resized, destroyed, recovered, eradicated.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::aging;
use super::ask::{Answer, Ask};
use super::content::Content;
use super::error::{ApiError, ApiResult};
use super::names::{check_volume_name, split};
use super::world::{Array, Reference, Tag, Volume, World, new_id, new_serial};

const WHAT: &str = "Volume";
/// The smallest and largest volume in bytes.
const SIZES: std::ops::RangeInclusive<u64> = 1024 * 1024..=4 * 1024 * 1024 * 1024 * 1024 * 1024;

fn id(volume: &Volume) -> &str {
    &volume.id
}

pub(super) fn view(array: &Array, volume: &Volume, now: u64) -> Value {
    let (pod, group, _) = split(&volume.name);
    let container = |name: Option<String>, id: Option<&String>| match name {
        Some(name) => json!({"id": id, "name": name}),
        None => json!({}),
    };
    let group = group.map(|group| pod.map_or_else(|| group.to_owned(), |pod| format!("{pod}::{group}")));
    let pod = pod.map(str::to_owned);
    let pod_id = pod
        .as_ref()
        .and_then(|pod| array.pods.get(pod))
        .map(|pod| &pod.id);
    let group_id = group
        .as_ref()
        .and_then(|group| array.volume_groups.get(group))
        .map(|group| &group.id);
    let used: u64 = volume.content.blocks().values().map(|block| block.bytes).sum();
    json!({
        "id": volume.id, "name": volume.name, "serial": volume.serial, "created": volume.created,
        "provisioned": volume.provisioned, "destroyed": volume.destroyed.is_some(),
        "time_remaining": array.time_remaining(volume.destroyed, now),
        "connection_count": array.connection_count(&volume.name), "subtype": "regular", "qos": volume.qos,
        "source": volume.source.as_ref().map_or_else(|| json!({}), Reference::view),
        "pod": container(pod, pod_id), "volume_group": container(group, group_id),
        "promotion_status": "promoted", "requested_promotion_state": "promoted",
        "space": {
            "total_physical": used, "total_provisioned": volume.provisioned, "total_used": used, "unique": used,
            "virtual": used, "snapshots": 0, "data_reduction": 1.0, "thin_provisioning": 1.0, "total_reduction": 1.0,
        },
    })
}

pub(super) fn get(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick(&array.volumes, WHAT, id)?;
    Ok(Answer::List(
        names
            .iter()
            .filter_map(|name| array.volumes.get(name))
            .map(|v| view(array, v, ask.now))
            .collect(),
    ))
}

/// What a new volume, or one that is overwritten, starts from.
#[derive(Default)]
struct Origin {
    size: Option<u64>,
    source: Option<Reference>,
    content: Content,
    tags: Vec<Tag>,
}

pub(super) fn post(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let overwrite = ask.query.is("overwrite")?;
    let protect = ask.query.flag("with_default_protection")?;
    if ask.strict && overwrite && protect.is_some() {
        return Err(ApiError::new(
            "with_default_protection",
            "with_default_protection cannot be combined with overwrite.",
        ));
    }
    let array = world.array(ask.array)?;
    let origin = origin(array, ask)?;
    let size = ask.number("provisioned")?.or(origin.size);
    let names = ask.new_names()?;
    for name in &names {
        match array.volumes.get(name) {
            Some(volume) if volume.destroyed.is_some() => {
                return Err(ApiError::new(
                    name,
                    "Volume already exists: it has been destroyed and is pending eradication.",
                ));
            }
            Some(_) if overwrite && origin.source.is_some() => {}
            Some(_) => return Err(ApiError::exists(WHAT, name)),
            None => {
                check_volume_name(array, name)?;
                let size = size.ok_or_else(|| ApiError::new(name, "Provisioned size is required."))?;
                check_size(name, size)?;
            }
        }
    }
    let joins = if ask.version >= 16 && protect != Some(false) {
        default_groups(array, &names)
    } else {
        Vec::new()
    };
    for name in &names {
        if let Some(volume) = array.volumes.get_mut(name) {
            volume.content = origin.content.clone();
            volume.source.clone_from(&origin.source);
            volume.provisioned = origin.size.unwrap_or(volume.provisioned);
            continue;
        }
        let volume = Volume {
            id: new_id(),
            name: name.clone(),
            serial: new_serial(),
            created: ask.now,
            provisioned: size.unwrap_or_default(),
            destroyed: None,
            source: origin.source.clone(),
            qos: ask
                .body
                .get("qos")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            tags: origin.tags.clone(),
            content: origin.content.clone(),
        };
        array.volumes.insert(name.clone(), volume);
        for (_, group) in joins.iter().filter(|(joiner, _)| joiner == name) {
            if let Some(group) = array
                .groups
                .get_mut(group)
                .filter(|group| !group.volumes.contains(name))
            {
                Arc::make_mut(&mut group.volumes).push(name.clone());
            }
        }
    }
    Ok(views(array, &names, ask.now))
}

fn views(array: &Array, names: &[String], now: u64) -> Answer {
    Answer::Items(
        names
            .iter()
            .filter_map(|name| array.volumes.get(name))
            .map(|v| view(array, v, now))
            .collect(),
    )
}

fn check_size(name: &str, size: u64) -> ApiResult<()> {
    if SIZES.contains(&size) && size.is_multiple_of(512) {
        return Ok(());
    }
    Err(ApiError::new(name, "Invalid volume size."))
}

/// Which volumes join which groups because nobody said otherwise.
fn default_groups(array: &Array, names: &[String]) -> Vec<(String, String)> {
    let mut joins = Vec::new();
    for name in names.iter().filter(|name| !array.volumes.contains_key(*name)) {
        let groups = array.default_protections.get(split(name).0.unwrap_or_default());
        joins.extend(
            groups
                .into_iter()
                .flatten()
                .map(|group| (name.clone(), group.clone())),
        );
    }
    joins
}

fn origin(array: &Array, ask: &Ask<'_>) -> ApiResult<Origin> {
    let Some(source) = ask.body.get("source").filter(|source| !source.is_null()) else {
        return Ok(Origin::default());
    };
    let (name, wanted) = (
        source.get("name").and_then(Value::as_str),
        source.get("id").and_then(Value::as_str),
    );
    let is = |entry_name: &str, entry_id: &str| {
        name == Some(entry_name) || (name.is_none() && wanted == Some(entry_id))
    };
    let gone = |name: &str| Err(ApiError::new(name, "Source has been destroyed."));
    if let Some(snapshot) = array.snapshots.values().find(|s| is(&s.name, &s.id)) {
        if snapshot.destroyed.is_some() {
            return gone(&snapshot.name);
        }
        if !snapshot.complete {
            return Err(ApiError::new(&snapshot.name, "Snapshot is still being received."));
        }
        return Ok(Origin {
            size: Some(snapshot.provisioned),
            source: Some(snapshot.source.clone()),
            content: snapshot.content.clone(),
            tags: Vec::new(),
        });
    }
    if let Some(volume) = array.volumes.values().find(|v| is(&v.name, &v.id)) {
        if volume.destroyed.is_some() {
            return gone(&volume.name);
        }
        return Ok(Origin {
            size: Some(volume.provisioned),
            source: Some(Reference {
                id: volume.id.clone(),
                name: volume.name.clone(),
            }),
            content: volume.content.clone(),
            tags: volume.tags.iter().filter(|tag| tag.copyable).cloned().collect(),
        });
    }
    Err(ApiError::new(
        name.or(wanted).unwrap_or_default(),
        "No such volume or snapshot: it does not exist.",
    ))
}

pub(super) fn patch(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick_named(&array.volumes, WHAT, id)?;
    let destroyed = ask.body_flag("destroyed")?;
    let size = ask.number("provisioned")?;
    let truncate = ask.query.is("truncate")?;
    if names.len() > 1 && ask.body.get("name").is_some() {
        return Err(ApiError::new("name", "Only one volume can be renamed at a time."));
    }
    // All of it is checked before any of it is done.
    for name in &names {
        let Some(volume) = array.volumes.get(name) else {
            continue;
        };
        if volume.destroyed.is_some() && destroyed != Some(false) {
            return Err(ApiError::destroyed(WHAT, name));
        }
        if destroyed == Some(true) && array.connection_count(name) > 0 {
            return Err(ApiError::new(
                name,
                "Volume cannot be deleted due to existing connections.",
            ));
        }
        if let Some(size) = size {
            check_size(name, size)?;
            if size < volume.provisioned && !truncate {
                return Err(ApiError::new(
                    name,
                    "Volume size cannot be decreased without truncate.",
                ));
            }
        }
        let target = new_name(name, ask);
        if target != *name {
            check_volume_name(array, &target)?;
            if array.volumes.contains_key(&target) {
                return Err(ApiError::exists(WHAT, &target));
            }
        }
    }
    let mut renamed = Vec::new();
    for name in names {
        if let Some(volume) = array.volumes.get_mut(&name) {
            match destroyed {
                Some(true) => volume.destroyed = Some(ask.now),
                Some(false) => volume.destroyed = None,
                None => {}
            }
            volume.provisioned = size.unwrap_or(volume.provisioned);
            if let Some(qos) = ask.body.get("qos").and_then(Value::as_object) {
                merge(&mut volume.qos, qos);
            }
        }
        let target = new_name(&name, ask);
        rename(array, &name, &target);
        renamed.push(target);
    }
    Ok(views(array, &renamed, ask.now))
}

fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        into.insert(key.clone(), value.clone());
    }
}

/// What a volume is called after its name, pod or volume group have been changed.
fn new_name(name: &str, ask: &Ask<'_>) -> String {
    if let Some(new) = ask.body_text("name") {
        return new.to_owned();
    }
    let (pod, _, base) = split(name);
    if let Some(pod) = ask.body_name("pod") {
        return if pod.is_empty() {
            base.to_owned()
        } else {
            format!("{pod}::{base}")
        };
    }
    match ask.body_name("volume_group") {
        Some("") => pod.map_or_else(|| base.to_owned(), |pod| format!("{pod}::{base}")),
        Some(group) => format!("{group}/{base}"),
        None => name.to_owned(),
    }
}

/// Rename a volume and its own snapshots. Group snapshots keep the name it had when they were made.
fn rename(array: &mut Array, old: &str, new: &str) {
    if old == new {
        return;
    }
    let Some(mut volume) = array.volumes.remove(old) else {
        return;
    };
    new.clone_into(&mut volume.name);
    array.volumes.insert(new.to_owned(), volume);
    for connection in array
        .connections
        .iter_mut()
        .filter(|connection| connection.volume == old)
    {
        new.clone_into(&mut connection.volume);
    }
    for group in array.groups.values_mut().filter(|group| group.is_local) {
        if let Some(at) = group.volumes.iter().position(|volume| volume == old) {
            new.clone_into(&mut Arc::make_mut(&mut group.volumes)[at]);
        }
    }
    let own: Vec<String> = array
        .snapshots
        .values()
        .filter(|snapshot| snapshot.source.name == old)
        .map(|s| s.name.clone())
        .collect();
    for name in own {
        let Some(mut snapshot) = array.snapshots.remove(&name) else {
            continue;
        };
        new.clone_into(&mut snapshot.source.name);
        if snapshot.group_snapshot.is_none() {
            snapshot.name = format!("{new}.{}", snapshot.suffix);
        }
        array.snapshots.insert(snapshot.name.clone(), snapshot);
    }
}

pub(super) fn delete(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick_named(&array.volumes, WHAT, id)?;
    for name in &names {
        if array
            .volumes
            .get(name)
            .is_some_and(|volume| volume.destroyed.is_none())
        {
            return Err(ApiError::new(name, "Volume is not destroyed."));
        }
    }
    check_eradication(array, &names)?;
    for name in &names {
        aging::remove_volume(array, name);
    }
    Ok(Answer::Empty)
}

/// An array in SafeMode lets nobody eradicate by hand.
pub(super) fn check_eradication(array: &Array, names: &[String]) -> ApiResult<()> {
    match names.first() {
        Some(name) if !array.manual_eradication => Err(ApiError::new(name, "Eradication is disabled.")),
        _ => Ok(()),
    }
}
