//! Cinder's processes and what the scheduler knows of the back end.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::world::World;

pub(super) fn services(world: &World, ask: &Ask) -> Reply {
    world
        .policies
        .admin(&ask.caller, "volume_extension:services:index")?;
    if !ask.caller.admin {
        // The check that no policy file reaches.
        return Err(Fault::forbidden("User does not have admin privileges"));
    }
    let service = |binary: &str, host: &str, up: bool| {
        json!({
            "binary": binary, "host": host, "zone": "nova", "status": "enabled", "state": if up { "up" } else { "down" },
            "updated_at": world.stamp_micros(), "disabled_reason": null
        })
    };
    let controller = world.volume.host.split('@').next().unwrap_or_default();
    let mut volume = service("cinder-volume", &world.volume.host, !world.volume.service_down);
    volume["replication_status"] = json!("enabled");
    volume["active_backend_id"] = Value::Null;
    volume["frozen"] = json!(false);
    volume["cluster"] = Value::Null;
    volume["backend_state"] = json!("up");
    let all = [service("cinder-scheduler", controller, true), volume];
    let found: Vec<&Value> = all
        .iter()
        .filter(|service| {
            ask.query("binary")
                .is_none_or(|wanted| service["binary"] == wanted)
                && ask.query("host").is_none_or(|wanted| service["host"] == wanted)
        })
        .collect();
    Ok(Answer::ok(json!({"services": found})))
}

pub(super) fn pools(world: &World, ask: &Ask) -> Reply {
    world
        .policies
        .admin(&ask.caller, "scheduler_extension:scheduler_stats:get_pools")?;
    let mut pool = json!({"name": world.volume.pool()});
    if ask.wants("detail") {
        pool["capabilities"] = json!({
            "volume_backend_name": world.volume.backend_name, "vendor_name": "Pure Storage", "driver_version": "19.0.iscsi",
            "storage_protocol": "iSCSI", "total_capacity_gb": 100.0, "free_capacity_gb": 80.0, "reserved_percentage": 0,
            "replication_enabled": true, "replication_type": ["async"], "replication_count": 1, "replication_targets": [],
            "consistencygroup_support": true, "consistent_group_snapshot_enabled": true, "multiattach": true,
            "thin_provisioning_support": true, "timestamp": world.stamp_micros()
        });
    }
    Ok(Answer::ok(json!({"pools": [pool]})))
}
