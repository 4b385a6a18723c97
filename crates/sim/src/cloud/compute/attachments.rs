//! The volumes of a server.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply, truth};
use super::super::fault::Fault;
use super::super::volume;
use super::super::world::{Job, World};
use super::{Disk, Server, Work, find};

fn view(ask: &Ask, server: &Server, disk: &Disk) -> Value {
    let mut shown = json!({"serverId": server.id, "volumeId": disk.volume_id, "device": disk.device});
    if ask.minor < 89 {
        shown["id"] = json!(disk.volume_id);
    } else {
        shown["attachment_id"] = json!(disk.attachment_id);
        shown["bdm_uuid"] = json!(disk.attachment_id);
    }
    if ask.minor >= 70 {
        shown["tag"] = json!(disk.tag);
    }
    if ask.minor >= 79 {
        shown["delete_on_termination"] = json!(disk.delete_on_termination);
    }
    shown
}

pub(super) fn route(world: &mut World, ask: &Ask, id: &str, rest: &[&str]) -> Reply {
    let server = find(world, ask, id)?.clone();
    let disk = |volume: &str| {
        let found = server.disks.iter().find(|disk| disk.volume_id == volume);
        found.ok_or_else(|| Fault::missing(format!("Instance {id} is not attached to volume {volume}")))
    };
    match (ask.method.as_str(), rest) {
        ("GET", []) => {
            let all: Vec<Value> = server.disks.iter().map(|disk| view(ask, &server, disk)).collect();
            Ok(Answer::ok(json!({"volumeAttachments": all})))
        }
        ("GET", [volume]) => Ok(Answer::ok(
            json!({"volumeAttachment": view(ask, &server, disk(volume)?)}),
        )),
        ("POST", []) => attach(world, ask, server),
        ("PUT", [volume]) => {
            disk(volume)?;
            let wanted = ask.object("volumeAttachment")?;
            if wanted.get("volumeId").and_then(Value::as_str) != Some(volume) {
                world
                    .policies
                    .admin(&ask.caller, "os_compute_api:os-volumes-attachments:swap")?;
                return Err(Fault::conflict("Swapping volumes is not simulated."));
            }
            if ask.minor < 85 {
                return Err(Fault::bad("The volumeId of the attachment is unchanged."));
            }
            let keep = wanted.get("delete_on_termination").and_then(truth);
            for disk in &mut find(world, ask, id)?.disks {
                if disk.volume_id == *volume {
                    disk.delete_on_termination = keep.unwrap_or(disk.delete_on_termination);
                }
            }
            Ok(Answer::empty(202))
        }
        ("DELETE", [volume]) => {
            disk(volume)?;
            let root = server.disks.first().is_some_and(|disk| disk.volume_id == *volume);
            if root && server.vm_state != "shelved_offloaded" {
                return Err(Fault::bad("Cannot detach a root device volume"));
            }
            if !["active", "stopped", "paused", "suspended", "shelved_offloaded"]
                .contains(&server.vm_state.as_str())
            {
                return Err(Fault::conflict(format!(
                    "Cannot 'detach_volume' instance {id} while it is in vm_state {}",
                    server.vm_state
                )));
            }
            if let Some(volume) = world.volume.volumes.get_mut(volume) {
                volume.status = "detaching".to_owned();
            }
            let work = Work::Detach((*volume).to_owned());
            world.later(world.delays.volume, Job::Server(id.to_owned(), work));
            Ok(Answer::empty(202))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}

fn attach(world: &mut World, ask: &Ask, server: Server) -> Reply {
    let wanted = ask.object("volumeAttachment")?;
    let volume_id = wanted
        .get("volumeId")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let found = world
        .volume
        .volumes
        .get(&volume_id)
        .filter(|volume| ask.reaches(&volume.project_id));
    let found = found.ok_or_else(|| Fault::missing(format!("Volume {volume_id} could not be found.")))?;
    if found.status != "available" && !(found.multiattach && found.status == "in-use") {
        return Err(Fault::bad(format!(
            "Invalid volume: volume '{volume_id}' status must be 'available'. Currently in '{}'",
            found.status
        )));
    }
    if !["active", "stopped", "paused"].contains(&server.vm_state.as_str()) {
        return Err(Fault::conflict(format!(
            "Cannot 'attach_volume' instance {} while it is in vm_state {}",
            server.id, server.vm_state
        )));
    }
    let device = server.next_device();
    let attachment_id = volume::reserve(world, &volume_id, &server.id, &device);
    let disk = Disk {
        volume_id: volume_id.clone(),
        attachment_id,
        device,
        delete_on_termination: wanted
            .get("delete_on_termination")
            .and_then(truth)
            .unwrap_or_default(),
        tag: wanted.get("tag").and_then(Value::as_str).map(str::to_owned),
    };
    let shown = view(ask, &server, &disk);
    find(world, ask, &server.id)?.disks.push(disk);
    world.later(
        world.delays.volume,
        Job::Server(server.id, Work::Attach(volume_id)),
    );
    Ok(Answer::ok(json!({"volumeAttachment": shown})))
}
