//! Pods and volume groups, as far as volumes live in them, and what new volumes are protected by.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::ask::{Answer, Ask};
use super::error::{ApiError, ApiResult};
use super::hosts::merge;
use super::names::{check_name, split};
use super::volumes::check_eradication;
use super::world::{Array, Container, World, new_id};

/// Pods and volume groups differ in little that matters here.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Pod,
    VolumeGroup,
}

impl Kind {
    fn what(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::VolumeGroup => "Volume group",
        }
    }

    fn table(self, array: &mut Array) -> &mut BTreeMap<String, Container> {
        match self {
            Self::Pod => &mut array.pods,
            Self::VolumeGroup => &mut array.volume_groups,
        }
    }

    fn prefix(self, name: &str) -> String {
        match self {
            Self::Pod => format!("{name}::"),
            Self::VolumeGroup => format!("{name}/"),
        }
    }
}

fn view(array: &Array, kind: Kind, container: &Container, now: u64) -> Value {
    let prefix = kind.prefix(&container.name);
    let volumes = array
        .volumes
        .values()
        .filter(|v| v.name.starts_with(&prefix) && v.destroyed.is_none())
        .count();
    let mut view = json!({
        "id": container.id, "name": container.name, "destroyed": container.destroyed.is_some(),
        "time_remaining": array.time_remaining(container.destroyed, now), "volume_count": volumes,
    });
    if matches!(kind, Kind::Pod) {
        let member = json!({
            "id": array.id, "name": array.name, "status": "online", "mediator_status": "online", "frozen_at": null,
            "pre_elected": false, "progress": null,
        });
        merge(
            &mut view,
            &json!({
                "array_count": 1, "arrays": [member], "link_source_count": 0, "link_target_count": 0,
                "failover_preferences": [], "mediator": "purestorage", "promotion_status": "promoted",
                "requested_promotion_state": "promoted",
            }),
        );
    }
    merge(&mut view, &Value::Object(container.fields.clone()));
    view
}

fn views(array: &mut Array, kind: Kind, names: &[String], now: u64) -> Vec<Value> {
    let containers: Vec<Container> = names
        .iter()
        .filter_map(|name| kind.table(array).get(name).cloned())
        .collect();
    containers
        .iter()
        .map(|container| view(array, kind, container, now))
        .collect()
}

fn id(container: &Container) -> &str {
    &container.id
}

pub(super) fn get(world: &mut World, ask: &Ask<'_>, kind: Kind) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick(kind.table(array), kind.what(), id)?;
    Ok(Answer::List(views(array, kind, &names, ask.now)))
}

/// The fields of a body that a container keeps as they are.
fn fields(ask: &Ask<'_>) -> Map<String, Value> {
    let mut fields = ask.body.as_object().cloned().unwrap_or_default();
    fields.retain(|name, _| !["name", "destroyed", "id"].contains(&name.as_str()));
    fields
}

pub(super) fn post(world: &mut World, ask: &Ask<'_>, kind: Kind) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.new_names()?;
    for name in &names {
        if kind.table(array).contains_key(name) {
            return Err(ApiError::exists(kind.what(), name));
        }
        check_name("container", split(name).2)?;
    }
    for name in &names {
        let container = Container {
            id: new_id(),
            name: name.clone(),
            destroyed: None,
            fields: fields(ask),
        };
        kind.table(array).insert(name.clone(), container);
    }
    Ok(Answer::Items(views(array, kind, &names, ask.now)))
}

pub(super) fn patch(world: &mut World, ask: &Ask<'_>, kind: Kind) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick_named(kind.table(array), kind.what(), id)?;
    let destroyed = ask.body_flag("destroyed")?;
    let contents = ask.query.is("destroy_contents")?;
    for name in &names {
        let prefix = kind.prefix(name);
        let full = array
            .volumes
            .values()
            .any(|v| v.name.starts_with(&prefix) && v.destroyed.is_none());
        if destroyed == Some(true) && full && !contents {
            return Err(ApiError::new(name, format!("{} is not empty.", kind.what())));
        }
    }
    for name in &names {
        if destroyed == Some(true) {
            let prefix = kind.prefix(name);
            for volume in array
                .volumes
                .values_mut()
                .filter(|volume| volume.name.starts_with(&prefix))
            {
                volume.destroyed.get_or_insert(ask.now);
            }
        }
        let Some(container) = kind.table(array).get_mut(name) else {
            continue;
        };
        match destroyed {
            Some(true) => container.destroyed = Some(ask.now),
            Some(false) => container.destroyed = None,
            None => {}
        }
        container.fields.extend(fields(ask));
    }
    Ok(Answer::Items(views(array, kind, &names, ask.now)))
}

pub(super) fn delete(world: &mut World, ask: &Ask<'_>, kind: Kind) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick_named(kind.table(array), kind.what(), id)?;
    for name in &names {
        if kind
            .table(array)
            .get(name)
            .is_some_and(|container| container.destroyed.is_none())
        {
            return Err(ApiError::new(name, format!("{} is not destroyed.", kind.what())));
        }
    }
    check_eradication(array, &names)?;
    for name in &names {
        kind.table(array).remove(name);
        let prefix = kind.prefix(name);
        array.volumes.retain(|volume, _| !volume.starts_with(&prefix));
    }
    Ok(Answer::Empty)
}

/// The container of a default protection: a pod, or `""` for the array itself.
fn containers(array: &Array, ask: &Ask<'_>) -> ApiResult<Vec<String>> {
    let names = ask.query.list("names");
    if names.is_empty() {
        return Ok(std::iter::once(String::new())
            .chain(array.pods.keys().cloned())
            .collect());
    }
    let key = |name: String| match name {
        name if name == array.name => Ok(String::new()),
        name if array.pods.contains_key(&name) => Ok(name),
        name => Err(ApiError::missing("Container", &name)),
    };
    names.into_iter().map(key).collect()
}

fn protection_view(array: &Array, key: &str) -> Value {
    let groups = array.default_protections.get(key).cloned().unwrap_or_default();
    let groups: Vec<Value> = groups
        .iter()
        .map(|name| json!({"id": array.groups.get(name).map(|group| &group.id), "name": name, "type": "protection_group"}))
        .collect();
    let (name, kind) = if key.is_empty() {
        (array.name.as_str(), "")
    } else {
        (key, "pod")
    };
    json!({"name": name, "type": kind, "default_protections": groups})
}

pub(super) fn get_protections(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let keys = containers(array, ask)?;
    Ok(Answer::List(
        keys.iter().map(|key| protection_view(array, key)).collect(),
    ))
}

pub(super) fn patch_protections(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let keys = containers(array, ask)?;
    let given = ask.body.get("default_protections").and_then(Value::as_array);
    let given =
        given.ok_or_else(|| ApiError::new("default_protections", "default_protections is required."))?;
    let mut groups = Vec::new();
    for group in given {
        let name = group.get("name").and_then(Value::as_str).unwrap_or_default();
        groups.push(array.live_group(name)?.name.clone());
    }
    for key in &keys {
        array.default_protections.insert(key.clone(), groups.clone());
    }
    Ok(Answer::Items(
        keys.iter().map(|key| protection_view(array, key)).collect(),
    ))
}
