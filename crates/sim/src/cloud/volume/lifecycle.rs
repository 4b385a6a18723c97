//! What Cinder's volume service does after the API has answered: the array's part of everything.

use serde::Serialize;
use serde_json::json;

use super::super::world::{Job, World, uuid};
use super::{Attachment, REPLICATION_GROUP, Volume, array_name, quotas, tell};

/// What is to happen to a volume.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) enum Work {
    Create,
    Manage(Option<String>),
    Unmanage,
    Delete,
    Extend { size: u64, back: String },
    Retype(String),
}

/// What is to happen to a group.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) enum GroupWork {
    Create,
    Update { add: Vec<String>, remove: Vec<String> },
    Delete { with_volumes: bool },
}

fn fail(world: &mut World, id: &str, status: &str, event: &str, reason: &str) {
    tracing::info!(volume = id, reason, "simulated Cinder fails");
    let Some(volume) = world.volume.volumes.get_mut(id) else {
        return;
    };
    status.clone_into(&mut volume.status);
    let project = volume.project_id.clone();
    tell(world, &project, id, event, reason);
}

fn set(world: &mut World, id: &str, change: impl FnOnce(&mut Volume)) {
    let stamp = world.stamp_micros();
    if let Some(volume) = world.volume.volumes.get_mut(id) {
        change(volume);
        volume.updated_at = stamp;
    }
}

/// Volumes of a replicated type are in the driver's own protection group.
fn join(world: &World, volume: &Volume, name: &str) -> Result<(), String> {
    if world.volume.is_async(&volume.type_id) {
        world.backend.ensure_group(REPLICATION_GROUP, true)?;
        world.backend.set_member(REPLICATION_GROUP, name, true)?;
    }
    Ok(())
}

pub(in super::super) fn work(world: &mut World, id: &str, work: Work) {
    let Some(volume) = world.volume.volumes.get(id).cloned() else {
        return;
    };
    match work {
        Work::Create => match create(world, &volume) {
            Ok(()) => set(world, id, |volume| {
                volume.status = "available".to_owned();
                volume.provider_id = Some(array_name(&volume.id));
            }),
            Err(reason) => fail(world, id, "error", "VOLUME_VOLUME_001_002", &reason),
        },
        Work::Manage(reference) => match manage(world, &volume, reference) {
            Ok(size) => {
                let array = world.backend.array().to_owned();
                let release = world.release.cinder;
                set(world, id, |volume| {
                    volume.status = "available".to_owned();
                    volume.size = size;
                    volume.provider_id = Some(array_name(&volume.id));
                    if release >= 20 {
                        // What the driver returns replaces what the user gave.
                        volume.metadata.clear();
                        volume
                            .metadata
                            .insert("array_volume_name".to_owned(), json!(array_name(&volume.id)));
                        volume.metadata.insert("array_name".to_owned(), json!(array));
                    }
                });
            }
            Err(reason) => {
                set(world, id, |volume| volume.never_taken_over = true);
                fail(world, id, "error_managing", "VOLUME_VOLUME_006_003", &reason);
            }
        },
        Work::Unmanage => {
            let done = volume
                .provider_id
                .as_ref()
                .ok_or_else(|| "the volume has no name on the array".to_owned())
                .and_then(|name| {
                    let _ = world.backend.set_member(REPLICATION_GROUP, name, false);
                    world.backend.rename(name, &unmanaged_name(name))
                });
            match done {
                Ok(()) => drop(world.volume.volumes.remove(id)),
                Err(reason) => fail(world, id, "error_unmanaging", "VOLUME_VOLUME_004_001", &reason),
            }
        }
        Work::Delete => {
            let done = match &volume.provider_id {
                // The older driver takes the array's "does not exist" for an answer; the one of REST 2 asks the
                // array for a volume without a name and fails.
                None if volume.never_taken_over && world.release.cinder >= 25 => {
                    Err("the volume has no name on the array".to_owned())
                }
                Some(name) => world
                    .backend
                    .set_member(REPLICATION_GROUP, name, false)
                    .and_then(|()| world.backend.destroy(name)),
                None => Ok(()),
            };
            match done {
                Ok(()) => drop(world.volume.volumes.remove(id)),
                Err(reason) => fail(world, id, "error_deleting", "VOLUME_VOLUME_005_001", &reason),
            }
        }
        Work::Extend { size, back } => {
            let name = volume.provider_id.clone().unwrap_or_default();
            match world.backend.extend(&name, size) {
                Ok(()) => set(world, id, |volume| {
                    volume.size = size;
                    volume.status = back;
                }),
                Err(reason) => fail(world, id, "error_extending", "VOLUME_VOLUME_007_001", &reason),
            }
        }
        Work::Retype(type_id) => {
            let name = volume.provider_id.clone().unwrap_or_default();
            let replicated = world.volume.is_async(&type_id);
            if replicated {
                let _ = world.backend.ensure_group(REPLICATION_GROUP, true);
            }
            let _ = world.backend.set_member(REPLICATION_GROUP, &name, replicated);
            set(world, id, |volume| {
                volume.type_id = type_id;
                volume.replication_status = replicated.then(|| "enabled".to_owned());
                volume.status = if volume.attachments.is_empty() {
                    "available"
                } else {
                    "in-use"
                }
                .to_owned();
            });
        }
    }
}

/// The array takes 63 characters; the suffix wins.
fn unmanaged_name(name: &str) -> String {
    let kept: String = name.chars().take(63 - "-unmanaged".len()).collect();
    format!("{kept}-unmanaged")
}

fn create(world: &World, volume: &Volume) -> Result<(), String> {
    let name = array_name(&volume.id);
    let source = match (&volume.source_volid, &volume.snapshot_id) {
        (Some(source), _) => world
            .volume
            .volumes
            .get(source)
            .and_then(|source| source.provider_id.clone()),
        (None, Some(snapshot)) => world
            .volume
            .snapshots
            .get(snapshot)
            .and_then(|snapshot| snapshot["array_name"].as_str().map(str::to_owned)),
        _ => None,
    };
    match source {
        Some(source) => {
            world.backend.clone_volume(&source, &name)?;
            if world
                .backend
                .look(&name)?
                .is_some_and(|(bytes, _)| bytes < volume.size << 30)
            {
                world.backend.extend(&name, volume.size)?;
            }
        }
        None => world.backend.create(&name, volume.size)?,
    }
    join(world, volume, &name)
}

/// Take the array's volume over. Gives its size in GiB.
fn manage(world: &World, volume: &Volume, reference: Option<String>) -> Result<u64, String> {
    if let Some(reason) = &world.volume.manage_fails {
        return Err(reason.clone());
    }
    let specs = world
        .volume
        .types
        .get(&volume.type_id)
        .map(|kind| kind["extra_specs"].clone())
        .unwrap_or_default();
    if specs["volume_backend_name"]
        .as_str()
        .is_some_and(|name| name != world.volume.backend_name)
    {
        return Err("schedule allocate volume:Could not find any available weighted backend.".to_owned());
    }
    let invalid =
        |reason: &str| format!("Manage existing volume failed due to invalid backend reference: {reason}");
    let key = if world.release.cinder < 25 {
        "name"
    } else {
        "source-name"
    };
    let reference = reference.ok_or_else(|| {
        invalid(&format!(
            "manage_existing requires a '{key}' key to identify an existing volume."
        ))
    })?;
    if reference.contains("::") && world.release.cinder < 26 {
        return Err(invalid("Unable to manage volume in a Pod"));
    }
    let (bytes, connections) = world
        .backend
        .look(&reference)?
        .ok_or_else(|| invalid(&format!("Unable to find Purity ref with name={reference}")))?;
    if connections > 0 {
        return Err(invalid(&format!(
            "Volume {reference} is connected to a host. Unable to manage."
        )));
    }
    let size = bytes.div_ceil(1 << 30);
    let kind = world
        .volume
        .types
        .get(&volume.type_id)
        .and_then(|kind| kind["name"].as_str())
        .unwrap_or_default();
    quotas::check_size(world, &volume.project_id, kind, size)?;
    let name = array_name(&volume.id);
    world.backend.rename(&reference, &name)?;
    join(world, volume, &name)?;
    Ok(size)
}

/// Nova asks for a volume.
pub(in super::super) fn reserve(world: &mut World, id: &str, server: &str, device: &str) -> String {
    let held = uuid();
    let host = world.compute.host.clone();
    let attachment = Attachment {
        id: held.clone(),
        server_id: server.to_owned(),
        device: device.to_owned(),
        host,
        attached_at: String::new(),
        attached: false,
    };
    set(world, id, |volume| {
        if volume.attachments.is_empty() {
            volume.status = "reserved".to_owned();
        }
        volume.attachments.push(attachment);
    });
    held
}

/// Nova gives up a volume that it has never used.
pub(in super::super) fn unreserve(world: &mut World, id: &str, server: &str) {
    set(world, id, |volume| {
        volume.attachments.retain(|held| held.server_id != server);
        if volume.attachments.is_empty()
            && ["reserved", "in-use", "attaching", "detaching"].contains(&volume.status.as_str())
        {
            volume.status = "available".to_owned();
        }
    });
}

/// The hypervisor connects a reserved volume.
pub(in super::super) fn attach(world: &mut World, id: &str, server: &str) -> Result<(), String> {
    let host = world.compute.host.clone();
    let name = world
        .volume
        .volumes
        .get(id)
        .and_then(|volume| volume.provider_id.clone());
    let name = name.ok_or_else(|| format!("Volume {id} could not be found."))?;
    world.backend.connect(&host, &name, true)?;
    let stamp = world.stamp_micros();
    set(world, id, |volume| {
        volume.status = "in-use".to_owned();
        for held in volume
            .attachments
            .iter_mut()
            .filter(|held| held.server_id == server)
        {
            held.attached = true;
            held.attached_at.clone_from(&stamp);
        }
    });
    Ok(())
}

/// The hypervisor lets a volume go.
pub(in super::super) fn detach(world: &mut World, id: &str, server: &str) {
    let host = world.compute.host.clone();
    if let Some(volume) = world.volume.volumes.get(id).cloned() {
        let was = volume
            .attachments
            .iter()
            .any(|held| held.server_id == server && held.attached);
        let others = volume
            .attachments
            .iter()
            .any(|held| held.server_id != server && held.attached);
        if let (true, false, Some(name)) = (was, others, &volume.provider_id)
            && let Err(reason) = world.backend.connect(&host, name, false)
        {
            tracing::warn!(volume = id, reason, "the array keeps a connection");
        }
    }
    unreserve(world, id, server);
}

pub(in super::super) fn group_work(world: &mut World, id: &str, work: GroupWork) {
    let Some(group) = world.volume.groups.get(id).cloned() else {
        return;
    };
    let array_group = group.array_name();
    let state = match work {
        GroupWork::Create => {
            if group.consistent {
                world
                    .backend
                    .ensure_group(&array_group, group.replicated && world.release.cinder >= 23)
            } else {
                Ok(())
            }
        }
        GroupWork::Update { add, remove } => {
            let mut done = Ok(());
            for (ids, member) in [(&remove, false), (&add, true)] {
                for volume in ids {
                    let name = world
                        .volume
                        .volumes
                        .get(volume)
                        .and_then(|volume| volume.provider_id.clone());
                    if let (Some(name), true) = (name, group.consistent) {
                        done = done.and(world.backend.set_member(&array_group, &name, member));
                    }
                    set(world, volume, |volume| {
                        volume.group_id = member.then(|| id.to_owned())
                    });
                }
            }
            done
        }
        GroupWork::Delete { with_volumes } => {
            if with_volumes {
                let members: Vec<String> = world
                    .volume
                    .volumes
                    .iter()
                    .filter(|volume| volume.group_id.as_deref() == Some(id))
                    .map(|volume| volume.id.clone())
                    .collect();
                for member in members {
                    world.later(0, Job::Volume(member, Work::Delete));
                }
            }
            let done = if group.consistent {
                world.backend.destroy_group(&array_group)
            } else {
                Ok(())
            };
            if done.is_ok() {
                world.volume.groups.remove(id);
                return;
            }
            done
        }
    };
    if let Some(group) = world.volume.groups.get_mut(id) {
        group.status = if state.is_ok() { "available" } else { "error" }.to_owned();
    }
    if let Err(reason) = state {
        tracing::info!(group = id, reason, "simulated Cinder fails");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_of_what_is_unmanaged_fits() {
        let name = array_name("11111111-1111-1111-1111-111111111111");
        assert_eq!(unmanaged_name(&name), format!("{name}-unmanaged"));
        assert_eq!(unmanaged_name(&format!("cinder-pod::{name}")).len(), 63);
    }
}
