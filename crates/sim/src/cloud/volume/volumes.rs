//! Volumes: making, showing, changing, deleting.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply, maybe, number};
use super::super::fault::Fault;
use super::super::world::{Job, World, uuid};
use super::{Volume, Work, not_found, quotas};

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    match (ask.method.as_str(), rest) {
        ("POST", []) => create(world, ask),
        ("GET", []) => list(world, ask, false),
        ("GET", ["detail"]) => list(world, ask, true),
        ("GET", ["summary"]) => {
            let own = world
                .volume
                .volumes
                .iter()
                .filter(|volume| ask.sees(&volume.project_id));
            let (count, size) = own.fold((0, 0), |(count, size), volume| (count + 1, size + volume.size));
            Ok(Answer::ok(
                json!({"volume-summary": {"total_count": count, "total_size": size, "metadata": {}}}),
            ))
        }
        (method, [id, rest @ ..]) => {
            let volume = find(world, ask, id)?.clone();
            match (method, rest) {
                ("GET", []) => Ok(Answer::ok(json!({"volume": view(world, ask, &volume)}))),
                ("PUT", []) => update(world, ask, volume),
                ("DELETE", []) => delete(world, ask, volume),
                (_, ["metadata", rest @ ..]) => metadata(world, ask, volume, rest),
                _ => Err(Fault::missing("The resource could not be found.")),
            }
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}

/// A volume that the caller may know of.
pub(super) fn find<'a>(world: &'a mut World, ask: &Ask, id: &str) -> Result<&'a mut Volume, Fault> {
    world
        .volume
        .volumes
        .get_mut(id)
        .filter(|volume| ask.reaches(&volume.project_id))
        .ok_or_else(|| not_found(id))
}

fn list(world: &World, ask: &Ask, detailed: bool) -> Reply {
    let wanted = |key: &str, value: &str| ask.query(key).is_none_or(|wanted| wanted == value);
    let found = world.volume.volumes.newest().filter(|volume| {
        ask.sees(&volume.project_id)
            && wanted("name", &volume.name)
            && wanted("status", &shown_status(&volume.status))
            && wanted("group_id", volume.group_id.as_deref().unwrap_or_default())
            && wanted("id", &volume.id)
    });
    let found = found.map(|volume| {
        if detailed {
            return view(world, ask, volume);
        }
        json!({"id": volume.id, "name": volume.name, "links": links(ask, &volume.id)})
    });
    ask.page("volumes", found.collect())
}

fn links(ask: &Ask, id: &str) -> Value {
    json!([{"rel": "self", "href": format!("{}/volumes/{id}", ask.base)}])
}

/// Some states are shown under another name.
fn shown_status(status: &str) -> String {
    match status {
        "managing" => "creating",
        "error_managing" => "error",
        "error_managing_deleting" => "deleting",
        other => other,
    }
    .to_owned()
}

pub(super) fn view(world: &World, ask: &Ask, volume: &Volume) -> Value {
    let kind = world.volume.types.get(&volume.type_id);
    let attachments = volume.attachments.iter().filter(|held| held.attached).map(|held| {
        let mut shown = json!({
            "id": volume.id, "attachment_id": held.id, "volume_id": volume.id, "server_id": held.server_id,
            "device": held.device, "attached_at": held.attached_at, "host_name": null
        });
        if ask.caller.admin {
            shown["host_name"] = json!(held.host);
        }
        shown
    });
    let mut shown = json!({
        "id": volume.id, "name": volume.name, "description": volume.description, "size": volume.size,
        "status": shown_status(&volume.status), "availability_zone": volume.availability_zone,
        "bootable": volume.bootable.to_string(), "encrypted": volume.encrypted, "multiattach": volume.multiattach,
        "volume_type": kind.map(|kind| &kind["name"]), "metadata": volume.metadata,
        "attachments": attachments.collect::<Vec<_>>(), "snapshot_id": volume.snapshot_id,
        "source_volid": volume.source_volid, "consistencygroup_id": null, "user_id": volume.user_id,
        "replication_status": volume.replication_status, "created_at": volume.created_at,
        "updated_at": volume.updated_at, "links": links(ask, &volume.id),
        "os-vol-tenant-attr:tenant_id": volume.project_id
    });
    if !volume.image_metadata.is_empty() {
        shown["volume_image_metadata"] = Value::Object(volume.image_metadata.clone());
    }
    if ask.minor >= 13 {
        shown["group_id"] = json!(volume.group_id);
    }
    if ask.minor >= 48 {
        shown["service_uuid"] = Value::Null;
        shown["shared_targets"] = json!(false);
    }
    if ask.minor >= 61 && ask.caller.admin {
        shown["cluster_name"] = Value::Null;
    }
    if ask.minor >= 63 {
        shown["volume_type_id"] = json!(volume.type_id);
    }
    if ask.minor >= 65 {
        shown["consumes_quota"] = json!(true);
    }
    if ask.caller.admin {
        shown["os-vol-host-attr:host"] = json!(world.volume.pool());
        shown["os-vol-mig-status-attr:migstat"] = Value::Null;
        shown["os-vol-mig-status-attr:name_id"] = Value::Null;
        shown["migration_status"] = Value::Null;
        if ask.minor >= 21 {
            shown["provider_id"] = json!(volume.provider_id);
        }
    }
    shown
}

/// What the answer to a change says of a volume: only a look at it shows everything.
pub(super) fn brief(world: &World, ask: &Ask, volume: &Volume) -> Value {
    let mut shown = view(world, ask, volume);
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|key, _| !key.starts_with("os-vol-") && key != "volume_image_metadata");
    }
    shown
}

/// A volume record with what every volume starts with.
pub(in super::super) fn build(world: &World, project: &str, user: &str, name: &str, type_id: &str) -> Volume {
    let stamp = world.stamp_micros();
    let replicated = world.volume.is_async(type_id);
    let kind = world.volume.types.get(type_id);
    Volume {
        encrypted: kind.is_some_and(|kind| kind["encryption"].is_object()),
        id: uuid(),
        name: name.to_owned(),
        project_id: project.to_owned(),
        user_id: user.to_owned(),
        status: "creating".to_owned(),
        availability_zone: "nova".to_owned(),
        type_id: type_id.to_owned(),
        replication_status: replicated.then(|| "enabled".to_owned()),
        created_at: stamp.clone(),
        updated_at: stamp,
        ..Volume::default()
    }
}

/// The type that a body names, or the default one.
pub(super) fn wanted_type(world: &World, ask: &Ask, wanted: Option<&str>) -> Result<Value, Fault> {
    let volumes = &world.volume;
    match wanted {
        Some(wanted) => volumes
            .type_named(wanted)
            .filter(|kind| volumes.sees_type(ask, kind))
            .cloned()
            .ok_or_else(|| Fault::missing(format!("Volume type with name {wanted} could not be found."))),
        None => volumes
            .types
            .iter()
            .find(|kind| kind["name"] == "__DEFAULT__")
            .or_else(|| volumes.types.iter().next())
            .cloned()
            .ok_or_else(|| Fault::new(500, "", "Default volume type can not be found.")),
    }
}

fn create(world: &mut World, ask: &Ask) -> Reply {
    world.policies.member(&ask.caller, "volume:create")?;
    let wanted = ask.object("volume")?;
    let word = |key: &str| maybe(wanted, key);
    let mut kind = wanted_type(world, ask, word("volume_type").as_deref())?;
    let source = match word("source_volid") {
        Some(id) => Some(find(world, ask, &id)?.clone()),
        None => None,
    };
    let snapshot = match word("snapshot_id") {
        Some(id) => Some(
            world
                .volume
                .snapshots
                .get(&id)
                .cloned()
                .ok_or_else(|| Fault::missing(format!("Snapshot {id} could not be found.")))?,
        ),
        None => None,
    };
    if let (Some(source), None) = (&source, word("volume_type")) {
        kind = world.volume.types.get(&source.type_id).cloned().unwrap_or(kind);
    }
    let size = wanted
        .get("size")
        .and_then(number)
        .and_then(|size| u64::try_from(size).ok())
        .or_else(|| source.as_ref().map(|source| source.size))
        .or_else(|| snapshot.as_ref().and_then(|snapshot| snapshot["size"].as_u64()))
        .filter(|size| *size > 0)
        .ok_or_else(|| {
            Fault::bad(
                "Invalid input received: Volume size must be specified as an integer greater than zero",
            )
        })?;
    let type_name = kind["name"].as_str().unwrap_or_default().to_owned();
    quotas::check_count(world, ask.project(), &type_name)?;
    quotas::check_size(world, ask.project(), &type_name, size)
        .map_err(|message| Fault::new(413, "", message))?;
    let type_id = kind["id"].as_str().unwrap_or_default();
    let mut volume = build(
        world,
        ask.project(),
        &ask.caller.user_id,
        &word("name").unwrap_or_default(),
        type_id,
    );
    volume.size = size;
    volume.description = word("description");
    volume.availability_zone = word("availability_zone").unwrap_or_else(|| "nova".to_owned());
    volume.metadata = wanted
        .get("metadata")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    volume.multiattach = kind["extra_specs"]["multiattach"] == "<is> True";
    volume.snapshot_id = word("snapshot_id");
    volume.source_volid = word("source_volid");
    if let Some(source) = &source {
        volume.bootable = source.bootable;
        volume.image_metadata.clone_from(&source.image_metadata);
    }
    if let Some(image) = word("imageRef") {
        let image = world.images.find(&image).cloned().ok_or_else(|| {
            Fault::bad(format!(
                "Invalid image identifier or unable to access requested image {image}."
            ))
        })?;
        volume.bootable = true;
        for key in [
            "disk_format",
            "container_format",
            "checksum",
            "min_ram",
            "min_disk",
            "hw_disk_bus",
            "os_type",
            "hw_firmware_type",
            "hw_machine_type",
        ] {
            if let Some(value) = image.get(key).filter(|value| !value.is_null()) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                volume.image_metadata.insert(key.to_owned(), json!(text));
            }
        }
        volume
            .image_metadata
            .insert("image_id".to_owned(), image["id"].clone());
        volume
            .image_metadata
            .insert("image_name".to_owned(), image["name"].clone());
    }
    let shown = brief(world, ask, &volume);
    let id = volume.id.clone();
    world.volume.volumes.add(volume);
    world.later(world.delays.volume, Job::Volume(id, Work::Create));
    Ok(Answer::json(202, json!({"volume": shown})))
}

fn update(world: &mut World, ask: &Ask, volume: Volume) -> Reply {
    let wanted = ask.object("volume")?.clone();
    let stamp = world.stamp_micros();
    let changed = find(world, ask, &volume.id)?;
    for (key, value) in wanted {
        match (key.as_str(), value) {
            ("name" | "display_name", Value::String(text)) => changed.name = text,
            ("name" | "display_name", Value::Null) => changed.name = String::new(),
            ("description" | "display_description", value) => {
                changed.description = value.as_str().map(str::to_owned);
            }
            ("metadata", Value::Object(metadata)) => changed.metadata = metadata,
            _ => {
                return Err(Fault::bad(format!(
                    "Invalid input for field/attribute volume. Additional properties are not allowed ('{key}' was unexpected)"
                )));
            }
        }
    }
    changed.updated_at = stamp;
    let changed = changed.clone();
    Ok(Answer::ok(json!({"volume": brief(world, ask, &changed)})))
}

/// Why a volume can be neither deleted nor given back to the array.
pub(super) fn held(world: &World, volume: &Volume) -> Option<String> {
    const FINE: [&str; 5] = [
        "available",
        "error",
        "error_restoring",
        "error_extending",
        "error_managing",
    ];
    let snapshots = world
        .volume
        .snapshots
        .iter()
        .any(|snapshot| snapshot["volume_id"] == volume.id.as_str());
    if FINE.contains(&volume.status.as_str())
        && volume.attachments.is_empty()
        && volume.group_id.is_none()
        && !snapshots
    {
        return None;
    }
    Some(format!(
        "Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer. (status: {})",
        volume.status
    ))
}

fn delete(world: &mut World, ask: &Ask, mut volume: Volume) -> Reply {
    world.policies.member(&ask.caller, "volume:delete")?;
    if ask.wants("cascade") {
        world
            .volume
            .snapshots
            .retain(|snapshot| snapshot["volume_id"] != volume.id.as_str());
    }
    if volume.status == "deleting" || volume.status == "error_managing_deleting" {
        return Ok(Answer::empty(202));
    }
    if let Some(reason) = held(world, &volume) {
        return Err(Fault::bad(reason));
    }
    volume.status = if volume.status == "error_managing" {
        "error_managing_deleting"
    } else {
        "deleting"
    }
    .to_owned();
    let id = volume.id.clone();
    *find(world, ask, &id)? = volume;
    world.later(world.delays.volume, Job::Volume(id, Work::Delete));
    Ok(Answer::empty(202))
}

fn metadata(world: &mut World, ask: &Ask, volume: Volume, rest: &[&str]) -> Reply {
    let id = volume.id.clone();
    let mut all = volume.metadata;
    let answer = match (ask.method.as_str(), rest) {
        ("GET", []) => return Ok(Answer::ok(json!({"metadata": all}))),
        ("POST", []) => {
            all.extend(ask.object("metadata")?.clone());
            Answer::ok(json!({"metadata": all}))
        }
        ("PUT", []) => {
            all = ask.object("metadata")?.clone();
            Answer::ok(json!({"metadata": all}))
        }
        ("GET", [key]) => {
            let value = all
                .get(*key)
                .ok_or_else(|| Fault::missing("Metadata item was not found"))?;
            return Ok(Answer::ok(json!({"meta": {*key: value}})));
        }
        ("DELETE", [key]) => {
            all.shift_remove(*key)
                .ok_or_else(|| Fault::missing(format!("Volume {id} has no metadata with key {key}.")))?;
            Answer::empty(200)
        }
        _ => return Err(Fault::missing("The resource could not be found.")),
    };
    if all
        .iter()
        .any(|(key, value)| key.len() > 255 || value.as_str().is_none_or(|text| text.len() > 255))
    {
        return Err(Fault::bad(
            "Metadata property key or value is longer than 255 characters.",
        ));
    }
    find(world, ask, &id)?.metadata = all;
    Ok(answer)
}
