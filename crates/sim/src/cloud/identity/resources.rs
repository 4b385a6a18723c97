//! What Keystone keeps in plain tables: domains, regions, projects, users, roles, services, endpoints.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::table::Table;
use super::super::world::{World, hex};

fn table<'a>(world: &'a mut World, collection: &str) -> Option<(&'a mut Table<Value>, &'static str)> {
    let identity = &mut world.identity;
    Some(match collection {
        "domains" => (&mut identity.domains, "domain"),
        "regions" => (&mut identity.regions, "region"),
        "projects" => (&mut identity.projects, "project"),
        "users" => (&mut identity.users, "user"),
        "roles" => (&mut identity.roles, "role"),
        "services" => (&mut identity.services, "service"),
        "endpoints" => (&mut identity.endpoints, "endpoint"),
        _ => return None,
    })
}

pub(super) fn route(world: &mut World, ask: &Ask, collection: &str, rest: &[&str]) -> Reply {
    if collection == "groups" || collection == "limits" || collection == "registered_limits" {
        return Ok(Answer::ok(json!({collection: [], "links": {}})));
    }
    let caller = &ask.caller;
    let (items, what) =
        table(world, collection).ok_or_else(|| Fault::missing("The resource could not be found."))?;
    let unknown = |id: &str| Fault::missing(format!("Could not find {what}: {id}."));
    let own = rest
        .first()
        .is_some_and(|id| *id == caller.user_id || Some(*id) == caller.project_id.as_deref());
    let verb = match (ask.method.as_str(), rest.is_empty()) {
        ("GET", true) => format!("list_{collection}"),
        ("GET" | "HEAD", false) => format!("get_{what}"),
        ("POST", _) => format!("create_{what}"),
        ("DELETE", _) => format!("delete_{what}"),
        _ => format!("update_{what}"),
    };
    if !(caller.admin || (own && ask.method == "GET") || collection == "regions" && ask.method == "GET") {
        return Err(Fault::forbidden(format!(
            "You are not authorized to perform the requested action: identity:{verb}."
        )));
    }
    match (ask.method.as_str(), rest) {
        ("GET", []) => {
            let filters = [
                "name",
                "type",
                "domain_id",
                "interface",
                "service_id",
                "region_id",
                "enabled",
            ];
            let fits = |item: &&Value| {
                filters.iter().all(|key| {
                    ask.query(key).is_none_or(|wanted| match &item[*key] {
                        Value::String(text) => text == wanted,
                        Value::Bool(truth) => truth.to_string().eq_ignore_ascii_case(wanted),
                        Value::Null => collection == "roles" || wanted == "None",
                        _ => false,
                    })
                })
            };
            let found: Vec<&Value> = items.iter().filter(fits).collect();
            let links = json!({"self": format!("{}/{collection}", ask.base), "next": null, "previous": null});
            Ok(Answer::ok(json!({collection: found, "links": links})))
        }
        ("GET" | "HEAD", [id]) => {
            let found = items.get(id).ok_or_else(|| unknown(id))?;
            Ok(Answer::ok(json!({what: found})))
        }
        ("POST", []) => {
            let wanted = Value::Object(ask.object(what)?.clone());
            let in_domains = ["projects", "users"].contains(&collection);
            let domain = wanted["domain_id"].as_str().unwrap_or("default");
            let twin = items.iter().any(|item| {
                wanted["name"].is_string()
                    && item["name"] == wanted["name"]
                    && (!in_domains || item["domain_id"] == domain)
                    && (in_domains || ["roles", "domains"].contains(&collection))
            });
            if twin {
                return Err(Fault::conflict(format!(
                    "Conflict occurred attempting to store {what} - Duplicate entry found with name {}.",
                    wanted["name"].as_str().unwrap_or_default()
                )));
            }
            let password = wanted["password"].as_str().map(str::to_owned);
            let made = record(what, &ask.base, wanted);
            items.add(made.clone());
            if let (Some(password), Some(id)) = (password, made["id"].as_str()) {
                world.identity.secrets.insert(id.to_owned(), password);
            }
            Ok(Answer::json(201, json!({what: made})))
        }
        ("PATCH", [id]) => {
            let changes = ask.object(what)?.clone();
            let found = items.get_mut(id).ok_or_else(|| unknown(id))?;
            let mut password = None;
            for (key, value) in changes {
                if key == "password" {
                    password = value.as_str().map(str::to_owned);
                } else if key != "id" {
                    found[key] = value;
                }
            }
            let found = found.clone();
            if let Some(password) = password {
                set_password(world, id, password);
            }
            if found["enabled"] == false {
                world.identity.tokens.retain(|_, token| token.user != *id);
            }
            Ok(Answer::ok(json!({what: found})))
        }
        ("DELETE", [id]) => {
            items.remove(id).ok_or_else(|| unknown(id))?;
            let identity = &mut world.identity;
            identity
                .assignments
                .retain(|held| held.user != *id && held.project != *id && held.role != *id);
            identity.tokens.retain(|_, token| token.user != *id);
            identity
                .trusts
                .retain(|trust| trust.trustor != *id && trust.trustee != *id && trust.project != *id);
            identity
                .endpoints
                .retain(|endpoint| endpoint["service_id"] != *id);
            Ok(Answer::empty(204))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}

/// A record as Keystone stores it, with defaults for what wasn't given.
pub(in super::super) fn record(what: &str, base: &str, wanted: Value) -> Value {
    let defaults = match what {
        "project" => {
            json!({"description": "", "domain_id": "default", "parent_id": "default", "enabled": true,
            "is_domain": false, "tags": [], "options": {}})
        }
        "user" => {
            json!({"domain_id": "default", "enabled": true, "password_expires_at": null, "options": {}})
        }
        "role" => json!({"domain_id": null, "description": null, "options": {}}),
        "domain" => json!({"description": "", "enabled": true}),
        "region" => json!({"description": "", "parent_region_id": null}),
        _ => json!({"enabled": true}),
    };
    let mut made = json!({"id": wanted["id"].as_str().map_or_else(hex, str::to_owned)});
    for source in [defaults, wanted] {
        for (key, value) in source.as_object().cloned().unwrap_or_default() {
            if key != "password" && (!value.is_null() || made[&key].is_null()) {
                made[key] = value;
            }
        }
    }
    if what == "endpoint" {
        // `region` is the old name of the same thing; clients still send it.
        let region = [&made["region_id"], &made["region"]]
            .into_iter()
            .find(|id| !id.is_null());
        let region = region.cloned().unwrap_or_default();
        made["region_id"] = region.clone();
        made["region"] = region;
    }
    let id = made["id"].as_str().unwrap_or_default().to_owned();
    made["links"] = json!({"self": format!("{base}/{what}s/{id}")});
    made
}

fn set_password(world: &mut World, user: &str, password: String) {
    let identity = &mut world.identity;
    identity.secrets.insert(user.to_owned(), password);
    let trusts: Vec<String> = identity
        .trusts
        .iter()
        .filter(|trust| trust.trustor == user)
        .map(|trust| trust.id.clone())
        .collect();
    identity.tokens.retain(|_, token| {
        token.user != user && token.trust.as_ref().is_none_or(|trust| !trusts.contains(trust))
    });
}

pub(super) fn change_password(world: &mut World, ask: &Ask, user: &str) -> Reply {
    let wanted = ask.object("user")?;
    let word = |key: &str| wanted.get(key).and_then(Value::as_str);
    let known = world.identity.secrets.get(user).map(String::as_str);
    let Some(password) = word("password") else {
        return Err(Fault::bad("'password' is a required property"));
    };
    if known.is_none() || known != word("original_password") {
        return Err(Fault::unauthorized());
    }
    set_password(world, user, password.to_owned());
    Ok(Answer::empty(204))
}
