//! Snapshots of volumes and of groups. Nothing of the product makes them; their presence gets in its way.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::world::{World, uuid};
use super::volumes;

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    let mine = |snapshot: &&Value| {
        snapshot["project_id"]
            .as_str()
            .is_some_and(|owner| ask.reaches(owner))
    };
    let unknown = |id: &str| Fault::missing(format!("Snapshot {id} could not be found."));
    match (ask.method.as_str(), rest) {
        ("GET", [] | ["detail"]) => {
            let found = world.volume.snapshots.newest().filter(|snapshot| {
                ask.sees(snapshot["project_id"].as_str().unwrap_or_default())
                    && ask
                        .query("volume_id")
                        .is_none_or(|wanted| snapshot["volume_id"] == wanted)
            });
            ask.page("snapshots", found.cloned().collect())
        }
        ("POST", []) => {
            let wanted = Value::Object(ask.object("snapshot")?.clone());
            let volume = volumes::find(world, ask, wanted["volume_id"].as_str().unwrap_or_default())?.clone();
            if volume.status != "available" && wanted["force"] != true && ask.minor < 66 {
                return Err(Fault::bad(format!(
                    "Invalid volume: Volume {} status must be available, but current status is: {}.",
                    volume.id, volume.status
                )));
            }
            let id = uuid();
            let name = volume.provider_id.clone().unwrap_or_default();
            let array_name = format!("{name}.snapshot-{id}");
            if let Err(reason) = world.backend.snapshot(&name, &format!("snapshot-{id}")) {
                return Err(Fault::new(500, "", reason));
            }
            let snapshot = json!({
                "id": id, "name": wanted["name"], "description": wanted["description"], "volume_id": volume.id,
                "size": volume.size, "status": "available", "metadata": {}, "created_at": world.stamp_micros(),
                "updated_at": world.stamp_micros(), "project_id": volume.project_id, "user_id": ask.caller.user_id,
                "os-extended-snapshot-attributes:project_id": volume.project_id,
                "os-extended-snapshot-attributes:progress": "100%", "group_snapshot_id": null, "array_name": array_name
            });
            world.volume.snapshots.add(snapshot.clone());
            Ok(Answer::json(202, json!({"snapshot": snapshot})))
        }
        (method @ ("GET" | "DELETE"), [id]) => {
            let found = world
                .volume
                .snapshots
                .get(id)
                .filter(mine)
                .cloned()
                .ok_or_else(|| unknown(id))?;
            if method == "GET" {
                return Ok(Answer::ok(json!({"snapshot": found})));
            }
            let name = found["array_name"].as_str().unwrap_or_default().to_owned();
            if let Err(reason) = world.backend.destroy_snapshot(&name) {
                return Err(Fault::new(500, "", reason));
            }
            world.volume.snapshots.remove(id);
            Ok(Answer::empty(202))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}

pub(super) fn group_route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    if ask.minor < 14 {
        return Err(Fault::missing("The resource could not be found."));
    }
    let unknown = |id: &str| Fault::missing(format!("GroupSnapshot {id} could not be found."));
    match (ask.method.as_str(), rest) {
        ("GET", [] | ["detail"]) => {
            let found = world.volume.group_snapshots.newest();
            let found =
                found.filter(|snapshot| ask.sees(snapshot["project_id"].as_str().unwrap_or_default()));
            ask.page("group_snapshots", found.cloned().collect())
        }
        ("POST", []) => {
            let wanted = Value::Object(ask.object("group_snapshot")?.clone());
            let group = wanted["group_id"].as_str().unwrap_or_default();
            let group = world
                .volume
                .groups
                .get(group)
                .filter(|group| ask.reaches(&group.project_id));
            let group = group
                .cloned()
                .ok_or_else(|| Fault::missing("Group could not be found."))?;
            let made = json!({
                "id": uuid(), "name": wanted["name"], "description": wanted["description"], "group_id": group.id,
                "group_type_id": group.group_type, "status": "available", "created_at": world.stamp_micros(),
                "project_id": group.project_id
            });
            world.volume.group_snapshots.add(made.clone());
            Ok(Answer::json(202, json!({"group_snapshot": made})))
        }
        ("GET", [id]) => {
            let found = world.volume.group_snapshots.get(id).ok_or_else(|| unknown(id))?;
            Ok(Answer::ok(json!({"group_snapshot": found})))
        }
        ("DELETE", [id]) => {
            world
                .volume
                .group_snapshots
                .remove(id)
                .ok_or_else(|| unknown(id))?;
            Ok(Answer::empty(202))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
