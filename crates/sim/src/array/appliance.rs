//! The array as a machine: what it is, how full and busy it is, how it is wired.

use serde_json::{Value, json};

use super::ask::{Answer, Ask};
use super::error::{ApiError, ApiResult};
use super::world::World;

const PURITY: &str = "6.4.10";

pub(super) fn arrays(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let day = 86_400_000;
    Ok(Answer::List(vec![json!({
        "id": array.id, "name": array.name, "os": "Purity//FA", "version": PURITY, "capacity": array.capacity,
        "parity": 1.0, "idle_timeout": array.idle_timeout, "time_zone": "UTC", "as_of": ask.now, "space": {},
        "eradication_config": {
            "eradication_delay": array.eradication_delay, "enabled_delay": array.eradication_delay,
            "disabled_delay": day, "manual_eradication": if array.manual_eradication { "all-enabled" } else { "all-disabled" },
        },
    })]))
}

pub(super) fn space(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    let provisioned: u64 = array.volumes.values().map(|volume| volume.provisioned).sum();
    let used = provisioned / 4;
    Ok(Answer::List(vec![json!({
        "id": array.id, "name": array.name, "capacity": array.capacity, "parity": 1.0, "time": ask.now,
        "space": {
            "total_physical": used, "total_used": used, "total_provisioned": provisioned, "unique": used,
            "virtual": provisioned, "shared": 0, "snapshots": 0, "system": 0, "replication": 0,
            "total_reduction": 4.0, "data_reduction": 4.0, "thin_provisioning": 0.5,
        },
    })]))
}

pub(super) fn performance(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let array = world.array(ask.array)?;
    Ok(Answer::List(vec![json!({
        "id": array.id, "name": array.name, "time": ask.now, "writes_per_sec": 10, "reads_per_sec": 20,
        "write_bytes_per_sec": 1000, "read_bytes_per_sec": 2000, "usec_per_read_op": 200, "usec_per_write_op": 150,
        "queue_depth": 1, "queue_usec_per_mirrored_write_op": 0, "queue_usec_per_read_op": 0,
        "queue_usec_per_write_op": 0,
    })]))
}

pub(super) fn connections(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let mut items = Vec::new();
    for (name, peer) in world.arrays.iter().filter(|(name, _)| *name != ask.array) {
        let status = if world.connected(ask.array, name) {
            "connected"
        } else {
            "connecting"
        };
        items.push(json!({
            "id": peer.id, "name": name, "remote": {"id": peer.id, "name": name}, "status": status,
            "type": "async-replication", "replication_transport": "ip", "version": PURITY,
            "management_address": "127.0.0.1", "replication_addresses": ["127.0.0.1"], "throttled": false,
        }));
    }
    let names = ask.query.list("names");
    if let Some(missing) = names
        .iter()
        .find(|name| !items.iter().any(|item| item["name"] == **name))
    {
        return Err(ApiError::missing("Array connection", missing));
    }
    items.retain(|item| names.is_empty() || names.iter().any(|name| item["name"] == *name));
    Ok(Answer::List(items))
}

fn named(items: Vec<Value>, ask: &Ask<'_>) -> Answer {
    let names = ask.query.list("names");
    let wanted = |item: &Value| names.is_empty() || names.iter().any(|name| item["name"] == *name);
    Answer::List(items.into_iter().filter(wanted).collect())
}

pub(super) fn controllers(ask: &Ask<'_>) -> Answer {
    let items = [("CT0", "primary"), ("CT1", "secondary")].map(|(name, mode)| {
        json!({
            "name": name, "status": "ready", "mode": mode, "model": "FA-X20R3", "type": "array_controller",
            "version": PURITY,
        })
    });
    named(items.into(), ask)
}

pub(super) fn ports(world: &mut World, ask: &Ask<'_>) -> ApiResult<Answer> {
    let id: String = world
        .array(ask.array)?
        .id
        .chars()
        .filter(|c| *c != '-')
        .take(15)
        .collect();
    let mut items = Vec::new();
    for (at, (controller, port)) in [("CT0", 4), ("CT0", 5), ("CT1", 4), ("CT1", 5)]
        .into_iter()
        .enumerate()
    {
        items.push(json!({
            "name": format!("{controller}.ETH{port}"), "iqn": format!("iqn.2010-06.com.purestorage:flasharray.{id}"),
            "portal": format!("127.0.0.1:{}", 3260 + at),
        }));
    }
    Ok(named(items, ask))
}
