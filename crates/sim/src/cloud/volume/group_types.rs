//! Types of volume groups.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::world::{World, uuid};

fn view(ask: &Ask, kind: &Value) -> Value {
    let mut shown = kind.clone();
    if !ask.caller.admin
        && let Some(fields) = shown.as_object_mut()
    {
        fields.remove("group_specs");
    }
    shown
}

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    if ask.minor < 11 {
        return Err(Fault::missing("The resource could not be found."));
    }
    let unknown = |id: &str| Fault::missing(format!("Group type {id} could not be found."));
    if ask.method != "GET" {
        world.policies.admin(&ask.caller, "group:group_types_manage")?;
    }
    let types = &mut world.volume.group_types;
    match (ask.method.as_str(), rest) {
        ("GET", []) => {
            let found = types
                .iter()
                .filter(|kind| kind["is_public"] != false || ask.caller.admin);
            ask.page("group_types", found.map(|kind| view(ask, kind)).collect())
        }
        ("GET", [id]) => {
            let found = types.get(id).ok_or_else(|| unknown(id))?;
            Ok(Answer::ok(json!({"group_type": view(ask, found)})))
        }
        ("GET", [id, "group_specs"]) => {
            let found = types.get(id).ok_or_else(|| unknown(id))?;
            Ok(Answer::ok(json!({"group_specs": found["group_specs"]})))
        }
        ("POST", []) => {
            let wanted = Value::Object(ask.object("group_type")?.clone());
            if types.iter().any(|kind| kind["name"] == wanted["name"]) {
                return Err(Fault::conflict(format!(
                    "Group Type {} already exists.",
                    wanted["name"].as_str().unwrap_or_default()
                )));
            }
            let specs = if wanted["group_specs"].is_object() {
                wanted["group_specs"].clone()
            } else {
                json!({})
            };
            let made = json!({
                "id": uuid(), "name": wanted["name"], "description": wanted["description"],
                "is_public": wanted["is_public"].as_bool().unwrap_or(true), "group_specs": specs
            });
            types.add(made.clone());
            Ok(Answer::json(202, json!({"group_type": made})))
        }
        ("POST", [id, "group_specs"]) => {
            let found = types.get_mut(id).ok_or_else(|| unknown(id))?;
            for (key, value) in ask.object("group_specs")? {
                found["group_specs"][key] = value.clone();
            }
            Ok(Answer::json(202, json!({"group_specs": found["group_specs"]})))
        }
        ("DELETE", [id]) => {
            if world.volume.groups.iter().any(|group| group.group_type == *id) {
                return Err(Fault::bad(format!(
                    "Group type {id} deletion is not allowed with groups present with the type."
                )));
            }
            types
                .remove(id)
                .map(|_| Answer::empty(202))
                .ok_or_else(|| unknown(id))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
