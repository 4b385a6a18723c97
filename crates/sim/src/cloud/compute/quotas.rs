//! How much a project may have in Nova.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply, number};
use super::super::fault::Fault;
use super::super::world::World;

const NAMES: [&str; 7] = [
    "instances",
    "cores",
    "ram",
    "metadata_items",
    "key_pairs",
    "server_groups",
    "server_group_members",
];

pub(super) fn limit(world: &World, name: &str) -> i64 {
    world.compute.quotas.get(name).copied().unwrap_or(match name {
        "instances" => 100,
        "cores" => 400,
        "ram" => 1_048_576,
        "metadata_items" => 128,
        "key_pairs" => 100,
        _ => 10,
    })
}

fn used(world: &World, project: &str, name: &str) -> i64 {
    let servers = world
        .compute
        .servers
        .iter()
        .filter(|server| server.project_id == project);
    let sum = |key: &str| {
        servers
            .clone()
            .filter_map(|server| number(&server.flavor[key]))
            .sum()
    };
    match name {
        "instances" => i64::try_from(servers.count()).unwrap_or(i64::MAX),
        "cores" => sum("vcpus"),
        "ram" => sum("ram"),
        _ => 0,
    }
}

/// One more server of that flavor.
pub(super) fn check(world: &World, project: &str, flavor: &Value) -> Result<(), Fault> {
    let more = [
        ("instances", 1),
        ("cores", number(&flavor["vcpus"]).unwrap_or(0)),
        ("ram", number(&flavor["ram"]).unwrap_or(0)),
    ];
    for (name, more) in more {
        let (limit, used) = (limit(world, name), used(world, project, name));
        if limit >= 0 && used + more > limit {
            return Err(Fault::forbidden(format!(
                "Quota exceeded for {name}: Requested {more}, but already used {used} of {limit} {name}"
            )));
        }
    }
    Ok(())
}

pub(super) fn limits(world: &World, project: &str) -> Value {
    let limit = |name: &str| limit(world, name);
    let used = |name: &str| used(world, project, name);
    json!({"limits": {"rate": [], "absolute": {
        "maxTotalInstances": limit("instances"), "totalInstancesUsed": used("instances"),
        "maxTotalCores": limit("cores"), "totalCoresUsed": used("cores"),
        "maxTotalRAMSize": limit("ram"), "totalRAMUsed": used("ram"),
        "maxServerMeta": limit("metadata_items"), "maxTotalKeypairs": limit("key_pairs"),
        "maxServerGroups": limit("server_groups"), "totalServerGroupsUsed": 0,
        "maxServerGroupMembers": limit("server_group_members")
    }}})
}

pub(super) fn quota_sets(world: &mut World, ask: &Ask, project: &str, rest: &[&str]) -> Reply {
    if !ask.reaches(project) {
        return Err(Fault::forbidden(
            "Policy doesn't allow os_compute_api:os-quota-sets:show to be performed.",
        ));
    }
    if ask.method == "PUT" {
        world
            .policies
            .admin(&ask.caller, "os_compute_api:os-quota-sets:update")?;
        for (name, value) in ask.object("quota_set")?.clone() {
            if let Some(limit) = number(&value) {
                world.compute.quotas.insert(name, limit);
            }
        }
    } else if rest == ["detail"] {
        world
            .policies
            .reader(&ask.caller, "os_compute_api:os-quota-sets:detail")?;
    }
    let mut set = json!({"id": project});
    for name in NAMES {
        let limit = limit(world, name);
        set[name] = match rest {
            ["detail"] => json!({"limit": limit, "in_use": used(world, project, name), "reserved": 0}),
            _ => json!(limit),
        };
    }
    Ok(Answer::ok(json!({"quota_set": set})))
}
