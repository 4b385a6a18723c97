//! Groups of servers that want to be together, or apart.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::world::{World, uuid};

fn view(ask: &Ask, group: &Value) -> Value {
    let mut shown = group.clone();
    if ask.minor < 64
        && let Some(fields) = shown.as_object_mut()
    {
        fields.remove("rules");
        let policy = fields.remove("policy");
        fields.insert("policies".to_owned(), json!([policy]));
        fields.insert("metadata".to_owned(), json!({}));
    }
    shown
}

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    let groups = &mut world.compute.server_groups;
    let mine = |group: &&Value| {
        group["project_id"]
            .as_str()
            .is_some_and(|owner| ask.reaches(owner))
    };
    let unknown = |id: &str| Fault::missing(format!("Instance group {id} could not be found."));
    match (ask.method.as_str(), rest) {
        ("GET", []) => {
            let all = ask.caller.admin && ask.wants("all_projects");
            let found = groups
                .iter()
                .filter(|group| all || group["project_id"] == ask.project());
            ask.page("server_groups", found.map(|group| view(ask, group)).collect())
        }
        ("GET", [id]) => {
            let found = groups.get(id).filter(mine).ok_or_else(|| unknown(id))?;
            Ok(Answer::ok(json!({"server_group": view(ask, found)})))
        }
        ("POST", []) => {
            let wanted = Value::Object(ask.object("server_group")?.clone());
            let policy = wanted["policy"]
                .as_str()
                .or(wanted["policies"][0].as_str())
                .unwrap_or_default();
            if !["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"].contains(&policy) {
                return Err(Fault::bad("Invalid input for field/attribute policy."));
            }
            let rules = if wanted["rules"].is_object() {
                wanted["rules"].clone()
            } else {
                json!({})
            };
            let made = json!({
                "id": uuid(), "name": wanted["name"], "policy": policy, "rules": rules, "members": [],
                "project_id": ask.project(), "user_id": ask.caller.user_id
            });
            groups.add(made.clone());
            Ok(Answer::ok(json!({"server_group": view(ask, &made)})))
        }
        ("DELETE", [id]) => {
            groups.get(id).filter(mine).ok_or_else(|| unknown(id))?;
            groups.remove(id);
            Ok(Answer::empty(204))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
