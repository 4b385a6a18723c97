//! Hosts, and which volumes they see.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::ask::{Answer, Ask};
use super::error::{ApiError, ApiResult};
use super::names::check_name;
use super::world::{Array, Connection, World};

const WHAT: &str = "Host";
const PORTS: [&str; 3] = ["iqns", "wwns", "nqns"];
const MAX_LUN: u64 = 4095;

/// Hosts have no id on an array.
fn no_id(_: &Value) -> &str {
    ""
}

fn view(array: &Array, host: &Value) -> Value {
    let mut host = host.clone();
    let name = host["name"].as_str().unwrap_or_default().to_owned();
    host["connection_count"] = json!(
        array
            .connections
            .iter()
            .filter(|connection| connection.host == name)
            .count()
    );
    host
}

fn views(array: &Array, names: &[String]) -> Vec<Value> {
    names
        .iter()
        .filter_map(|name| array.hosts.get(name))
        .map(|host| view(array, host))
        .collect()
}

pub(super) fn get(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick(&array.hosts, WHAT, no_id)?;
    Ok(Answer::List(views(array, &names)))
}

fn ports(host: &Value, kind: &str) -> BTreeSet<String> {
    let ports = host.get(kind).and_then(Value::as_array);
    ports
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// A port belongs to one host only.
fn check_ports(array: &Array, name: &str, body: &Value) -> ApiResult<()> {
    for kind in PORTS {
        let wanted = ports(body, kind);
        let taken = array
            .hosts
            .iter()
            .any(|(other, host)| other != name && !ports(host, kind).is_disjoint(&wanted));
        if taken {
            let word = kind.trim_end_matches('s').to_uppercase();
            return Err(ApiError::new(
                name,
                format!("The specified {word} is already in use."),
            ));
        }
    }
    Ok(())
}

pub(super) fn post(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.new_names()?;
    for name in &names {
        if array.hosts.contains_key(name) {
            return Err(ApiError::exists(WHAT, name));
        }
        check_name("host", name)?;
        check_ports(array, name, ask.body)?;
    }
    for name in &names {
        let of_body = |field: &str, default: Value| ask.body.get(field).cloned().unwrap_or(default);
        let host = json!({
            "name": name, "is_local": true, "iqns": of_body("iqns", json!([])), "wwns": of_body("wwns", json!([])),
            "nqns": of_body("nqns", json!([])), "personality": of_body("personality", Value::Null),
            "chap": of_body("chap", json!({})), "preferred_arrays": of_body("preferred_arrays", json!([])),
            "host_group": {},
        });
        array.hosts.insert(name.clone(), host);
    }
    Ok(Answer::Items(views(array, &names)))
}

pub(super) fn patch(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let mut names = ask.pick_named(&array.hosts, WHAT, no_id)?;
    for name in &names {
        check_ports(array, name, ask.body)?;
    }
    let new_name = ask.body_text("name").map(str::to_owned);
    if let (Some(new), [old]) = (&new_name, names.as_slice())
        && new != old
        && array.hosts.contains_key(new)
    {
        return Err(ApiError::exists(WHAT, new));
    }
    for name in &mut names {
        let Some(mut host) = array.hosts.remove(name) else {
            continue;
        };
        merge(&mut host, ask.body);
        if let Some(new) = &new_name {
            for connection in array
                .connections
                .iter_mut()
                .filter(|connection| connection.host == *name)
            {
                connection.host.clone_from(new);
            }
            name.clone_from(new);
        }
        array.hosts.insert(name.clone(), host);
    }
    Ok(Answer::Items(views(array, &names)))
}

/// Replace fields; the fields of an object one by one.
pub(super) fn merge(into: &mut Value, from: &Value) {
    let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) else {
        return;
    };
    for (key, value) in from {
        match into.get_mut(key) {
            Some(old) if old.is_object() && value.is_object() => merge(old, value),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

pub(super) fn delete(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let names = ask.pick_named(&array.hosts, WHAT, no_id)?;
    for name in &names {
        if array
            .connections
            .iter()
            .any(|connection| connection.host == *name)
        {
            return Err(ApiError::new(
                name,
                "Host cannot be deleted due to existing connections.",
            ));
        }
    }
    array.hosts.retain(|name, _| !names.contains(name));
    Ok(Answer::Empty)
}

fn connection_view(array: &Array, connection: &Connection) -> Value {
    let id = array.volumes.get(&connection.volume).map(|volume| &volume.id);
    json!({
        "host": {"name": connection.host}, "host_group": {}, "lun": connection.lun,
        "volume": {"id": id, "name": connection.volume},
    })
}

/// The hosts and volumes that a call names; all of them exist.
fn ends(array: &Array, ask: &Ask<'_>) -> ApiResult<(Vec<String>, Vec<String>)> {
    let hosts = ask.query.list("host_names");
    let mut volumes = ask.query.list("volume_names");
    for id in ask.query.list("volume_ids") {
        let found = array.volumes.values().find(|volume| volume.id == id);
        volumes.push(
            found
                .ok_or_else(|| ApiError::missing("Volume", &id))?
                .name
                .clone(),
        );
    }
    if let Some(host) = hosts.iter().find(|host| !array.hosts.contains_key(*host)) {
        return Err(ApiError::missing(WHAT, host));
    }
    if let Some(volume) = volumes.iter().find(|volume| !array.volumes.contains_key(*volume)) {
        return Err(ApiError::missing("Volume", volume));
    }
    Ok((hosts, volumes))
}

pub(super) fn get_connections(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let (hosts, volumes) = ends(array, ask)?;
    let wanted = |connection: &&Connection| {
        (hosts.is_empty() || hosts.contains(&connection.host))
            && (volumes.is_empty() || volumes.contains(&connection.volume))
    };
    Ok(Answer::List(
        array
            .connections
            .iter()
            .filter(wanted)
            .map(|c| connection_view(array, c))
            .collect(),
    ))
}

pub(super) fn post_connections(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let (hosts, volumes) = ends(array, ask)?;
    if hosts.is_empty() || volumes.is_empty() {
        return Err(ApiError::new(
            "host_names",
            "host_names and volume_names are required.",
        ));
    }
    for volume in &volumes {
        array.live_volume(volume)?;
        if array
            .connections
            .iter()
            .any(|c| c.volume == *volume && hosts.contains(&c.host))
        {
            return Err(ApiError::exists("Connection", volume));
        }
    }
    let wanted = ask.number("lun")?;
    let mut items = Vec::new();
    for host in &hosts {
        for volume in &volumes {
            let used: BTreeSet<u64> = array
                .connections
                .iter()
                .filter(|c| c.host == *host)
                .map(|c| c.lun)
                .collect();
            let free = wanted.or_else(|| (1..=MAX_LUN).find(|lun| !used.contains(lun)));
            let lun = free
                .filter(|lun| !used.contains(lun))
                .ok_or_else(|| ApiError::new(host, "LUN is already in use."))?;
            let connection = Connection {
                host: host.clone(),
                volume: volume.clone(),
                lun,
            };
            items.push(connection_view(array, &connection));
            array.connections.push(connection);
        }
    }
    Ok(Answer::Items(items))
}

pub(super) fn delete_connections(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let (hosts, volumes) = ends(array, ask)?;
    let before = array.connections.len();
    array
        .connections
        .retain(|c| !(hosts.contains(&c.host) && volumes.contains(&c.volume)));
    if array.connections.len() == before {
        return Err(ApiError::missing("Connection", &volumes.join(",")));
    }
    Ok(Answer::Empty)
}
