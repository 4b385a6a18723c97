//! A whole array at a glance, with what no REST call shows: the content of its volumes and snapshots.

use serde_json::{Value, json};

use super::error::ApiResult;
use super::world::{Array, Snapshot, Volume, World};

pub(super) fn state(world: &mut World, name: &str, now: u64) -> ApiResult<Value> {
    let transfers: Vec<Value> = world
        .transfers
        .iter()
        .filter(|transfer| transfer.from == name || transfer.to == name)
        .map(|transfer| {
            json!({
                "from": transfer.from, "to": transfer.to, "snapshot": transfer.snapshot,
                "started": transfer.started, "completed": transfer.completed, "progress": transfer.progress(),
                "bytes": transfer.bytes,
            })
        })
        .collect();
    let sequence = world.sequence;
    let array = world.array(name)?;
    Ok(json!({
        "id": array.id, "name": array.name, "time": now, "powered": !array.dark, "sequence": sequence,
        "manual_eradication": array.manual_eradication,
        "volumes": array.volumes.values().map(|volume| of_volume(array, volume)).collect::<Vec<_>>(),
        "snapshots": array.snapshots.values().map(of_snapshot).collect::<Vec<_>>(),
        "groups": groups(array),
        "group_snapshots": array.group_snapshots.values().map(|snapshot| json!({
            "id": snapshot.id, "name": snapshot.name, "created": snapshot.created, "ages": snapshot.ages,
            "destroyed": snapshot.destroyed.is_some(), "members": array.members_of(&snapshot.name),
        })).collect::<Vec<_>>(),
        "hosts": array.hosts.values().collect::<Vec<_>>(),
        "connections": array.connections,
        "pods": array.pods.keys().collect::<Vec<_>>(),
        "volume_groups": array.volume_groups.keys().collect::<Vec<_>>(),
        "transfers": transfers,
    }))
}

fn of_volume(array: &Array, volume: &Volume) -> Value {
    json!({
        "id": volume.id, "name": volume.name, "serial": volume.serial, "provisioned": volume.provisioned,
        "destroyed": volume.destroyed.is_some(), "source": volume.source, "tags": volume.tags,
        "connections": array.connection_count(&volume.name), "digest": volume.content.digest(),
        "markers": volume.content.markers(),
    })
}

fn of_snapshot(snapshot: &Snapshot) -> Value {
    json!({
        "id": snapshot.id, "name": snapshot.name, "source": snapshot.source, "created": snapshot.created,
        "group_snapshot": snapshot.group_snapshot, "destroyed": snapshot.destroyed.is_some(),
        "complete": snapshot.complete, "digest": snapshot.content.digest(), "markers": snapshot.content.markers(),
    })
}

fn groups(array: &Array) -> Vec<Value> {
    let targets = |group: &super::world::Group| {
        let targets = group
            .targets
            .iter()
            .map(|(name, target)| (name.clone(), json!(target.allowed)));
        Value::Object(targets.collect())
    };
    let view = |group: &super::world::Group| {
        json!({
            "id": group.id, "name": group.name, "is_local": group.is_local, "source": group.source,
            "destroyed": group.destroyed.is_some(), "volumes": group.volumes, "targets": targets(group),
            "allowed": group.allowed, "replication_schedule": group.replication_schedule,
            "snapshot_schedule": group.snapshot_schedule, "ratcheted": group.ratcheted,
        })
    };
    array.groups.values().map(view).collect()
}
