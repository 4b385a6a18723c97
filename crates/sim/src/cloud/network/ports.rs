//! Ports.

use serde_json::{Map, Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::world::{World, uuid};
use super::{addresses, check_quota, list, security_groups, shown, visible};

/// What only admins and the network's owner may choose.
const OWNER_ONLY: [&str; 3] = ["mac_address", "port_security_enabled", "allowed_address_pairs"];

fn not_found(id: &str) -> Fault {
    Fault::new(404, "PortNotFound", format!("Port {id} could not be found."))
}

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    match (ask.method.as_str(), rest) {
        ("GET", []) => list(ask, "ports", world.network.ports.iter()),
        ("POST", []) => create(world, ask),
        (_, [id]) => {
            let port = world.network.ports.get(id).filter(|port| visible(ask, port));
            let port = port.cloned().ok_or_else(|| not_found(id))?;
            match ask.method.as_str() {
                "GET" => Ok(Answer::ok(json!({"port": shown(ask, &port)}))),
                "PUT" => update(world, ask, port),
                "DELETE" => {
                    world.network.ports.remove(id);
                    for address in world.network.floatingips.iter_mut() {
                        if address["port_id"] == *id {
                            address["port_id"] = Value::Null;
                            address["status"] = json!("DOWN");
                        }
                    }
                    Ok(Answer::empty(204))
                }
                _ => Err(Fault::new(405, "HTTPMethodNotAllowed", "Method not allowed.")),
            }
        }
        _ => Err(super::missing("The resource could not be found.")),
    }
}

fn allowed(ask: &Ask, network: &Value, wanted: &Map<String, Value>, verb: &str) -> Result<(), Fault> {
    let owner = network["project_id"] == ask.project() && ask.caller.has("member");
    if ask.caller.admin || owner {
        return Ok(());
    }
    let address = wanted
        .get("fixed_ips")
        .and_then(Value::as_array)
        .is_some_and(|fixed| fixed.iter().any(|fixed| fixed.get("ip_address").is_some()));
    let denied = OWNER_ONLY
        .iter()
        .find(|key| wanted.contains_key(**key))
        .map(|key| (*key).to_owned())
        .or_else(|| address.then(|| "fixed_ips:ip_address".to_owned()));
    match denied {
        None => Ok(()),
        Some(key) => Err(Fault::new(
            403,
            "PolicyNotAuthorized",
            format!("rule:{verb}_port and rule:{verb}_port:{key} is disallowed by policy"),
        )),
    }
}

fn create(world: &mut World, ask: &Ask) -> Reply {
    let wanted = ask.object("port")?;
    let network = wanted
        .get("network_id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let network = world
        .network
        .networks
        .get(network)
        .filter(|found| visible(ask, found))
        .cloned()
        .ok_or_else(|| {
            Fault::new(
                404,
                "NetworkNotFound",
                format!("Network {network} could not be found."),
            )
        })?;
    allowed(ask, &network, wanted, "create")?;
    let project = wanted
        .get("project_id")
        .or_else(|| wanted.get("tenant_id"))
        .and_then(Value::as_str);
    let project = project.unwrap_or(ask.project());
    if project != ask.project() && !ask.caller.admin {
        return Err(Fault::new(
            403,
            "PolicyNotAuthorized",
            "rule:create_port is disallowed by policy",
        ));
    }
    let port = make(world, project, wanted)?;
    Ok(Answer::json(201, json!({"port": shown(ask, &port)})))
}

/// Make a port in a project; who may do so has been asked before.
pub(in super::super) fn make(
    world: &mut World,
    project: &str,
    wanted: &Map<String, Value>,
) -> Result<Value, Fault> {
    check_quota(world, project, "port")?;
    let id = uuid();
    let network = wanted
        .get("network_id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let mac = match wanted.get("mac_address").and_then(Value::as_str) {
        Some(mac) => free_mac(world, &network, &id, mac)?,
        None => addresses::mac(world, &network),
    };
    let fixed_ips = addresses::choose(world, &network, &id, wanted.get("fixed_ips"))?;
    let secure = wanted
        .get("port_security_enabled")
        .and_then(Value::as_bool)
        .unwrap_or_else(|| {
            world
                .network
                .networks
                .get(&network)
                .is_none_or(|network| network["port_security_enabled"] != false)
        });
    let groups = match wanted.get("security_groups").and_then(Value::as_array) {
        Some(groups) => {
            for group in groups {
                security_groups::check(world, project, group.as_str().unwrap_or_default())?;
            }
            json!(groups)
        }
        None if secure => json!([security_groups::default_group(world, project)]),
        None => json!([]),
    };
    let mut port = json!({
        "id": id, "name": "", "description": "", "network_id": network, "project_id": project, "tenant_id": project,
        "mac_address": mac, "fixed_ips": fixed_ips, "security_groups": groups, "port_security_enabled": secure,
        "allowed_address_pairs": [], "extra_dhcp_opts": [], "admin_state_up": true, "status": "DOWN", "device_id": "",
        "device_owner": "", "binding:vnic_type": "normal", "binding:host_id": "", "binding:vif_type": "unbound",
        "binding:vif_details": {}, "binding:profile": {}, "tags": [],
        "created_at": world.stamp(), "updated_at": world.stamp(), "revision_number": 1
    });
    for key in [
        "name",
        "description",
        "admin_state_up",
        "device_id",
        "device_owner",
        "binding:vnic_type",
        "extra_dhcp_opts",
        "allowed_address_pairs",
        "binding:host_id",
    ] {
        if let Some(value) = wanted.get(key) {
            port[key] = value.clone();
        }
    }
    let grouped = port["security_groups"]
        .as_array()
        .is_some_and(|groups| !groups.is_empty());
    if !secure && grouped {
        return Err(Fault::new(
            400,
            "PortSecurityAndIPRequiredForSecurityGroups",
            "Port security must be enabled and port must have an IP address in order to use security groups.",
        ));
    }
    secure_enough(&mut port)?;
    world.network.ports.add(port.clone());
    Ok(port)
}

fn free_mac(world: &World, network: &str, port: &str, mac: &str) -> Result<String, Fault> {
    let mac = mac.to_lowercase();
    let parts: Vec<&str> = mac.split(':').collect();
    if parts.len() != 6
        || parts
            .iter()
            .any(|part| part.len() != 2 || u8::from_str_radix(part, 16).is_err())
    {
        return Err(Fault::bad(format!(
            "Invalid input for mac_address. Reason: '{mac}' is not a valid MAC address."
        )));
    }
    let taken = world.network.ports.iter().any(|other| {
        other["network_id"] == network && other["mac_address"] == mac.as_str() && other["id"] != port
    });
    if taken {
        return Err(Fault::new(
            409,
            "MacAddressInUse",
            format!("Unable to complete operation for network {network}. The mac address {mac} is in use."),
        ));
    }
    Ok(mac)
}

/// Without port security there are neither groups nor pairs. A pair without a MAC has that of its port.
fn secure_enough(port: &mut Value) -> Result<(), Fault> {
    let has = |key: &str| port[key].as_array().is_some_and(|items| !items.is_empty());
    if port["port_security_enabled"] == false {
        if has("security_groups") {
            return Err(Fault::new(
                409,
                "PortSecurityPortHasSecurityGroup",
                "Port has security group associated. Cannot disable port security or ip address until security group is removed",
            ));
        }
        if has("allowed_address_pairs") {
            return Err(Fault::new(
                409,
                "AddressPairAndPortSecurityRequired",
                "Port Security must be enabled in order to have allowed address pairs on a port.",
            ));
        }
    }
    let mac = port["mac_address"].clone();
    for pair in port["allowed_address_pairs"].as_array_mut().into_iter().flatten() {
        if pair["mac_address"].is_null() {
            pair["mac_address"] = mac.clone();
        }
    }
    Ok(())
}

fn update(world: &mut World, ask: &Ask, mut port: Value) -> Reply {
    let wanted = ask.object("port")?;
    let (id, network) = (
        port["id"].as_str().unwrap_or_default().to_owned(),
        port["network_id"].as_str().unwrap_or_default().to_owned(),
    );
    let project = port["project_id"].as_str().unwrap_or_default().to_owned();
    let owner = world.network.networks.get(&network).cloned().unwrap_or_default();
    allowed(ask, &owner, wanted, "update")?;
    for (key, value) in wanted {
        match key.as_str() {
            "fixed_ips" => port[key] = addresses::choose(world, &network, &id, Some(value))?,
            "mac_address" => {
                port[key] = json!(free_mac(
                    world,
                    &network,
                    &id,
                    value.as_str().unwrap_or_default()
                )?)
            }
            "security_groups" => {
                for group in value.as_array().into_iter().flatten() {
                    security_groups::check(world, &project, group.as_str().unwrap_or_default())?;
                }
                port[key] = value.clone();
            }
            "id" | "network_id" | "tenant_id" | "project_id" | "status" => {
                return Err(Fault::bad(format!("Cannot update read-only attribute {key}")));
            }
            _ => port[key] = value.clone(),
        }
    }
    secure_enough(&mut port)?;
    port["updated_at"] = json!(world.stamp());
    if let Some(place) = world.network.ports.get_mut(&id) {
        *place = port.clone();
    }
    Ok(Answer::ok(json!({"port": shown(ask, &port)})))
}

/// Plug a port into a server.
pub(in super::super) fn bind(world: &mut World, port: &str, server: &str, zone: &str, host: &str, up: bool) {
    if let Some(port) = world.network.ports.get_mut(port) {
        port["device_id"] = json!(server);
        port["device_owner"] = json!(format!("compute:{zone}"));
        port["binding:host_id"] = json!(host);
        port["binding:vif_type"] = json!("ovs");
        port["status"] = json!(if up { "ACTIVE" } else { "DOWN" });
    }
}

/// Pull a port out of its server; what Nova has made itself goes with it.
pub(in super::super) fn release(world: &mut World, port: &str, keep: bool) {
    if !keep {
        world.network.ports.remove(port);
    } else if let Some(port) = world.network.ports.get_mut(port) {
        port["device_id"] = json!("");
        port["device_owner"] = json!("");
        port["binding:host_id"] = json!("");
        port["binding:vif_type"] = json!("unbound");
        port["status"] = json!("DOWN");
    }
}
