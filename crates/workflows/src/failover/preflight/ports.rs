//! Where the ports of a twin go, and with which addresses.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use protector_domain::{Check, Member, NetworkId, SecurityGroupId, SubnetId};
use protector_ports::cloud::{Access, Network, Port, Subnet};

use super::findings::{Findings, Looked, Obstacle, found};
use super::plan::{MemberPlan, PortPlan, TargetPlan};
use super::{Failover, Target};
use crate::failover::facts::{MemberFacts, Surroundings};
use crate::failover::names::port_description;
use crate::failover::replace::is_left;
use crate::failure::{OrFail, StepResult};

impl Failover {
    pub(super) fn port(
        &self,
        target: &Target,
        around: &Surroundings,
        member: &MemberFacts,
        port: &Port,
        index: usize,
    ) -> Looked<PortPlan> {
        let server = &member.server.name;
        let network = self.network(target, around, port, server)?;
        let own = network.project_id.as_ref() == Some(&target.project);
        let fixed_ips = port
            .fixed_ips
            .iter()
            .map(|ip| fixed_ip(target, network, &ip.ip_address, server))
            .collect::<Looked<Vec<_>>>()?;
        let security_groups = port
            .security_groups
            .iter()
            .map(|id| self.security_group(target, around, id, server))
            .collect::<Looked<Vec<_>>>()?;
        Ok(PortPlan {
            network_id: network.id.clone(),
            name: if port.name.is_empty() {
                format!("{server}-{index}")
            } else {
                port.name.clone()
            },
            mac_address: port.mac_address.clone(),
            fixed_ips,
            security_groups,
            allowed_address_pairs: port.allowed_address_pairs.clone(),
            port_security_enabled: port.port_security_enabled,
            by_service: !own,
            source: port.id.clone(),
        })
    }

    /// The one network that the mapping, or else the name, leads to; it must be one where addresses can be kept.
    fn network<'t>(
        &self,
        target: &'t Target,
        around: &Surroundings,
        port: &Port,
        server: &str,
    ) -> Looked<&'t Network> {
        let source = around
            .networks
            .iter()
            .find(|network| network.id == port.network_id);
        let source_name = source.map_or_else(|| port.network_id.to_string(), |network| network.name.clone());
        let mappings = &self.order.mappings.networks;
        let wanted = mappings
            .get(port.network_id.as_str())
            .or_else(|| mappings.get(&source_name))
            .unwrap_or(&source_name);
        let mut alike = target
            .networks
            .iter()
            .filter(|network| network.name == *wanted || network.id.as_str() == wanted);
        let network = match (alike.next(), alike.next()) {
            (Some(network), None) => network,
            (Some(_), Some(_)) => {
                return Err(found(
                    Check::Network,
                    format!(
                        "Site '{}' has several networks named '{wanted}'.",
                        target.site_name
                    ),
                    format!("Map by id with --network-mapping {source_name}=ID."),
                ));
            }
            (None, _) => {
                return Err(found(
                    Check::Network,
                    format!(
                        "Server '{server}' is in network '{source_name}', and site '{}' has no network '{wanted}'.",
                        target.site_name
                    ),
                    format!("Map it with --network-mapping {source_name}=NETWORK."),
                ));
            }
        };
        let own = network.project_id.as_ref() == Some(&target.project);
        let privileged = self
            .world
            .options
            .privileged_networks
            .iter()
            .any(|name| *name == network.name || name == network.id.as_str());
        if own || privileged {
            return Ok(network);
        }
        Err(found(
            Check::Network,
            format!(
                "Network '{}' at site '{}' belongs to another project, where a port can't keep its addresses.",
                network.name, target.site_name
            ),
            format!(
                "Map '{source_name}' to a network of the project, or an administrator adds it to [neutron] privileged_networks."
            ),
        ))
    }

    fn security_group(
        &self,
        target: &Target,
        around: &Surroundings,
        id: &SecurityGroupId,
        server: &str,
    ) -> Looked<SecurityGroupId> {
        let source = around.security_groups.iter().find(|group| group.id == *id);
        let name = source.map_or_else(|| id.to_string(), |group| group.name.clone());
        let mappings = &self.order.mappings.security_groups;
        let wanted = mappings
            .get(id.as_str())
            .or_else(|| mappings.get(&name))
            .unwrap_or(&name);
        target
            .security_groups
            .iter()
            .filter(|group| group.project_id.is_none() || group.project_id.as_ref() == Some(&target.project))
            .find(|group| group.name == *wanted || group.id.as_str() == wanted)
            .map(|group| group.id.clone())
            .ok_or_else(|| {
                found(
                    Check::SecurityGroup,
                    format!(
                        "Server '{server}' uses security group '{name}', and the project at site '{}' has no '{wanted}'.",
                        target.site_name
                    ),
                    format!("Create it there, or map it with --security-group-mapping {name}=GROUP."),
                )
            })
    }

    /// No wanted address may be somebody else's.
    pub(super) async fn check_addresses(
        &self,
        service: &Access,
        plan: &TargetPlan,
        findings: &mut Findings,
    ) -> StepResult<()> {
        let networks: BTreeSet<NetworkId> = plan
            .members
            .values()
            .flat_map(|of| of.ports.iter().map(|port| port.network_id.clone()))
            .collect();
        let mut there = Vec::new();
        for network in &networks {
            there.extend(self.world.cloud.ports(service, Some(network)).await.or_fail()?);
        }
        let there = Taken::of(&there);
        for member in &self.order.members {
            let Some(of) = plan.members.get(&member.id) else {
                continue;
            };
            if let Some(taken) = self.taken(member, of, &there, &service.site_name) {
                findings.note_of(member, Check::Address, Looked::<()>::Err(taken))?;
            }
        }
        Ok(())
    }

    /// What of a member's wishes is somebody else's already.
    fn taken(&self, member: &Member, plan: &MemberPlan, there: &Taken<'_>, site: &str) -> Option<Obstacle> {
        for (index, wanted) in plan.ports.iter().enumerate() {
            let ours = port_description(&self.order, member, index);
            let left = self.left(member);
            let is_others = |port: &&&Port| {
                port.description != ours
                    && !left.is_some_and(|left| {
                        is_left(port, left) && port.mac_address.eq_ignore_ascii_case(&wanted.mac_address)
                    })
            };
            let network = &wanted.network_id;
            for address in wanted.fixed_ips.iter().filter_map(|(_, ip)| ip.as_ref()) {
                let taken = there.by_address.get(&(network, address.as_str()));
                if let Some(other) = taken.filter(is_others) {
                    return Some(found(
                        Check::Address,
                        format!(
                            "Address {address} of server '{}' is taken at site '{site}' by port {} ({}).",
                            member.instance_name,
                            other.id,
                            match other.device_owner.as_str() {
                                "" => "in no use",
                                owner => owner,
                            }
                        ),
                        "Free it, or map the network to another one with --network-mapping.",
                    ));
                }
            }
            let mac = wanted.mac_address.to_ascii_lowercase();
            let taken = there.by_mac.get(&(network, mac));
            if let Some(other) = taken.filter(is_others) {
                return Some(found(
                    Check::Address,
                    format!(
                        "MAC address {} of server '{}' is taken at site '{site}' by port {} on the same network.",
                        wanted.mac_address, member.instance_name, other.id
                    ),
                    "Delete that port, or map the network to another one with --network-mapping.",
                ));
            }
        }
        None
    }
}

/// Whose the addresses of networks are.
struct Taken<'a> {
    by_address: HashMap<(&'a NetworkId, &'a str), &'a Port>,
    by_mac: HashMap<(&'a NetworkId, String), &'a Port>,
}

impl<'a> Taken<'a> {
    fn of(ports: &'a [Port]) -> Self {
        let addresses = ports.iter().flat_map(|port| {
            let addresses = port.fixed_ips.iter();
            addresses.map(move |ip| ((&port.network_id, ip.ip_address.as_str()), port))
        });
        let macs = ports
            .iter()
            .map(|port| ((&port.network_id, port.mac_address.to_ascii_lowercase()), port));
        Self {
            by_address: addresses.collect(),
            by_mac: macs.collect(),
        }
    }
}

/// The address on the target: the same one where a subnet has room for it, else a free one.
fn fixed_ip(
    target: &Target,
    network: &Network,
    address: &str,
    server: &str,
) -> Looked<(SubnetId, Option<String>)> {
    let ip: IpAddr = address.parse().map_err(|_| {
        found(
            Check::Address,
            format!("Server '{server}' has an address that is none: '{address}'."),
            "Look at its port at the source.",
        )
    })?;
    let version = if ip.is_ipv4() { 4 } else { 6 };
    let alike: Vec<&Subnet> = target
        .subnets
        .iter()
        .filter(|subnet| subnet.network_id == network.id && subnet.ip_version == version)
        .collect();
    let exact = alike.iter().find(|subnet| contains(&subnet.cidr, ip));
    let Some(subnet) = exact.or_else(|| alike.first()) else {
        return Err(found(
            Check::Address,
            format!(
                "Network '{}' at site '{}' has no IPv{version} subnet for the address {address} of server '{server}'.",
                network.name, target.site_name
            ),
            "Make one there, or map the network to another one.",
        ));
    };
    // With SLAAC the address follows from the MAC.
    let derived = subnet
        .ipv6_address_mode
        .as_deref()
        .is_some_and(|mode| mode != "dhcpv6-stateful");
    let keep = exact.is_some() && !derived && subnet.gateway_ip.as_deref() != Some(address);
    Ok((subnet.id.clone(), keep.then(|| address.to_owned())))
}

/// Whether the network in CIDR notation contains the address.
fn contains(cidr: &str, ip: IpAddr) -> bool {
    let Some((base, length)) = cidr.split_once('/') else {
        return false;
    };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    match (base, ip) {
        (IpAddr::V4(base), IpAddr::V4(ip)) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            u32::from(base) & mask == u32::from(ip) & mask
        }
        (IpAddr::V6(base), IpAddr::V6(ip)) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            u128::from(base) & mask == u128::from(ip) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_its_network_and_to_no_other() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(contains("10.1.0.0/24", ip("10.1.0.77")));
        assert!(!contains("10.1.0.0/24", ip("10.1.1.77")));
        assert!(contains("0.0.0.0/0", ip("192.0.2.1")));
        assert!(contains("fd00::/64", ip("fd00::1")));
        assert!(!contains("fd00::/64", ip("10.0.0.1")));
        assert!(!contains("nonsense", ip("10.0.0.1")));
        assert!(!contains("10.0.0.0/99", ip("10.0.0.1")));
    }
}
