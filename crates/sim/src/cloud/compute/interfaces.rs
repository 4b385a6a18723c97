//! The network cards of a server.

use serde_json::{Map, Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::network;
use super::super::world::World;
use super::{Nic, find};

fn view(world: &World, ask: &Ask, nic: &Nic) -> Option<Value> {
    let port = world.network.ports.get(&nic.port_id)?;
    let mut shown = json!({
        "port_id": port["id"], "net_id": port["network_id"], "mac_addr": port["mac_address"],
        "port_state": port["status"], "fixed_ips": port["fixed_ips"]
    });
    if ask.minor >= 70 {
        shown["tag"] = json!(nic.tag);
    }
    Some(shown)
}

pub(super) fn route(world: &mut World, ask: &Ask, id: &str, rest: &[&str]) -> Reply {
    let server = find(world, ask, id)?.clone();
    match (ask.method.as_str(), rest) {
        ("GET", []) => {
            let all: Vec<Value> = server
                .nics
                .iter()
                .filter_map(|nic| view(world, ask, nic))
                .collect();
            Ok(Answer::ok(json!({"interfaceAttachments": all})))
        }
        ("GET", [port]) => {
            let nic = server
                .nics
                .iter()
                .find(|nic| nic.port_id == *port)
                .and_then(|nic| view(world, ask, nic));
            let nic = nic.ok_or_else(|| {
                Fault::missing(format!("Instance {id} does not have a port with id {port}"))
            })?;
            Ok(Answer::ok(json!({"interfaceAttachment": nic})))
        }
        ("POST", []) => {
            let wanted = ask.object("interfaceAttachment")?;
            let word = |key: &str| wanted.get(key).and_then(Value::as_str);
            let (port_id, preexisting) = match (word("port_id"), word("net_id")) {
                (Some(port), _) => {
                    let found = world
                        .network
                        .ports
                        .get(port)
                        .filter(|port| port["project_id"] == server.project_id.as_str());
                    let found =
                        found.ok_or_else(|| Fault::missing(format!("Port {port} could not be found.")))?;
                    if found["device_id"]
                        .as_str()
                        .is_some_and(|device| !device.is_empty())
                    {
                        return Err(Fault::bad(format!("Port {port} is still in use.")));
                    }
                    (port.to_owned(), true)
                }
                (None, Some(net)) => {
                    let body = Map::from_iter([("network_id".to_owned(), json!(net))]);
                    let port = network::make(world, &server.project_id, &body)?;
                    (port["id"].as_str().unwrap_or_default().to_owned(), false)
                }
                _ => return Err(Fault::bad("Must input network_id or port_id")),
            };
            let host = world.compute.host.clone();
            network::bind(
                world,
                &port_id,
                id,
                &server.availability_zone,
                &host,
                server.vm_state == "active",
            );
            let nic = Nic {
                port_id,
                preexisting,
                tag: word("tag").map(str::to_owned),
            };
            let shown = view(world, ask, &nic);
            find(world, ask, id)?.nics.push(nic);
            Ok(Answer::ok(json!({"interfaceAttachment": shown})))
        }
        ("DELETE", [port]) => {
            let nic = server.nics.iter().find(|nic| nic.port_id == *port);
            let nic = nic.ok_or_else(|| Fault::missing(format!("Port {port} is not attached")))?;
            network::release(world, port, nic.preexisting);
            find(world, ask, id)?.nics.retain(|nic| nic.port_id != *port);
            Ok(Answer::empty(202))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
