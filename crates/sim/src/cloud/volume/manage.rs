//! Taking a volume that is on the array already into Cinder.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply, maybe, truth};
use super::super::fault::Fault;
use super::super::world::{Job, World};
use super::{Work, quotas, volumes};

const KEYS: [&str; 9] = [
    "host",
    "cluster",
    "ref",
    "name",
    "description",
    "volume_type",
    "availability_zone",
    "bootable",
    "metadata",
];

pub(super) fn manage(world: &mut World, ask: &Ask) -> Reply {
    world
        .policies
        .admin(&ask.caller, "volume_extension:volume_manage")?;
    let wanted = ask.object("volume")?;
    if let Some(key) = wanted.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Fault::bad(format!(
            "Invalid input for field/attribute volume. Value: . Additional properties are not allowed ('{key}' was unexpected)"
        )));
    }
    let reference = wanted.get("ref").ok_or_else(|| {
        Fault::bad("Invalid input for field/attribute volume. 'ref' is a required property")
    })?;
    let host = maybe(wanted, "host")
        .ok_or_else(|| Fault::bad("One and only one of cluster and host must be set."))?;
    if host.split('#').next() != Some(world.volume.host.as_str()) {
        return Err(Fault::bad(format!("Host '{host}' not found")));
    }
    if world.volume.service_down {
        return Err(Fault::new(
            503,
            "ServiceUnavailable",
            format!("Service cinder-volume could not be found on host {host}."),
        ));
    }
    let name = maybe(wanted, "volume_type");
    let kind = volumes::wanted_type(world, ask, name.as_deref()).map_err(|fault| match &name {
        Some(name) => Fault::bad(format!(
            "Invalid volume type: Cannot find requested '{name}' volume type"
        )),
        None => fault,
    })?;
    if kind["encryption"].is_object() {
        return Err(Fault::bad("Managing to encrypted volumes is not supported."));
    }
    let known = source_name(reference).and_then(|name| volume_of(&name));
    if known.is_some_and(|id| world.volume.volumes.get(&id).is_some()) {
        return Err(Fault::bad(format!(
            "Invalid volume: Unable to manage existing volume. Volume {} already managed.",
            source_name(reference).unwrap_or_default()
        )));
    }
    let type_name = kind["name"].as_str().unwrap_or_default().to_owned();
    quotas::check_count(world, ask.project(), &type_name)?;
    let name = maybe(wanted, "name").unwrap_or_default();
    let mut volume = volumes::build(
        world,
        ask.project(),
        &ask.caller.user_id,
        &name,
        kind["id"].as_str().unwrap_or_default(),
    );
    volume.status = "managing".to_owned();
    volume.description = maybe(wanted, "description");
    volume.bootable = wanted.get("bootable").and_then(truth).unwrap_or_default();
    volume.metadata = wanted
        .get("metadata")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    volume.availability_zone = maybe(wanted, "availability_zone").unwrap_or_else(|| "nova".to_owned());
    let mut shown = volumes::brief(world, ask, &volume);
    if let Some(fields) = shown.as_object_mut() {
        // The view of the first microversion, whichever was asked for.
        const LATER: [&str; 5] = [
            "cluster_name",
            "group_id",
            "provider_id",
            "service_uuid",
            "shared_targets",
        ];
        fields.retain(|key, _| !LATER.contains(&key.as_str()));
    }
    let id = volume.id.clone();
    world.volume.volumes.add(volume);
    let work = Work::Manage(reference_of(world, reference));
    world.manage_later(Job::Volume(id, work));
    Ok(Answer::json(202, json!({"volume": shown})))
}

/// The key that the driver of this release reads.
fn reference_of(world: &World, reference: &Value) -> Option<String> {
    let key = if world.release.cinder < 25 {
        "name"
    } else {
        "source-name"
    };
    match reference {
        Value::String(name) => Some(name.clone()),
        other => other[key].as_str().map(str::to_owned),
    }
}

fn source_name(reference: &Value) -> Option<String> {
    reference["source-name"].as_str().map(str::to_owned)
}

/// The id in a name of the form `volume-<uuid>`, which is all that the API understands.
fn volume_of(name: &str) -> Option<String> {
    let id = name.strip_prefix("volume-")?;
    uuid::Uuid::parse_str(id).ok().map(|_| id.to_owned())
}
