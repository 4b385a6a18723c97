//! Handing a volume to another project.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply, maybe};
use super::super::fault::Fault;
use super::super::world::{World, hex, uuid};
use super::{quotas, volumes};

fn not_found(id: &str) -> Fault {
    Fault::missing(format!("Transfer {id} could not be found."))
}

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    let owner = |transfer: &Value| {
        transfer["source_project_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    match (ask.method.as_str(), rest) {
        ("GET", [] | ["detail"]) => {
            let found = world
                .volume
                .transfers
                .newest()
                .filter(|transfer| ask.sees(&owner(transfer)));
            let found = found.map(|transfer| shown(ask, transfer, rest.is_empty()));
            ask.page("transfers", found.collect())
        }
        ("POST", []) => create(world, ask),
        ("POST", [id, "accept"]) => accept(world, ask, id),
        (method @ ("GET" | "DELETE"), [id]) => {
            let found = world
                .volume
                .transfers
                .get(id)
                .filter(|transfer| ask.reaches(&owner(transfer)));
            let found = found.cloned().ok_or_else(|| not_found(id))?;
            if method == "GET" {
                return Ok(Answer::ok(json!({"transfer": shown(ask, &found, false)})));
            }
            let volume = found["volume_id"].as_str().unwrap_or_default();
            if let Some(volume) = world.volume.volumes.get_mut(volume)
                && volume.status == "awaiting-transfer"
            {
                volume.status = "available".to_owned();
            }
            world.volume.transfers.remove(id);
            world.volume.auth_keys.remove(*id);
            Ok(Answer::empty(202))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}

fn shown(ask: &Ask, transfer: &Value, brief: bool) -> Value {
    let mut shown = transfer.clone();
    if let Some(fields) = shown.as_object_mut() {
        if brief {
            fields.retain(|key, _| ["id", "name", "volume_id"].contains(&key.as_str()));
        } else if ask.minor < 57 {
            fields.retain(|key, _| {
                !["source_project_id", "destination_project_id", "accepted"].contains(&key.as_str())
            });
        }
    }
    let id = transfer["id"].as_str().unwrap_or_default();
    shown["links"] = json!([{"rel": "self", "href": format!("{}/volume-transfers/{id}", ask.base)}]);
    shown
}

fn create(world: &mut World, ask: &Ask) -> Reply {
    world.policies.member(&ask.caller, "volume:create_transfer")?;
    let wanted = ask.object("transfer")?;
    let id = maybe(wanted, "volume_id").ok_or_else(|| Fault::bad("'volume_id' is a required property"))?;
    let volume = volumes::find(world, ask, &id)?;
    if volume.status != "available" || !volume.attachments.is_empty() {
        return Err(Fault::bad("Invalid volume: status must be available"));
    }
    if volume.encrypted {
        return Err(Fault::bad(
            "Invalid volume: transferring encrypted volume is not supported",
        ));
    }
    volume.status = "awaiting-transfer".to_owned();
    let owner = volume.project_id.clone();
    let key = hex()[..16].to_owned();
    let transfer = json!({
        "id": uuid(), "name": wanted.get("name"), "volume_id": id, "created_at": world.stamp_micros(),
        "no_snapshots": wanted.get("no_snapshots").unwrap_or(&json!(false)), "source_project_id": owner,
        "destination_project_id": null, "accepted": false
    });
    world.volume.transfers.add(transfer.clone());
    let id = transfer["id"].as_str().unwrap_or_default();
    world.volume.auth_keys.insert(id.to_owned(), key.clone());
    let mut answer = shown(ask, &transfer, false);
    answer["auth_key"] = json!(key);
    Ok(Answer::json(202, json!({"transfer": answer})))
}

fn accept(world: &mut World, ask: &Ask, id: &str) -> Reply {
    world.policies.member(&ask.caller, "volume:accept_transfer")?;
    // Whoever has the key may know of the transfer.
    let transfer = world
        .volume
        .transfers
        .get(id)
        .cloned()
        .ok_or_else(|| not_found(id))?;
    let key = ask
        .object("accept")?
        .get("auth_key")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if key.is_none() || key != world.volume.auth_keys.get(id).cloned() {
        return Err(Fault::bad(format!(
            "Invalid auth key: Attempt to transfer {id} with invalid auth key."
        )));
    }
    let volume_id = transfer["volume_id"].as_str().unwrap_or_default().to_owned();
    let volume = world
        .volume
        .volumes
        .get(&volume_id)
        .cloned()
        .ok_or_else(|| super::not_found(&volume_id))?;
    let kind = world
        .volume
        .types
        .get(&volume.type_id)
        .cloned()
        .unwrap_or_default();
    if !world.volume.sees_type(ask, &kind) {
        return Err(Fault::missing(format!(
            "Volume type {} could not be found.",
            volume.type_id
        )));
    }
    let type_name = kind["name"].as_str().unwrap_or_default();
    quotas::check_count(world, ask.project(), type_name)?;
    quotas::check_size(world, ask.project(), type_name, volume.size)
        .map_err(|message| Fault::new(413, "", message))?;
    if let Some(volume) = world.volume.volumes.get_mut(&volume_id) {
        ask.project().clone_into(&mut volume.project_id);
        volume.user_id.clone_from(&ask.caller.user_id);
        volume.status = "available".to_owned();
    }
    world.volume.transfers.remove(id);
    world.volume.auth_keys.remove(id);
    let links = json!([{"rel": "self", "href": format!("{}/volume-transfers/{id}", ask.base)}]);
    Ok(Answer::json(
        202,
        json!({"transfer": {
            "id": id, "name": transfer["name"], "volume_id": volume_id, "links": links
        }}),
    ))
}
