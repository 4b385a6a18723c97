//! How much a project may have in Cinder.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply, number};
use super::super::fault::Fault;
use super::super::world::World;

/// What a new Cinder allows.
fn usual(name: &str) -> i64 {
    match name {
        "volumes" | "snapshots" | "groups" | "backups" => 10,
        "gigabytes" | "backup_gigabytes" => 1000,
        _ => -1,
    }
}

fn limit(world: &World, project: &str, name: &str) -> i64 {
    let own = world
        .volume
        .project_quotas
        .get(project)
        .and_then(|quotas| quotas.get(name));
    own.or_else(|| world.volume.quotas.get(name))
        .copied()
        .unwrap_or_else(|| usual(name))
}

fn used(world: &World, project: &str, name: &str) -> i64 {
    let volumes = &world.volume;
    let (what, kind) = name
        .split_once('_')
        .map_or((name, None), |(what, kind)| (what, Some(kind)));
    let own = volumes.volumes.iter().filter(|volume| {
        volume.project_id == project
            && kind.is_none_or(|kind| {
                volumes
                    .types
                    .get(&volume.type_id)
                    .is_some_and(|own| own["name"] == kind)
            })
    });
    let count = match what {
        "volumes" => own.count(),
        "gigabytes" => usize::try_from(own.map(|volume| volume.size).sum::<u64>()).unwrap_or(usize::MAX),
        "snapshots" => volumes
            .snapshots
            .iter()
            .filter(|snapshot| snapshot["project_id"] == project)
            .count(),
        "groups" => volumes
            .groups
            .iter()
            .filter(|group| group.project_id == project)
            .count(),
        _ => 0,
    };
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn exceeds(world: &World, project: &str, name: &str, more: i64) -> bool {
    let limit = limit(world, project, name);
    limit >= 0 && used(world, project, name) + more > limit
}

/// One more volume of that type.
pub(super) fn check_count(world: &World, project: &str, kind: &str) -> Result<(), Fault> {
    for name in ["volumes".to_owned(), format!("volumes_{kind}")] {
        if exceeds(world, project, &name, 1) {
            return Err(Fault::new(
                413,
                "",
                format!(
                    "VolumeLimitExceeded: Maximum number of volumes allowed ({}) exceeded for quota '{name}'.",
                    limit(world, project, &name)
                ),
            ));
        }
    }
    Ok(())
}

/// So many gigabytes more of that type. Where nobody waits for the answer, the reason is only told as a message.
pub(super) fn check_size(world: &World, project: &str, kind: &str, more: u64) -> Result<(), String> {
    let more = i64::try_from(more).unwrap_or(i64::MAX);
    for name in ["gigabytes".to_owned(), format!("gigabytes_{kind}")] {
        if exceeds(world, project, &name, more) {
            return Err(format!(
                "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {name} quota. Requested {more}G, quota is {}G and {}G has been consumed.",
                limit(world, project, &name),
                used(world, project, &name)
            ));
        }
    }
    Ok(())
}

pub(super) fn check_groups(world: &World, project: &str) -> Result<(), Fault> {
    if exceeds(world, project, "groups", 1) {
        return Err(Fault::new(413, "", "Maximum number of groups allowed exceeded."));
    }
    Ok(())
}

fn names(world: &World) -> Vec<String> {
    let mut names: Vec<String> = [
        "volumes",
        "snapshots",
        "gigabytes",
        "backups",
        "backup_gigabytes",
        "per_volume_gigabytes",
        "groups",
    ]
    .map(str::to_owned)
    .to_vec();
    for kind in world.volume.types.iter().filter_map(|kind| kind["name"].as_str()) {
        names.extend(["volumes", "gigabytes", "snapshots"].map(|what| format!("{what}_{kind}")));
    }
    names
}

pub(super) fn quota_sets(world: &mut World, ask: &Ask, project: &str) -> Reply {
    if !ask.reaches(project) {
        return Err(Fault::forbidden(
            "Policy doesn't allow volume_extension:quotas:show to be performed.",
        ));
    }
    if ask.method == "PUT" {
        world
            .policies
            .admin(&ask.caller, "volume_extension:quotas:update")?;
        let changes = ask.object("quota_set")?.clone();
        let quotas = world.volume.project_quotas.entry(project.to_owned()).or_default();
        for (name, value) in changes {
            if let Some(limit) = number(&value) {
                quotas.insert(name, limit);
            }
        }
    }
    let mut set = json!({"id": project});
    for name in names(world) {
        let limit = limit(world, project, &name);
        set[&name] = if ask.wants("usage") {
            json!({"limit": limit, "in_use": used(world, project, &name), "reserved": 0})
        } else {
            json!(limit)
        };
    }
    Ok(Answer::ok(json!({"quota_set": set})))
}

pub(super) fn limits(world: &World, project: &str) -> Value {
    let limit = |name: &str| limit(world, project, name);
    let used = |name: &str| used(world, project, name);
    json!({"limits": {"rate": [], "absolute": {
        "maxTotalVolumes": limit("volumes"), "totalVolumesUsed": used("volumes"),
        "maxTotalVolumeGigabytes": limit("gigabytes"), "totalGigabytesUsed": used("gigabytes"),
        "maxTotalSnapshots": limit("snapshots"), "totalSnapshotsUsed": used("snapshots"),
        "maxTotalBackups": 10, "totalBackupsUsed": 0,
        "maxTotalBackupGigabytes": 1000, "totalBackupGigabytesUsed": 0
    }}})
}
