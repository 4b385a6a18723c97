//! Volume types. Most of their extra specs are none of a tenant's business.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::world::{World, uuid};

/// The extra specs that everybody sees.
const VISIBLE: [&str; 3] = ["replication_enabled", "multiattach", "RESKEY:availability_zones"];

fn not_found(id: &str) -> Fault {
    Fault::missing(format!("Volume type {id} could not be found."))
}

fn specs(world: &World, ask: &Ask, kind: &Value) -> Value {
    let mut specs = kind["extra_specs"].as_object().cloned().unwrap_or_default();
    let sensitive = "volume_extension:types_extra_specs:read_sensitive";
    if world.policies.admin(&ask.caller, sensitive).is_err() {
        specs.retain(|key, _| VISIBLE.contains(&key.as_str()));
    }
    Value::Object(specs)
}

fn view(world: &World, ask: &Ask, kind: &Value) -> Value {
    let mut shown = json!({
        "id": kind["id"], "name": kind["name"], "description": kind["description"], "is_public": kind["is_public"],
        "os-volume-type-access:is_public": kind["is_public"], "extra_specs": specs(world, ask, kind)
    });
    if ask.caller.admin {
        shown["qos_specs_id"] = Value::Null;
    }
    shown
}

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    if ask.method != "GET" {
        return change(world, ask, rest);
    }
    let volumes = &world.volume;
    match rest {
        [] => {
            let public = ask.query("is_public").filter(|_| ask.caller.admin);
            let found = volumes.types.iter().filter(|kind| {
                let chosen = match public.map(str::to_lowercase).as_deref() {
                    Some("none") => true,
                    Some("false") => kind["is_public"] == false,
                    _ if ask.caller.admin => kind["is_public"] != false,
                    _ => true,
                };
                chosen && volumes.sees_type(ask, kind)
            });
            ask.page("volume_types", found.map(|kind| view(world, ask, kind)).collect())
        }
        ["default"] => {
            let found = super::volumes::wanted_type(world, ask, None)?;
            Ok(Answer::ok(json!({"volume_type": view(world, ask, &found)})))
        }
        [id, rest @ ..] => {
            let kind = volumes.types.get(id).filter(|kind| volumes.sees_type(ask, kind));
            let kind = kind.ok_or_else(|| not_found(id))?;
            match rest {
                [] => Ok(Answer::ok(json!({"volume_type": view(world, ask, kind)}))),
                ["extra_specs"] => Ok(Answer::ok(json!({"extra_specs": specs(world, ask, kind)}))),
                ["extra_specs", key] => {
                    let specs = specs(world, ask, kind);
                    let missing =
                        || Fault::missing(format!("Volume Type {id} has no extra specs with key {key}."));
                    let value = specs.get(*key).ok_or_else(missing)?;
                    Ok(Answer::ok(json!({*key: value})))
                }
                ["encryption"] => {
                    world
                        .policies
                        .admin(&ask.caller, "volume_extension:volume_type_encryption:get")?;
                    let encryption = if kind["encryption"].is_object() {
                        kind["encryption"].clone()
                    } else {
                        json!({})
                    };
                    Ok(Answer::ok(encryption))
                }
                ["os-volume-type-access"] => {
                    world.policies.admin(
                        &ask.caller,
                        "volume_extension:volume_type_access:get_all_for_type",
                    )?;
                    let projects = volumes.type_access.get(*id).into_iter().flatten();
                    let access = projects.map(|project| json!({"volume_type_id": id, "project_id": project}));
                    Ok(Answer::ok(
                        json!({"volume_type_access": access.collect::<Vec<_>>()}),
                    ))
                }
                _ => Err(Fault::missing("The resource could not be found.")),
            }
        }
    }
}

fn change(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    world
        .policies
        .admin(&ask.caller, "volume_extension:types_manage")?;
    match (ask.method.as_str(), rest) {
        ("POST", []) => {
            let wanted = Value::Object(ask.object("volume_type")?.clone());
            if world
                .volume
                .types
                .iter()
                .any(|kind| kind["name"] == wanted["name"])
            {
                return Err(Fault::conflict(format!(
                    "Volume Type {} already exists.",
                    wanted["name"].as_str().unwrap_or_default()
                )));
            }
            let public = wanted["os-volume-type-access:is_public"]
                .as_bool()
                .or(wanted["is_public"].as_bool());
            let specs = if wanted["extra_specs"].is_object() {
                wanted["extra_specs"].clone()
            } else {
                json!({})
            };
            let made = json!({
                "id": uuid(), "name": wanted["name"], "description": wanted["description"],
                "is_public": public.unwrap_or(true), "extra_specs": specs
            });
            world.volume.types.add(made.clone());
            let mut shown = view(world, ask, &made);
            if let Some(fields) = shown.as_object_mut() {
                fields.remove("qos_specs_id");
            }
            Ok(Answer::ok(json!({"volume_type": shown})))
        }
        ("POST", [id, "action"]) => {
            world.volume.types.get(id).ok_or_else(|| not_found(id))?;
            let access = world.volume.type_access.entry((*id).to_owned()).or_default();
            if let Some(project) = ask.body["addProjectAccess"]["project"].as_str() {
                access.insert(project.to_owned());
            } else if let Some(project) = ask.body["removeProjectAccess"]["project"].as_str() {
                access.remove(project);
            }
            Ok(Answer::empty(202))
        }
        (method, [id, rest @ ..]) => {
            let used = world.volume.volumes.iter().any(|volume| volume.type_id == *id);
            let kind = world.volume.types.get_mut(id).ok_or_else(|| not_found(id))?;
            match (method, rest) {
                ("PUT", []) => {
                    for (key, value) in ask.object("volume_type")? {
                        kind[key] = value.clone();
                    }
                    let kind = kind.clone();
                    Ok(Answer::ok(json!({"volume_type": view(world, ask, &kind)})))
                }
                ("DELETE", []) if used => Err(Fault::bad(format!(
                    "Volume type {id} deletion is not allowed with volumes present with the type."
                ))),
                ("DELETE", []) => {
                    world.volume.types.remove(id);
                    Ok(Answer::empty(202))
                }
                ("POST", ["extra_specs"]) => {
                    for (key, value) in ask.object("extra_specs")? {
                        kind["extra_specs"][key] = value.clone();
                    }
                    Ok(Answer::ok(json!({"extra_specs": kind["extra_specs"]})))
                }
                ("DELETE", ["extra_specs", key]) => {
                    if let Some(specs) = kind["extra_specs"].as_object_mut() {
                        specs.remove(*key);
                    }
                    Ok(Answer::empty(202))
                }
                ("POST", ["encryption"]) => {
                    let mut encryption = Value::Object(ask.object("encryption")?.clone());
                    encryption["encryption_id"] = json!(uuid());
                    encryption["volume_type_id"] = json!(id);
                    kind["encryption"] = encryption.clone();
                    Ok(Answer::ok(json!({"encryption": encryption})))
                }
                _ => Err(Fault::missing("The resource could not be found.")),
            }
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
