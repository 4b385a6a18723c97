//! Neutron v2.0: networks, ports, security groups. No packet ever flows.

mod addresses;
mod ports;
mod resources;
mod security_groups;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::ask::{Answer, Ask, Reply};
use super::fault::Fault;
use super::table::Table;
use super::world::World;

pub(super) use ports::{bind, make, release};
pub(super) use security_groups::{default_group, groups_named};

/// The network service's state.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Network {
    pub networks: Table<Value>,
    pub subnets: Table<Value>,
    pub ports: Table<Value>,
    pub security_groups: Table<Value>,
    pub security_group_rules: Table<Value>,
    pub routers: Table<Value>,
    pub floatingips: Table<Value>,
    /// Limits by resource; what isn't here has the usual one.
    pub quotas: BTreeMap<String, i64>,
}

const EXTENSIONS: [&str; 16] = [
    "agent",
    "allowed-address-pairs",
    "binding",
    "extra_dhcp_opt",
    "ext-gw-mode",
    "external-net",
    "network_availability_zone",
    "port-security",
    "project-id",
    "quotas",
    "quota_details",
    "router",
    "security-group",
    "standard-attr-description",
    "standard-attr-tag",
    "net-mtu",
];

pub(super) fn versions(base: &str) -> Value {
    json!({"versions": [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": format!("{base}/v2.0/")}]}]})
}

pub(super) fn route(world: &mut World, ask: &Ask) -> Reply {
    let path = ask.segments();
    match (ask.method.as_str(), path.as_slice()) {
        ("GET", []) => Ok(Answer::ok(json!({"resources": []}))),
        ("GET", ["extensions"]) => {
            let extensions: Vec<Value> = EXTENSIONS.iter().map(|alias| extension(alias)).collect();
            Ok(Answer::ok(json!({"extensions": extensions})))
        }
        ("GET", ["extensions", alias]) if EXTENSIONS.contains(alias) => {
            Ok(Answer::ok(json!({"extension": extension(alias)})))
        }
        ("GET", ["quotas", project, rest @ ..]) => quotas(world, project, rest),
        ("GET", ["agents"]) => Ok(Answer::ok(json!({"agents": []}))),
        ("GET", ["availability_zones"]) => Ok(Answer::ok(json!({"availability_zones": [
            {"name": "nova", "resource": "network", "state": "available"}
        ]}))),
        ("GET", ["trunks"]) => Ok(Answer::ok(json!({"trunks": []}))),
        ("GET", ["subnetpools"]) => Ok(Answer::ok(json!({"subnetpools": []}))),
        (_, [collection, id, "tags", rest @ ..]) => resources::tags(world, ask, collection, id, rest),
        (_, ["ports", rest @ ..]) => ports::route(world, ask, rest),
        (_, ["security-groups" | "security-group-rules", ..]) => security_groups::route(world, ask, &path),
        (_, [collection, rest @ ..]) => resources::route(world, ask, collection, rest),
        _ => Err(missing("The resource could not be found.")),
    }
}

fn missing(message: &str) -> Fault {
    Fault::new(404, "HTTPNotFound", message)
}

fn extension(alias: &str) -> Value {
    json!({"alias": alias, "name": alias, "description": alias, "updated": "2013-01-01T00:00:00-00:00", "links": []})
}

/// What a resource's quota is, and how much of it a project uses.
fn quota(world: &World, project: &str, resource: &str) -> (i64, usize) {
    let network = &world.network;
    let (table, usual) = match resource {
        "network" => (&network.networks, 100),
        "subnet" => (&network.subnets, 100),
        "port" => (&network.ports, 500),
        "router" => (&network.routers, 10),
        "floatingip" => (&network.floatingips, 50),
        "security_group" => (&network.security_groups, 10),
        _ => (&network.security_group_rules, 100),
    };
    let used = table.iter().filter(|item| item["project_id"] == project).count();
    (network.quotas.get(resource).copied().unwrap_or(usual), used)
}

fn check_quota(world: &World, project: &str, resource: &str) -> Result<(), Fault> {
    let (limit, used) = quota(world, project, resource);
    if usize::try_from(limit).is_ok_and(|limit| used >= limit) {
        return Err(Fault::new(
            409,
            "OverQuota",
            format!("Quota exceeded for resources: ['{resource}']."),
        ));
    }
    Ok(())
}

fn quotas(world: &World, project: &str, rest: &[&str]) -> Reply {
    let details = rest.first().is_some_and(|word| word.starts_with("details"));
    let mut found = json!({});
    for resource in [
        "network",
        "subnet",
        "port",
        "router",
        "floatingip",
        "security_group",
        "security_group_rule",
    ] {
        let (limit, used) = quota(world, project, resource);
        found[resource] = if details {
            json!({"limit": limit, "used": used, "reserved": 0})
        } else {
            json!(limit)
        };
    }
    Ok(Answer::ok(json!({"quota": found})))
}

/// Whether an object is there for the caller.
fn visible(ask: &Ask, item: &Value) -> bool {
    ask.caller.admin
        || item["project_id"] == ask.project()
        || item["shared"] == true
        || item["router:external"] == true
}

/// An object as the caller may see it: how it is wired is the administrator's.
fn shown(ask: &Ask, item: &Value) -> Value {
    let mut item = item.clone();
    if !ask.caller.admin
        && let Some(fields) = item.as_object_mut()
    {
        fields.retain(|key, _| {
            key == "binding:vnic_type" || !(key.starts_with("binding:") || key.starts_with("provider:"))
        });
    }
    item
}

/// Whether an object passes the query's filters. What isn't a field of it doesn't filter.
fn passes(ask: &Ask, item: &Value) -> bool {
    const NO_FILTER: [&str; 6] = [
        "fields",
        "limit",
        "marker",
        "sort_key",
        "sort_dir",
        "page_reverse",
    ];
    let mut keys: Vec<&str> = ask.query.iter().map(|(key, _)| key.as_str()).collect();
    keys.dedup();
    keys.into_iter()
        .filter(|key| !NO_FILTER.contains(key))
        .all(|key| {
            let values: Vec<&str> = ask
                .query
                .iter()
                .filter(|(name, _)| name == key)
                .map(|(_, value)| value.as_str())
                .collect();
            match (key, &item[key]) {
                ("fixed_ips", Value::Array(addresses)) => values.iter().all(|value| {
                    let (name, wanted) = value.split_once('=').unwrap_or(("ip_address", value));
                    addresses.iter().any(|address| address[name] == wanted)
                }),
                ("tags", Value::Array(tags)) => values
                    .iter()
                    .flat_map(|value| value.split(','))
                    .all(|wanted| tags.iter().any(|tag| tag == wanted)),
                (_, Value::Array(items)) => values.iter().any(|value| items.iter().any(|item| item == value)),
                (_, Value::String(text)) => values.contains(&text.as_str()),
                (_, Value::Bool(truth)) => values.iter().any(|value| {
                    super::ask::truth(&Value::from(*value)).is_none_or(|wanted| wanted == *truth)
                }),
                (_, Value::Number(number)) => values.contains(&number.to_string().as_str()),
                _ => true,
            }
        })
}

/// A list as the query wants it.
fn list<'a>(ask: &Ask, key: &str, items: impl Iterator<Item = &'a Value>) -> Reply {
    let fields: Vec<&str> = ask
        .query
        .iter()
        .filter(|(name, _)| name == "fields")
        .map(|(_, value)| value.as_str())
        .collect();
    let found = items
        .filter(|item| visible(ask, item) && passes(ask, item))
        .map(|item| {
            let mut item = shown(ask, item);
            if !fields.is_empty()
                && let Some(all) = item.as_object_mut()
            {
                all.retain(|name, _| fields.contains(&name.as_str()));
            }
            item
        });
    ask.page(key, found.collect())
}
