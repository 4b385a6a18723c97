//! Networks, subnets, routers, floating addresses, and the tags of everything.

use serde_json::{Map, Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::table::Table;
use super::super::world::{World, uuid};
use super::addresses::Range;
use super::{check_quota, list, missing, shown, visible};

fn table<'a>(
    world: &'a mut World,
    collection: &str,
) -> Option<(&'a mut Table<Value>, &'static str, &'static str)> {
    let network = &mut world.network;
    Some(match collection {
        "networks" => (&mut network.networks, "network", "Network"),
        "subnets" => (&mut network.subnets, "subnet", "Subnet"),
        "ports" => (&mut network.ports, "port", "Port"),
        "routers" => (&mut network.routers, "router", "Router"),
        "floatingips" => (&mut network.floatingips, "floatingip", "Floating IP"),
        "security-groups" => (&mut network.security_groups, "security_group", "Security group"),
        _ => return None,
    })
}

fn not_found(name: &str, id: &str) -> Fault {
    let kind = match name {
        "Network" => "NetworkNotFound",
        "Subnet" => "SubnetNotFound",
        "Router" => "RouterNotFound",
        "Port" => "PortNotFound",
        _ => "FloatingIPNotFound",
    };
    Fault::new(404, kind, format!("{name} {id} could not be found."))
}

pub(super) fn route(world: &mut World, ask: &Ask, collection: &str, rest: &[&str]) -> Reply {
    let (items, what, name) =
        table(world, collection).ok_or_else(|| missing("The resource could not be found."))?;
    match (ask.method.as_str(), rest) {
        ("GET", []) => list(ask, collection, items.iter()),
        ("GET", [id]) => {
            let found = items.get(id).filter(|item| visible(ask, item));
            let found = found.ok_or_else(|| not_found(name, id))?;
            Ok(Answer::ok(json!({what: shown(ask, found)})))
        }
        ("POST", []) => {
            let wanted = ask.object(what)?.clone();
            let owner = wanted
                .get("project_id")
                .or_else(|| wanted.get("tenant_id"))
                .and_then(Value::as_str);
            let owner = owner
                .filter(|_| ask.caller.admin)
                .unwrap_or(ask.project())
                .to_owned();
            check_quota(world, &owner, what)?;
            let made = match what {
                "subnet" => subnet(world, ask, &owner, wanted)?,
                _ => made(world, what, &owner, wanted),
            };
            if let Some((items, ..)) = table(world, collection) {
                items.add(made.clone());
            }
            Ok(Answer::json(201, json!({what: shown(ask, &made)})))
        }
        ("PUT", [id]) => {
            let found = items
                .get_mut(id)
                .filter(|item| item["project_id"] == ask.project() || ask.caller.admin)
                .ok_or_else(|| not_found(name, id))?;
            for (key, value) in ask.object(what)? {
                found[key] = value.clone();
            }
            if what == "floatingip" {
                found["status"] = json!(if found["port_id"].is_null() {
                    "DOWN"
                } else {
                    "ACTIVE"
                });
            }
            Ok(Answer::ok(json!({what: shown(ask, found)})))
        }
        ("DELETE", [id]) => {
            items
                .get(id)
                .filter(|item| item["project_id"] == ask.project() || ask.caller.admin)
                .ok_or_else(|| not_found(name, id))?;
            delete(world, collection, id)
        }
        ("PUT", [id, action @ ("add_router_interface" | "remove_router_interface")]) if what == "router" => {
            let subnet = ask.body["subnet_id"].clone();
            let router = items.get_mut(id).ok_or_else(|| not_found(name, id))?;
            if let Some(subnets) = router["interfaces"].as_array_mut() {
                subnets.retain(|own| *own != subnet);
                if action.starts_with("add") {
                    subnets.push(subnet.clone());
                }
            }
            Ok(Answer::ok(
                json!({"id": id, "subnet_id": subnet, "port_id": uuid()}),
            ))
        }
        _ => Err(missing("The resource could not be found.")),
    }
}

fn delete(world: &mut World, collection: &str, id: &str) -> Reply {
    let network = &mut world.network;
    let used = match collection {
        "networks" => network.ports.iter().any(|port| port["network_id"] == id),
        "subnets" => network.ports.iter().any(|port| {
            port["fixed_ips"]
                .as_array()
                .is_some_and(|fixed| fixed.iter().any(|fixed| fixed["subnet_id"] == id))
        }),
        _ => false,
    };
    if used {
        return Err(match collection {
            "networks" => Fault::new(
                409,
                "NetworkInUse",
                format!(
                    "Unable to complete operation on network {id}. There are one or more ports still in use on the network."
                ),
            ),
            _ => Fault::new(
                409,
                "SubnetInUse",
                format!(
                    "Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet."
                ),
            ),
        });
    }
    if collection == "networks" {
        network.subnets.retain(|subnet| subnet["network_id"] != id);
    }
    if let Some(subnet) = network.subnets.get(id) {
        let owner = subnet["network_id"].as_str().unwrap_or_default().to_owned();
        if let Some(own) = network
            .networks
            .get_mut(&owner)
            .and_then(|network| network["subnets"].as_array_mut())
        {
            own.retain(|own| own != id);
        }
    }
    if let Some((items, ..)) = table(world, collection) {
        items.remove(id);
    }
    Ok(Answer::empty(204))
}

fn made(world: &World, what: &str, owner: &str, wanted: Map<String, Value>) -> Value {
    let stamp = world.stamp();
    let mut made = json!({
        "id": uuid(), "name": "", "description": "", "project_id": owner, "tenant_id": owner, "tags": [],
        "created_at": stamp, "updated_at": stamp, "revision_number": 1
    });
    let special = match what {
        "network" => json!({
            "admin_state_up": true, "status": "ACTIVE", "shared": false, "router:external": false, "subnets": [],
            "mtu": 1500, "port_security_enabled": true, "availability_zones": [], "availability_zone_hints": [],
            "ipv4_address_scope": null, "ipv6_address_scope": null, "provider:network_type": "geneve",
            "provider:physical_network": null, "provider:segmentation_id": 1
        }),
        "router" => json!({
            "admin_state_up": true, "status": "ACTIVE", "external_gateway_info": null, "ha": false,
            "distributed": false, "routes": [], "interfaces": [], "availability_zones": [],
            "availability_zone_hints": [], "flavor_id": null
        }),
        "floatingip" => {
            let used = world.network.floatingips.iter().count();
            json!({
                "floating_network_id": null, "port_id": null, "fixed_ip_address": null, "router_id": null,
                "floating_ip_address": format!("203.0.113.{}", used + 10), "port_details": null, "qos_policy_id": null,
                "status": if wanted.get("port_id").is_some_and(Value::is_string) { "ACTIVE" } else { "DOWN" }
            })
        }
        _ => json!({}),
    };
    for source in [special.as_object().cloned().unwrap_or_default(), wanted] {
        for (key, value) in source {
            made[key] = value;
        }
    }
    made
}

fn subnet(world: &mut World, ask: &Ask, owner: &str, wanted: Map<String, Value>) -> Result<Value, Fault> {
    let network = wanted
        .get("network_id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    world
        .network
        .networks
        .get(&network)
        .filter(|item| item["project_id"] == ask.project() || ask.caller.admin)
        .ok_or_else(|| not_found("Network", &network))?;
    let cidr = wanted
        .get("cidr")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let range = Range::parse(&cidr).ok_or_else(|| {
        Fault::bad(format!(
            "Invalid input for cidr. Reason: '{cidr}' is not a valid IP subnet."
        ))
    })?;
    let overlaps = world.network.subnets.iter().any(|other| {
        other["network_id"] == network.as_str()
            && Range::parse(other["cidr"].as_str().unwrap_or_default())
                .is_some_and(|other| other.overlaps(&range))
    });
    if overlaps {
        return Err(Fault::new(
            400,
            "InvalidInput",
            format!(
                "Invalid input for operation: Requested subnet with cidr: {cidr} for network: {network} overlaps with another subnet."
            ),
        ));
    }
    let (gateway, pools) = range.usual();
    let mut subnet = made(world, "subnet", owner, Map::new());
    let usual = json!({
        "ip_version": if cidr.contains(':') { 6 } else { 4 }, "gateway_ip": gateway, "allocation_pools": pools,
        "enable_dhcp": true, "dns_nameservers": [], "host_routes": [], "ipv6_address_mode": null,
        "ipv6_ra_mode": null, "subnetpool_id": null, "service_types": []
    });
    for source in [usual.as_object().cloned().unwrap_or_default(), wanted] {
        for (key, value) in source {
            subnet[key] = value;
        }
    }
    if let Some(own) = world
        .network
        .networks
        .get_mut(&network)
        .and_then(|network| network["subnets"].as_array_mut())
    {
        own.push(subnet["id"].clone());
    }
    Ok(subnet)
}

/// Tags of any resource: all of them, or one.
pub(super) fn tags(world: &mut World, ask: &Ask, collection: &str, id: &str, rest: &[&str]) -> Reply {
    let (items, _, name) =
        table(world, collection).ok_or_else(|| missing("The resource could not be found."))?;
    let item = items
        .get_mut(id)
        .filter(|item| visible(ask, item))
        .ok_or_else(|| not_found(name, id))?;
    let tags = item["tags"].as_array().cloned().unwrap_or_default();
    match (ask.method.as_str(), rest) {
        ("GET", []) => Ok(Answer::ok(json!({"tags": tags}))),
        ("PUT", []) => {
            let wanted = ask.body["tags"]
                .as_array()
                .cloned()
                .ok_or_else(|| Fault::bad("Invalid tags body"))?;
            item["tags"] = json!(wanted);
            Ok(Answer::ok(json!({"tags": wanted})))
        }
        ("DELETE", []) => {
            item["tags"] = json!([]);
            Ok(Answer::empty(204))
        }
        ("PUT", [tag]) => {
            if !tags.iter().any(|own| own == tag) {
                item["tags"] = tags.into_iter().chain([json!(tag)]).collect();
            }
            Ok(Answer::empty(201))
        }
        ("GET" | "DELETE", [tag]) => {
            if !tags.iter().any(|own| own == tag) {
                return Err(Fault::new(
                    404,
                    "TagNotFound",
                    format!("Tag {tag} could not be found."),
                ));
            }
            if ask.method == "DELETE" {
                item["tags"] = tags.into_iter().filter(|own| own != tag).collect();
            }
            Ok(Answer::empty(204))
        }
        _ => Err(missing("The resource could not be found.")),
    }
}
