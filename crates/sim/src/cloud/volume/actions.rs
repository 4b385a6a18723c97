//! What is asked of a volume under `/action`.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply, truth};
use super::super::fault::Fault;
use super::super::world::{Job, World};
use super::{Work, quotas, volumes};

pub(super) fn act(world: &mut World, ask: &Ask, id: &str) -> Reply {
    let body = ask
        .body
        .as_object()
        .ok_or_else(|| Fault::bad("Malformed request body"))?;
    let (action, input) = body
        .iter()
        .next()
        .ok_or_else(|| Fault::bad("There is no such action"))?;
    volumes::find(world, ask, id)?;
    match action.as_str() {
        "os-set_bootable" => {
            world
                .policies
                .member(&ask.caller, "volume_extension:volume_actions:set_bootable")?;
            let bootable =
                truth(&input["bootable"]).ok_or_else(|| Fault::bad("Invalid value for 'bootable'"))?;
            volumes::find(world, ask, id)?.bootable = bootable;
            Ok(Answer::empty(200))
        }
        "os-set_image_metadata" => {
            world
                .policies
                .member(&ask.caller, "volume_extension:volume_image_metadata:set")?;
            let wanted = input["metadata"].as_object().cloned();
            let wanted = wanted.ok_or_else(|| Fault::bad("'metadata' is a required property"))?;
            let volume = volumes::find(world, ask, id)?;
            volume.image_metadata.extend(wanted);
            Ok(Answer::ok(json!({"metadata": volume.image_metadata})))
        }
        "os-unset_image_metadata" => {
            let key = input["key"].as_str().unwrap_or_default();
            let volume = volumes::find(world, ask, id)?;
            volume
                .image_metadata
                .shift_remove(key)
                .ok_or_else(|| Fault::missing("Metadata item was not found"))?;
            Ok(Answer::empty(200))
        }
        "os-show_image_metadata" => Ok(Answer::ok(
            json!({"metadata": volumes::find(world, ask, id)?.image_metadata}),
        )),
        "os-unmanage" => unmanage(world, ask, id),
        "os-extend" => extend(world, ask, id, input),
        "os-reset_status" => {
            world
                .policies
                .admin(&ask.caller, "volume_extension:volume_admin_actions:reset_status")?;
            let volume = volumes::find(world, ask, id)?;
            if let Some(status) = input["status"].as_str() {
                status.clone_into(&mut volume.status);
            }
            if input["attach_status"] == "detached" {
                volume.attachments.clear();
            }
            Ok(Answer::empty(202))
        }
        "os-update_readonly_flag" => {
            let readonly = truth(&input["readonly"]).unwrap_or_default();
            let text = if readonly { "True" } else { "False" };
            volumes::find(world, ask, id)?
                .metadata
                .insert("readonly".to_owned(), json!(text));
            Ok(Answer::empty(202))
        }
        "os-retype" => {
            let wanted = input["new_type"].as_str();
            let kind = volumes::wanted_type(world, ask, wanted)?;
            let type_id = kind["id"].as_str().unwrap_or_default().to_owned();
            world.later(
                world.delays.volume,
                Job::Volume(id.to_owned(), Work::Retype(type_id)),
            );
            volumes::find(world, ask, id)?.status = "retyping".to_owned();
            Ok(Answer::empty(202))
        }
        "os-force_delete" => {
            world
                .policies
                .admin(&ask.caller, "volume_extension:volume_admin_actions:force_delete")?;
            volumes::find(world, ask, id)?.status = "deleting".to_owned();
            world.later(world.delays.volume, Job::Volume(id.to_owned(), Work::Delete));
            Ok(Answer::empty(202))
        }
        _ => Err(Fault::bad(format!("There is no such action: {action}"))),
    }
}

fn unmanage(world: &mut World, ask: &Ask, id: &str) -> Reply {
    world
        .policies
        .admin(&ask.caller, "volume_extension:volume_unmanage")?;
    let volume = volumes::find(world, ask, id)?.clone();
    if volume.encrypted {
        return Err(Fault::bad(
            "Invalid volume: Unmanaging encrypted volumes is not supported.",
        ));
    }
    if let Some(reason) = volumes::held(world, &volume) {
        return Err(Fault::bad(reason));
    }
    volumes::find(world, ask, id)?.status = "unmanaging".to_owned();
    world.later(world.delays.volume, Job::Volume(id.to_owned(), Work::Unmanage));
    Ok(Answer::empty(202))
}

fn extend(world: &mut World, ask: &Ask, id: &str, input: &Value) -> Reply {
    let volume = volumes::find(world, ask, id)?.clone();
    let size = super::super::ask::number(&input["new_size"]).and_then(|size| u64::try_from(size).ok());
    let size = size.filter(|size| *size > volume.size).ok_or_else(|| {
        Fault::bad(format!(
            "Invalid input received: New size for extend must be greater than current size. (current: {}, extended: {}).",
            volume.size, input["new_size"]
        ))
    })?;
    if volume.status != "available" && !(volume.status == "in-use" && ask.minor >= 42) {
        return Err(Fault::bad(format!(
            "Invalid volume: Volume {id} status must be '{{'status': 'available'}}' to extend, currently {}.",
            volume.status
        )));
    }
    let kind = world
        .volume
        .types
        .get(&volume.type_id)
        .map_or("", |kind| kind["name"].as_str().unwrap_or_default())
        .to_owned();
    quotas::check_size(world, &volume.project_id, &kind, size - volume.size)
        .map_err(|message| Fault::new(413, "", message))?;
    let back = volume.status.clone();
    volumes::find(world, ask, id)?.status = "extending".to_owned();
    world.later(
        world.delays.volume,
        Job::Volume(id.to_owned(), Work::Extend { size, back }),
    );
    Ok(Answer::empty(202))
}
