//! Tags of volumes: keys with values in namespaces.

use serde_json::{Value, json};

use super::ask::{Answer, Ask};
use super::error::{ApiError, ApiResult};
use super::filter::wildcard;
use super::world::{Tag, Volume, World};

const DEFAULT_NAMESPACE: &str = "default";

fn view(volume: &Volume, tag: &Tag) -> Value {
    json!({
        "namespace": tag.namespace, "key": tag.key, "value": tag.value, "copyable": tag.copyable,
        "resource": {"id": volume.id, "name": volume.name},
    })
}

/// Without a namespace only the default one is meant; `*` means all.
fn namespaces(ask: &Ask<'_>) -> Vec<String> {
    let given = ask.query.list("namespaces");
    if given.is_empty() {
        vec![DEFAULT_NAMESPACE.to_owned()]
    } else {
        given
    }
}

fn in_namespaces(tag: &Tag, namespaces: &[String]) -> bool {
    namespaces.iter().any(|pattern| wildcard(&tag.namespace, pattern))
}

/// All of an array's tags can't be asked for at once.
fn require_resources(ask: &Ask<'_>) -> ApiResult<()> {
    if ask.query.list("resource_names").is_empty() && ask.query.list("resource_ids").is_empty() {
        return Err(ApiError::new(
            "resource_names",
            "One of resource_names or resource_ids is required.",
        ));
    }
    Ok(())
}

fn resources(ask: &Ask<'_>, world: &mut World) -> ApiResult<Vec<String>> {
    let array = world.array(ask.array)?;
    ask.pick_by(
        "resource_names",
        "resource_ids",
        &array.volumes,
        "Volume",
        |volume| &volume.id,
    )
}

pub(super) fn get(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    if ask.strict {
        require_resources(ask)?;
    }
    let (names, namespaces) = (resources(ask, world)?, namespaces(ask));
    let array = world.array(ask.array)?;
    let mut items = Vec::new();
    for volume in names.iter().filter_map(|name| array.volumes.get(name)) {
        let wanted = |tag: &&Tag| in_namespaces(tag, &namespaces);
        items.extend(volume.tags.iter().filter(wanted).map(|tag| view(volume, tag)));
    }
    Ok(Answer::List(items))
}

pub(super) fn put_batch(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    if ask.query.list("resource_names").is_empty() && ask.query.list("resource_ids").is_empty() {
        return Err(ApiError::new(
            "resource_names",
            "One of resource_names or resource_ids is required.",
        ));
    }
    let names = resources(ask, world)?;
    let given = ask
        .body
        .as_array()
        .ok_or_else(|| ApiError::new("", "A list of tags is required."))?;
    let tags = given.iter().map(read).collect::<ApiResult<Vec<Tag>>>()?;
    let array = world.array(ask.array)?;
    let mut items = Vec::new();
    for name in names {
        let Some(volume) = array.volumes.get_mut(&name) else {
            continue;
        };
        for tag in &tags {
            volume
                .tags
                .retain(|old| (&old.namespace, &old.key) != (&tag.namespace, &tag.key));
            volume.tags.push(tag.clone());
            items.push(view(volume, tag));
        }
    }
    Ok(Answer::Items(items))
}

fn read(value: &Value) -> ApiResult<Tag> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let key = text("key").filter(|key| (1..=64).contains(&key.len()));
    let key = key.ok_or_else(|| ApiError::new("key", "Invalid tag key."))?;
    let content = text("value").filter(|value| value.len() <= 256);
    Ok(Tag {
        value: content.ok_or_else(|| ApiError::new(&key, "Invalid tag value."))?,
        namespace: text("namespace").unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        copyable: value.get("copyable").and_then(Value::as_bool).unwrap_or(true),
        key,
    })
}

pub(super) fn delete(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    require_resources(ask)?;
    let (names, namespaces, keys) = (resources(ask, world)?, namespaces(ask), ask.query.list("keys"));
    if namespaces.len() > 1 {
        return Err(ApiError::new(
            "namespaces",
            "Only one namespace is allowed per delete request.",
        ));
    }
    if keys.is_empty() {
        return Err(ApiError::new("keys", "keys is required."));
    }
    let array = world.array(ask.array)?;
    for name in names {
        if let Some(volume) = array.volumes.get_mut(&name) {
            volume
                .tags
                .retain(|tag| !(in_namespaces(tag, &namespaces) && keys.contains(&tag.key)));
        }
    }
    Ok(Answer::Empty)
}
