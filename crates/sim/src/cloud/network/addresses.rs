//! Which addresses a port gets.

use std::collections::HashSet;
use std::net::IpAddr;

use rand::Rng;
use serde_json::{Value, json};

use super::super::fault::Fault;
use super::World;

/// An address range in the usual notation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    first: u128,
    last: u128,
    v4: bool,
}

impl Range {
    pub fn parse(cidr: &str) -> Option<Self> {
        let (address, length) = cidr.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let length: u32 = length.parse().ok()?;
        let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
        let free = bits.checked_sub(length).filter(|free| *free < 128)?;
        let mask = (1u128 << free) - 1;
        let first = value(address) & !mask;
        Some(Self {
            first,
            last: first | mask,
            v4: address.is_ipv4(),
        })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.v4 && (self.first..=self.last).contains(&value(address))
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.v4 == other.v4 && self.first <= other.last && other.first <= self.last
    }

    /// Gateway and pool that Neutron takes where none is given.
    pub fn usual(&self) -> (String, Value) {
        let text = |number| text(number, self.v4);
        let last = if self.v4 { self.last - 1 } else { self.last };
        (
            text(self.first + 1),
            json!([{"start": text(self.first + 2), "end": text(last)}]),
        )
    }
}

fn value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn text(number: u128, v4: bool) -> String {
    if v4 {
        std::net::Ipv4Addr::from(u32::try_from(number).unwrap_or_default()).to_string()
    } else {
        std::net::Ipv6Addr::from(number).to_string()
    }
}

fn taken(world: &World, network: &str, but: &str, address: &str) -> bool {
    in_use(world, network, but).any(|used| used == address)
}

/// The addresses of a network's ports, but for one port.
fn in_use<'a>(world: &'a World, network: &'a str, but: &'a str) -> impl Iterator<Item = &'a str> {
    let ports = world.network.ports.iter();
    ports
        .filter(move |port| port["network_id"] == network && port["id"] != but)
        .flat_map(|port| port["fixed_ips"].as_array().into_iter().flatten())
        .filter_map(|fixed| fixed["ip_address"].as_str())
}

/// The addresses of a port: the wanted ones, or one of each address family.
pub(super) fn choose(
    world: &World,
    network: &str,
    port: &str,
    wanted: Option<&Value>,
) -> Result<Value, Fault> {
    let subnets: Vec<&Value> = world
        .network
        .subnets
        .iter()
        .filter(|subnet| subnet["network_id"] == network)
        .collect();
    let Some(wanted) = wanted.and_then(Value::as_array) else {
        let mut chosen: Vec<Value> = Vec::new();
        for version in [4, 6] {
            if let Some(subnet) = subnets.iter().find(|subnet| subnet["ip_version"] == version) {
                chosen.push(free(world, network, subnet)?);
            }
        }
        return Ok(Value::Array(chosen));
    };
    let mut chosen = Vec::new();
    for fixed in wanted {
        let subnet = fixed["subnet_id"].as_str();
        if let Some(id) = subnet
            && !subnets.iter().any(|subnet| subnet["id"] == id)
        {
            return Err(Fault::new(
                400,
                "InvalidInput",
                format!(
                    "Invalid input for operation: Failed to create port on network {network}, because fixed_ips included invalid subnet {id}."
                ),
            ));
        }
        let Some(address) = fixed["ip_address"].as_str() else {
            let subnet = subnets
                .iter()
                .find(|candidate| Some(candidate["id"].as_str().unwrap_or_default()) == subnet);
            chosen.push(free(
                world,
                network,
                subnet.ok_or_else(|| Fault::bad("IP allocation requires subnet_id or ip_address."))?,
            )?);
            continue;
        };
        let parsed: IpAddr = address.parse().map_err(|_| {
            Fault::bad(format!(
                "Invalid input for fixed_ips. Reason: '{address}' is not a valid IP address."
            ))
        })?;
        let holds = |subnet: &&&Value| {
            Range::parse(subnet["cidr"].as_str().unwrap_or_default())
                .is_some_and(|range| range.contains(parsed))
        };
        let found = match subnet {
            Some(id) => {
                let found = subnets.iter().find(|subnet| subnet["id"] == id).filter(holds);
                found.ok_or_else(|| {
                    Fault::new(400, "InvalidIpForSubnet", format!("IP address {address} is not a valid IP for the specified subnet."))
                })?
            }
            None => subnets.iter().find(holds).ok_or_else(|| {
                Fault::new(400, "InvalidIpForNetwork", format!("IP address {address} is not a valid IP for any of the subnets on the specified network."))
            })?,
        };
        if taken(world, network, port, address) {
            return Err(Fault::new(
                409,
                "IpAddressAlreadyAllocated",
                format!(
                    "IP address {address} already allocated in subnet {}",
                    found["id"].as_str().unwrap_or_default()
                ),
            ));
        }
        chosen.push(json!({"subnet_id": found["id"], "ip_address": address}));
    }
    Ok(Value::Array(chosen))
}

fn free(world: &World, network: &str, subnet: &Value) -> Result<Value, Fault> {
    let v4 = subnet["ip_version"] == 4;
    let taken: HashSet<&str> = in_use(world, network, "").collect();
    for pool in subnet["allocation_pools"].as_array().into_iter().flatten() {
        let end = |key: &str| pool[key].as_str().and_then(|text| text.parse().ok()).map(value);
        let (Some(first), Some(last)) = (end("start"), end("end")) else {
            continue;
        };
        // More than that nobody will ever use here.
        for number in first..=last.min(first + 65_536) {
            let address = text(number, v4);
            if subnet["gateway_ip"] != address.as_str() && !taken.contains(address.as_str()) {
                return Ok(json!({"subnet_id": subnet["id"], "ip_address": address}));
            }
        }
    }
    Err(Fault::new(
        409,
        "IpAddressGenerationFailure",
        format!("No more IP addresses available on network {network}."),
    ))
}

/// A MAC address as Neutron makes them: another one than those of the network.
pub(super) fn mac(world: &World, network: &str) -> String {
    loop {
        let [a, b, c]: [u8; 3] = rand::rng().random();
        let mac = format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}");
        let mut there = world.network.ports.iter();
        if !there.any(|port| port["mac_address"] == mac.as_str() && port["network_id"] == network) {
            return mac;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_know_their_addresses() {
        let range = Range::parse("10.1.0.0/24").unwrap();
        assert!(range.contains("10.1.0.9".parse().unwrap()) && !range.contains("10.1.1.9".parse().unwrap()));
        let (gateway, pool) = range.usual();
        assert_eq!(gateway, "10.1.0.1");
        assert_eq!(pool, json!([{"start": "10.1.0.2", "end": "10.1.0.254"}]));
        assert!(Range::parse("10.1.0.0").is_none() && Range::parse("10.1.0.0/40").is_none());
        assert_eq!(Range::parse("fd00::/64").unwrap().usual().0, "fd00::1");
    }
}
