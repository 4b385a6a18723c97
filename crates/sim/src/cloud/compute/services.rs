//! Nova's processes, hypervisor and availability zones.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::world::World;

pub(super) fn zones(world: &World, ask: &Ask, rest: &[&str]) -> Reply {
    if rest == ["detail"] {
        world
            .policies
            .admin(&ask.caller, "os_compute_api:os-availability-zone:detail")?;
    }
    let zones: Vec<Value> = world
        .compute
        .zones
        .iter()
        .map(|zone| json!({"zoneName": zone, "zoneState": {"available": true}, "hosts": null}))
        .collect();
    Ok(Answer::ok(json!({"availabilityZoneInfo": zones})))
}

pub(super) fn services(world: &World, ask: &Ask) -> Reply {
    world
        .policies
        .admin(&ask.caller, "os_compute_api:os-services:list")?;
    let all = [
        ("nova-conductor", "internal"),
        ("nova-scheduler", "internal"),
        ("nova-compute", "nova"),
    ];
    let found = all.iter().enumerate().map(|(at, (binary, zone))| {
        json!({
            "id": at + 1, "binary": binary, "host": world.compute.host, "zone": zone, "status": "enabled", "state": "up",
            "updated_at": world.stamp_micros(), "disabled_reason": null, "forced_down": false
        })
    });
    let found = found.filter(|service| {
        ask.query("binary")
            .is_none_or(|wanted| service["binary"] == wanted)
    });
    Ok(Answer::ok(json!({"services": found.collect::<Vec<_>>()})))
}

pub(super) fn hypervisors(world: &World, ask: &Ask, rest: &[&str]) -> Reply {
    world
        .policies
        .admin(&ask.caller, "os_compute_api:os-hypervisors:list")?;
    let id = if ask.minor >= 53 {
        json!("6e1f2f5c-3c1b-4f2f-8a52-0f2f0a3d9b11")
    } else {
        json!(1)
    };
    let one = json!({
        "id": id, "hypervisor_hostname": world.compute.host, "state": "up", "status": "enabled",
        "hypervisor_type": "QEMU", "hypervisor_version": 8_002_002, "host_ip": "127.0.0.1",
        "service": {"id": 3, "host": world.compute.host, "disabled_reason": null}
    });
    match rest {
        [] | ["detail"] => Ok(Answer::ok(json!({"hypervisors": [one]}))),
        [_] => Ok(Answer::ok(json!({"hypervisor": one}))),
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
