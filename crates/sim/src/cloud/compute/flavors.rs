//! Flavors.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply, number};
use super::super::fault::Fault;
use super::super::world::{World, uuid};

fn not_found(id: &str) -> Fault {
    Fault::missing(format!("Flavor {id} could not be found."))
}

fn view(ask: &Ask, flavor: &Value) -> Value {
    let mut shown = flavor.clone();
    if ask.minor < 61
        && let Some(fields) = shown.as_object_mut()
    {
        fields.remove("extra_specs");
    }
    let id = flavor["id"].as_str().unwrap_or_default();
    shown["links"] = json!([{"rel": "self", "href": format!("{}/flavors/{id}", ask.base)}]);
    shown
}

/// A flavor with what every flavor has.
pub(in super::super) fn record(wanted: &Value) -> Value {
    let public = wanted["os-flavor-access:is_public"].as_bool().unwrap_or(true);
    let count = |key: &str| number(&wanted[key]).unwrap_or(0);
    json!({
        "id": wanted["id"].as_str().map_or_else(uuid, str::to_owned), "name": wanted["name"], "vcpus": count("vcpus"),
        "ram": count("ram"), "disk": count("disk"), "swap": count("swap"), "rxtx_factor": 1.0,
        "OS-FLV-EXT-DATA:ephemeral": count("OS-FLV-EXT-DATA:ephemeral"), "OS-FLV-DISABLED:disabled": false,
        "os-flavor-access:is_public": public, "description": wanted["description"],
        "extra_specs": if wanted["extra_specs"].is_object() { wanted["extra_specs"].clone() } else { json!({}) }
    })
}

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    let visible = |flavor: &&Value| ask.caller.admin || flavor["os-flavor-access:is_public"] != false;
    if ask.method != "GET" {
        world
            .policies
            .admin(&ask.caller, "os_compute_api:os-flavor-manage:create")?;
    }
    let flavors = &mut world.compute.flavors;
    match (ask.method.as_str(), rest) {
        ("GET", [] | ["detail"]) => {
            let public = ask
                .query("is_public")
                .filter(|_| ask.caller.admin)
                .map(str::to_lowercase);
            let found = flavors
                .iter()
                .filter(visible)
                .filter(|flavor| match public.as_deref() {
                    Some("none") => true,
                    Some("false") => flavor["os-flavor-access:is_public"] == false,
                    _ => flavor["os-flavor-access:is_public"] != false,
                });
            let found = found.map(|flavor| match rest {
                [] => {
                    json!({"id": flavor["id"], "name": flavor["name"], "links": view(ask, flavor)["links"]})
                }
                _ => view(ask, flavor),
            });
            ask.page("flavors", found.collect())
        }
        ("GET", [id]) => {
            let found = flavors.get(id).filter(visible).ok_or_else(|| not_found(id))?;
            Ok(Answer::ok(json!({"flavor": view(ask, found)})))
        }
        ("GET", [id, "os-extra_specs"]) => {
            let found = flavors.get(id).filter(visible).ok_or_else(|| not_found(id))?;
            Ok(Answer::ok(json!({"extra_specs": found["extra_specs"]})))
        }
        ("POST", []) => {
            let flavor = record(&Value::Object(ask.object("flavor")?.clone()));
            if flavors
                .iter()
                .any(|other| other["id"] == flavor["id"] || other["name"] == flavor["name"])
            {
                let name = flavor["name"].as_str().unwrap_or_default();
                return Err(Fault::conflict(format!(
                    "Flavor with name {name} already exists."
                )));
            }
            flavors.add(flavor.clone());
            Ok(Answer::ok(json!({"flavor": view(ask, &flavor)})))
        }
        ("POST", [id, "os-extra_specs"]) => {
            let found = flavors.get_mut(id).ok_or_else(|| not_found(id))?;
            for (key, value) in ask.object("extra_specs")? {
                found["extra_specs"][key] = value.clone();
            }
            Ok(Answer::ok(json!({"extra_specs": found["extra_specs"]})))
        }
        ("DELETE", [id]) => flavors
            .remove(id)
            .map(|_| Answer::empty(202))
            .ok_or_else(|| not_found(id)),
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
