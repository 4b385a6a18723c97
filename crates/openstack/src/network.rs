//! Neutron: networks and ports. (What a server is plugged into, Nova knows in order.)

use protector_domain::{NetworkId, PortId, ProjectId, ServerId};
use protector_ports::cloud::{AddressPair, FixedIp, Network, NewPort, Port, Room, SecurityGroup, Subnet};
use protector_ports::{Kind, PortResult};
use serde_json::{Value, json};

use crate::failure::Service::{Compute, Network as Neutron};
use crate::session::Session;
use crate::wire::{compute, network as wire};

fn owner(project_id: Option<String>, tenant_id: Option<String>) -> Option<ProjectId> {
    project_id.or(tenant_id).and_then(|id| ProjectId::new(id).ok())
}

impl From<wire::Port> for Port {
    fn from(port: wire::Port) -> Self {
        Port {
            id: port.id,
            name: port.name.unwrap_or_default(),
            description: port.description.unwrap_or_default(),
            network_id: port.network_id,
            mac_address: port.mac_address.unwrap_or_default(),
            fixed_ips: port
                .fixed_ips
                .unwrap_or_default()
                .into_iter()
                .map(|fixed| FixedIp {
                    subnet_id: fixed.subnet_id,
                    ip_address: fixed.ip_address,
                })
                .collect(),
            security_groups: port.security_groups.unwrap_or_default(),
            allowed_address_pairs: port
                .allowed_address_pairs
                .unwrap_or_default()
                .into_iter()
                .map(|pair| AddressPair {
                    ip_address: pair.ip_address,
                    mac_address: pair.mac_address,
                })
                .collect(),
            port_security_enabled: port.port_security_enabled.unwrap_or(true),
            vnic_type: port.vnic_type,
            device_id: port.device_id.unwrap_or_default(),
            device_owner: port.device_owner.unwrap_or_default(),
            project_id: owner(port.project_id, port.tenant_id),
            status: port.status.unwrap_or_default(),
        }
    }
}

pub(crate) async fn networks(session: &Session<'_>) -> PortResult<Vec<Network>> {
    let networks: Vec<wire::Network> = session
        .get(Neutron, "list networks", &["networks"])
        .list("networks")
        .await?;
    Ok(networks
        .into_iter()
        .map(|network| Network {
            id: network.id,
            name: network.name.unwrap_or_default(),
            project_id: owner(network.project_id, network.tenant_id),
            shared: network.shared.unwrap_or_default(),
            external: network.external.unwrap_or_default(),
            subnets: network.subnets.unwrap_or_default(),
        })
        .collect())
}

pub(crate) async fn subnets(session: &Session<'_>) -> PortResult<Vec<Subnet>> {
    let subnets: Vec<wire::Subnet> = session
        .get(Neutron, "list subnets", &["subnets"])
        .list("subnets")
        .await?;
    Ok(subnets
        .into_iter()
        .map(|subnet| {
            let cidr = subnet.cidr.unwrap_or_default();
            Subnet {
                id: subnet.id,
                name: subnet.name.unwrap_or_default(),
                network_id: subnet.network_id,
                ip_version: subnet
                    .ip_version
                    .unwrap_or(if cidr.contains(':') { 6 } else { 4 }),
                cidr,
                gateway_ip: subnet.gateway_ip,
                ipv6_address_mode: subnet.ipv6_address_mode,
            }
        })
        .collect())
}

pub(crate) async fn security_groups(session: &Session<'_>) -> PortResult<Vec<SecurityGroup>> {
    let call = session.get(Neutron, "list security groups", &["security-groups"]);
    let groups: Vec<wire::SecurityGroup> = call.list("security_groups").await?;
    Ok(groups
        .into_iter()
        .map(|group| SecurityGroup {
            id: group.id,
            name: group.name.unwrap_or_default(),
            project_id: owner(group.project_id, group.tenant_id),
        })
        .collect())
}

pub(crate) async fn ports(session: &Session<'_>, network: Option<&NetworkId>) -> PortResult<Vec<Port>> {
    let mut call = session.get(Neutron, "list ports", &["ports"]);
    if let Some(network) = network {
        call = call.query("network_id", network.as_str());
    }
    call.list_as::<wire::Port, Port>("ports").await
}

/// Neutron knows the ports, Nova which of them comes first in the guest.
///
/// Nova's list of interfaces is Neutron's list of ports, which is in no order at all; what Nova itself keeps in
/// the guest's order is the addresses. So these decide, by MAC address, and the list of interfaces only for ports
/// without addresses. (Of networks with several ports each, all of the first network's come first.)
pub(crate) async fn server_ports(session: &Session<'_>, server: &ServerId) -> PortResult<Vec<Port>> {
    let path = ["servers", server.as_str(), "os-interface"];
    let addresses = session
        .get(Compute, "show server", &path[..2])
        .json::<compute::ServerBody>()
        .await?;
    let order_of_macs = addresses.server.macs();
    let interfaces = session
        .get(Compute, "list interfaces", &path)
        .json::<compute::InterfacesBody>()
        .await?
        .interfaces;
    let order: Vec<PortId> = interfaces
        .into_iter()
        .map(|interface| interface.port_id)
        .collect();
    let call = session
        .get(Neutron, "list ports", &["ports"])
        .query("device_id", server.as_str());
    let mut ports: Vec<Port> = call
        .list::<wire::Port>("ports")
        .await?
        .into_iter()
        .map(Port::from)
        .collect();
    ports.sort_by_key(|port| {
        let by_mac = order_of_macs
            .iter()
            .position(|mac| mac.eq_ignore_ascii_case(&port.mac_address));
        let by_id = order.iter().position(|id| *id == port.id);
        (by_mac.unwrap_or(usize::MAX), by_id.unwrap_or(usize::MAX))
    });
    Ok(ports)
}

pub(crate) async fn ports_of(session: &Session<'_>, project: &ProjectId) -> PortResult<Vec<Port>> {
    let call = session
        .get(Neutron, "list ports of project", &["ports"])
        .query("project_id", project.as_str());
    call.list_as::<wire::Port, Port>("ports").await
}

pub(crate) async fn create_port(session: &Session<'_>, port: &NewPort) -> PortResult<Port> {
    let body = json!({"port": port_request(port)});
    let body: wire::PortBody = session
        .post(Neutron, "create port", &["ports"], body)
        .json()
        .await?;
    Ok(body.port.into())
}

/// Only what is wanted: several attributes need rights by being mentioned.
fn port_request(port: &NewPort) -> Value {
    let mut wanted = json!({"name": port.name, "description": port.description, "admin_state_up": true});
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            wanted[name] = value;
        }
    };
    set("network_id", port.network_id.as_ref().map(|id| json!(id)));
    set("mac_address", port.mac_address.as_ref().map(|mac| json!(mac)));
    set("project_id", port.project_id.as_ref().map(|id| json!(id)));
    set(
        "port_security_enabled",
        port.port_security_enabled.map(|enabled| json!(enabled)),
    );
    set(
        "security_groups",
        port.security_groups.as_ref().map(|groups| json!(groups)),
    );
    let fixed_ips: Vec<Value> = port
        .fixed_ips
        .iter()
        .map(|(subnet, address)| match address {
            Some(address) => json!({"subnet_id": subnet, "ip_address": address}),
            None => json!({"subnet_id": subnet}),
        })
        .collect();
    set("fixed_ips", (!fixed_ips.is_empty()).then(|| json!(fixed_ips)));
    let pairs: Vec<Value> = port
        .allowed_address_pairs
        .iter()
        .map(|pair| match &pair.mac_address {
            Some(mac) => json!({"ip_address": pair.ip_address, "mac_address": mac}),
            None => json!({"ip_address": pair.ip_address}),
        })
        .collect();
    set("allowed_address_pairs", (!pairs.is_empty()).then(|| json!(pairs)));
    wanted
}

pub(crate) async fn delete_port(session: &Session<'_>, id: &PortId) -> PortResult<()> {
    session
        .delete(Neutron, "delete port", &["ports", id.as_str()])
        .send_unless_gone()
        .await
}

/// Quotas with their use are an extension, and not every Neutron shows them to members: then nothing is known.
pub(crate) async fn network_room(session: &Session<'_>, project: &ProjectId) -> PortResult<Room> {
    let path = ["quotas", project.as_str(), "details.json"];
    match session
        .get(Neutron, "show quota", &path)
        .json::<wire::QuotaBody>()
        .await
    {
        Ok(body) => Ok(Room {
            ports: body.quota.port.and_then(|quota| quota.left()),
            ..Room::default()
        }),
        Err(error) if error.is(Kind::Forbidden) || error.status == Some(404) => Ok(Room::default()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_port_mentions_only_what_is_wanted() {
        let plain = NewPort {
            network_id: Some(NetworkId::new("n1").unwrap()),
            name: "p".into(),
            ..NewPort::default()
        };
        assert_eq!(
            port_request(&plain),
            json!({"name": "p", "description": "", "admin_state_up": true, "network_id": "n1"})
        );
        let open = NewPort {
            port_security_enabled: Some(false),
            security_groups: Some(vec![]),
            ..plain
        };
        assert_eq!(port_request(&open)["security_groups"], json!([]));
    }
}
