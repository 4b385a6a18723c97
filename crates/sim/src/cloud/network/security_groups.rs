//! Security groups and their rules.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::world::{World, uuid};
use super::{check_quota, list};

fn not_found(id: &str) -> Fault {
    Fault::new(
        404,
        "SecurityGroupNotFound",
        format!("Security group {id} does not exist"),
    )
}

/// A group that a port of this project may have.
pub(super) fn check(world: &World, project: &str, id: &str) -> Result<(), Fault> {
    let found = world.network.security_groups.get(id);
    found
        .filter(|group| group["project_id"] == project)
        .map(drop)
        .ok_or_else(|| not_found(id))
}

/// The id of a project's default group. Neutron makes it when it is first asked for.
pub(in super::super) fn default_group(world: &mut World, project: &str) -> String {
    let mine = |group: &&Value| group["project_id"] == project && group["name"] == "default";
    if let Some(found) = world.network.security_groups.iter().find(mine) {
        return found["id"].as_str().unwrap_or_default().to_owned();
    }
    let id = make(world, project, "default", "Default security group");
    for ethertype in ["IPv4", "IPv6"] {
        let rule = json!({"security_group_id": id, "direction": "ingress", "ethertype": ethertype, "remote_group_id": id});
        add_rule(world, project, rule);
    }
    id
}

/// The names of groups, by their ids.
pub(in super::super) fn groups_named(world: &World, ids: &[String]) -> Vec<String> {
    let groups = ids.iter().filter_map(|id| world.network.security_groups.get(id));
    groups
        .filter_map(|group| group["name"].as_str().map(str::to_owned))
        .collect()
}

fn make(world: &mut World, project: &str, name: &str, description: &str) -> String {
    let id = uuid();
    let stamp = world.stamp();
    world.network.security_groups.add(json!({
        "id": id, "name": name, "description": description, "project_id": project, "tenant_id": project,
        "stateful": true, "shared": false, "tags": [], "revision_number": 1, "created_at": stamp, "updated_at": stamp
    }));
    for ethertype in ["IPv4", "IPv6"] {
        let rule = json!({"security_group_id": id, "direction": "egress", "ethertype": ethertype});
        add_rule(world, project, rule);
    }
    id
}

fn add_rule(world: &mut World, project: &str, wanted: Value) -> Value {
    let mut rule = json!({
        "id": uuid(), "project_id": project, "tenant_id": project, "security_group_id": null, "direction": "ingress",
        "ethertype": "IPv4", "protocol": null, "port_range_min": null, "port_range_max": null,
        "remote_ip_prefix": null, "remote_group_id": null, "remote_address_group_id": null, "normalized_cidr": null,
        "description": "", "tags": [], "revision_number": 0, "created_at": world.stamp(), "updated_at": world.stamp()
    });
    for (key, value) in wanted.as_object().cloned().unwrap_or_default() {
        rule[key] = value;
    }
    world.network.security_group_rules.add(rule.clone());
    rule
}

fn with_rules(world: &World, group: &Value) -> Value {
    let rules = world
        .network
        .security_group_rules
        .iter()
        .filter(|rule| rule["security_group_id"] == group["id"]);
    let mut group = group.clone();
    group["security_group_rules"] = rules.cloned().collect();
    group
}

pub(super) fn route(world: &mut World, ask: &Ask, path: &[&str]) -> Reply {
    let project = ask.project().to_owned();
    let reaches = |item: &&Value| {
        item["project_id"]
            .as_str()
            .is_some_and(|owner| ask.reaches(owner))
    };
    match (ask.method.as_str(), path) {
        ("GET", ["security-groups"]) => {
            default_group(world, &project);
            let groups: Vec<Value> = world
                .network
                .security_groups
                .iter()
                .map(|group| with_rules(world, group))
                .collect();
            list(ask, "security_groups", groups.iter())
        }
        ("POST", ["security-groups"]) => {
            let wanted = ask.object("security_group")?;
            let word = |key: &str| wanted.get(key).and_then(Value::as_str).unwrap_or_default();
            let owner = wanted
                .get("project_id")
                .and_then(Value::as_str)
                .filter(|_| ask.caller.admin);
            let owner = owner.unwrap_or(&project);
            default_group(world, owner);
            if word("name").eq_ignore_ascii_case("default") {
                return Err(Fault::new(
                    409,
                    "SecurityGroupDefaultAlreadyExists",
                    "Default security group already exists.",
                ));
            }
            check_quota(world, owner, "security_group")?;
            let id = make(world, owner, word("name"), word("description"));
            let group = world
                .network
                .security_groups
                .get(&id)
                .map(|group| with_rules(world, group));
            Ok(Answer::json(201, json!({"security_group": group})))
        }
        (method, ["security-groups", id]) => {
            let group = world.network.security_groups.get(id).filter(reaches).cloned();
            let group = group.ok_or_else(|| not_found(id))?;
            match method {
                "GET" => Ok(Answer::ok(json!({"security_group": with_rules(world, &group)}))),
                "PUT" => {
                    let wanted = ask.object("security_group")?.clone();
                    if let Some(group) = world.network.security_groups.get_mut(id) {
                        for (key, value) in wanted {
                            group[key] = value;
                        }
                    }
                    let group = world
                        .network
                        .security_groups
                        .get(id)
                        .map(|group| with_rules(world, group));
                    Ok(Answer::ok(json!({"security_group": group})))
                }
                "DELETE" => {
                    let used = world.network.ports.iter().any(|port| {
                        port["security_groups"]
                            .as_array()
                            .is_some_and(|groups| groups.iter().any(|own| own == id))
                    });
                    if used {
                        return Err(Fault::new(
                            409,
                            "SecurityGroupInUse",
                            format!("Security Group {id} in use."),
                        ));
                    }
                    world.network.security_groups.remove(id);
                    world
                        .network
                        .security_group_rules
                        .retain(|rule| rule["security_group_id"] != *id);
                    Ok(Answer::empty(204))
                }
                _ => Err(super::missing("The resource could not be found.")),
            }
        }
        ("GET", ["security-group-rules"]) => list(
            ask,
            "security_group_rules",
            world.network.security_group_rules.iter(),
        ),
        ("POST", ["security-group-rules"]) => {
            let wanted = ask.object("security_group_rule")?.clone();
            let group = wanted
                .get("security_group_id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            let owner = world.network.security_groups.get(&group).filter(reaches).cloned();
            let owner = owner.ok_or_else(|| not_found(&group))?;
            let key = |rule: &Value| {
                [
                    "direction",
                    "ethertype",
                    "protocol",
                    "port_range_min",
                    "port_range_max",
                    "remote_ip_prefix",
                    "remote_group_id",
                ]
                .map(|key| rule[key].clone())
            };
            let mut wanted = Value::Object(wanted);
            if wanted["ethertype"].is_null() {
                wanted["ethertype"] = json!("IPv4");
            }
            let twin = world
                .network
                .security_group_rules
                .iter()
                .find(|rule| rule["security_group_id"] == group.as_str() && key(rule) == key(&wanted));
            if let Some(twin) = twin {
                return Err(Fault::new(
                    409,
                    "SecurityGroupRuleExists",
                    format!(
                        "Security group rule already exists. Rule id is {}.",
                        twin["id"].as_str().unwrap_or_default()
                    ),
                ));
            }
            let project = owner["project_id"].as_str().unwrap_or_default().to_owned();
            let rule = add_rule(world, &project, wanted);
            Ok(Answer::json(201, json!({"security_group_rule": rule})))
        }
        (method @ ("GET" | "DELETE"), ["security-group-rules", id]) => {
            let unknown = || {
                Fault::new(
                    404,
                    "SecurityGroupRuleNotFound",
                    format!("Security group rule {id} does not exist"),
                )
            };
            let rule = world
                .network
                .security_group_rules
                .get(id)
                .filter(reaches)
                .cloned()
                .ok_or_else(unknown)?;
            if method == "GET" {
                return Ok(Answer::ok(json!({"security_group_rule": rule})));
            }
            world.network.security_group_rules.remove(id);
            Ok(Answer::empty(204))
        }
        _ => Err(super::missing("The resource could not be found.")),
    }
}
