//! Whether the target cloud can take the group in, asked before anything is changed. What is found out is the
//! plan of the twins: flavors, networks, addresses, security groups, the place for the volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use protector_domain::{FlavorId, Member, MemberId, NetworkId, PortId, ProjectId, SecurityGroupId, SubnetId};
use protector_ports::cloud::{
    Access, AddressPair, Flavor, Network, Port, Room, SecurityGroup, Server, Subnet,
};
use protector_ports::error::Absent;
use protector_saga::{FailureClass, StepContext, StepFailure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::{Facts, MemberFacts};
use super::names::{disks, port_description};
use super::{Failover, Manner, recorded, step};
use crate::ImportAs;
use crate::failure::{OrFail, StepResult, permanent};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PortPlan {
    pub(super) network_id: NetworkId,
    pub(super) name: String,
    pub(super) mac_address: String,
    pub(super) fixed_ips: Vec<(SubnetId, Option<String>)>,
    pub(super) security_groups: Vec<SecurityGroupId>,
    pub(super) allowed_address_pairs: Vec<AddressPair>,
    pub(super) port_security_enabled: bool,
    /// The network is another's, and the service makes the port for the tenant.
    pub(super) by_service: bool,
    /// The port that this one stands for.
    pub(super) source: PortId,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MemberPlan {
    pub(super) flavor_id: FlavorId,
    pub(super) availability_zone: Option<String>,
    pub(super) key_name: Option<String>,
    pub(super) ports: Vec<PortPlan>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TargetPlan {
    pub(super) members: BTreeMap<MemberId, MemberPlan>,
    /// Who can't be brought up, and why.
    #[serde(default)]
    pub(super) blocked: BTreeMap<MemberId, String>,
    pub(super) project: ProjectId,
    /// Where the volumes are managed into, and as what.
    pub(super) volume_host: String,
    pub(super) volume_type: String,
    /// Names that the tenant had no keypair of before the operation began.
    #[serde(default)]
    pub(super) missing_keypairs: BTreeSet<String>,
}

/// What the target cloud has to choose from.
struct Target {
    networks: Vec<Network>,
    subnets: Vec<Subnet>,
    security_groups: Vec<SecurityGroup>,
    flavors: Vec<Flavor>,
    project: ProjectId,
    site_name: String,
}

impl Failover {
    pub(super) async fn preflight(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let world = &self.world;
        let facts: Facts = recorded(context.state, step::INSPECT)?;
        let group = world.group(self.order.group).await?;
        if self.manner == Manner::Planned {
            self.check_arrays().await?;
        }
        let tenant = world
            .directory
            .tenant(self.order.target, &group)
            .await
            .or_fail()?;
        let service = world.directory.service(self.order.target).await.or_fail()?;
        let project = group
            .project(self.order.target)
            .cloned()
            .ok_or_else(|| permanent("the group has no project at the target site"))?;
        let target = Target {
            networks: world.cloud.networks(&tenant).await.or_fail()?,
            subnets: world.cloud.subnets(&tenant).await.or_fail()?,
            security_groups: world.cloud.security_groups(&tenant).await.or_fail()?,
            flavors: world.cloud.flavors(&tenant).await.or_fail()?,
            project: project.clone(),
            site_name: tenant.site_name.clone(),
        };
        let wanted = group
            .document
            .volume_types
            .get(&self.order.target)
            .ok_or_else(|| permanent("the group has no volume type at the target site"))?;
        self.check_type_is_visible(&tenant, &wanted.name).await?;
        let volume_host = self.volume_host(&service, &wanted.name).await?;

        let mut plan = TargetPlan {
            members: BTreeMap::new(),
            blocked: BTreeMap::new(),
            project,
            volume_host,
            volume_type: wanted.name.clone(),
            missing_keypairs: BTreeSet::new(),
        };
        for member in &self.order.members {
            match self.plan_member(member, &facts, &target, &tenant).await {
                Ok((of, key)) => {
                    plan.missing_keypairs.extend(key);
                    plan.members.insert(member.id, of);
                }
                Err(failure) => self.block(&mut plan, member, failure)?,
            }
        }
        self.check_addresses(&service, &mut plan).await?;
        match plan.blocked.values().next() {
            Some(reason) if plan.members.is_empty() => return Err(permanent(reason.clone())),
            _ => {}
        }
        // In need as many are brought up as there is room for; each create tells for itself.
        if self.manner == Manner::Planned {
            self.check_room(&tenant, &service, &target, &plan.members, &wanted.name)
                .await?;
        }
        serde_json::to_value(plan).or_fail()
    }

    /// Nobody waits for one who can't be brought up; but where all move or none, all wait.
    fn block(&self, plan: &mut TargetPlan, member: &Member, failure: StepFailure) -> StepResult<()> {
        if self.manner == Manner::Planned || failure.class != FailureClass::Permanent {
            return Err(failure);
        }
        plan.members.remove(&member.id);
        plan.blocked.insert(member.id, failure.message);
        Ok(())
    }

    /// How a member's twin is to be, and a keypair that has to be made for it.
    async fn plan_member(
        &self,
        member: &Member,
        facts: &Facts,
        target: &Target,
        tenant: &Access,
    ) -> StepResult<(MemberPlan, Option<String>)> {
        let of = facts.members.get(&member.id).ok_or_else(|| {
            permanent(format!(
                "Nothing is recorded of server '{}', so it can't be made anew: it was protected too shortly before.",
                member.instance_name
            ))
        })?;
        let flavor_id = self.flavor(target, &of.server)?;
        let ports = of
            .ports
            .iter()
            .enumerate()
            .map(|(index, port)| self.port(target, facts, of, port, index))
            .collect::<StepResult<Vec<_>>>()?;
        let key = self.keypair(tenant, of).await?;
        let missing = key
            .as_ref()
            .filter(|(_, there)| !there)
            .map(|(name, _)| name.clone());
        let availability_zone = of
            .server
            .availability_zone
            .as_ref()
            .and_then(|zone| self.order.mappings.availability_zones.get(zone))
            .cloned();
        let plan = MemberPlan {
            flavor_id,
            availability_zone,
            key_name: key.map(|(name, _)| name),
            ports,
        };
        Ok((plan, missing))
    }

    async fn check_arrays(&self) -> StepResult<()> {
        let pair = self.pair().await?;
        self.world.array.check_connection(&pair).await.or_fail()?;
        let name = &self.order.array_group;
        let group = self.world.array.group(&pair, name).await.or_fail()?.ok_or_else(|| {
            permanent(format!("The array protection group '{name}' does not exist on the source array any more: it was removed by hand."))
        })?;
        if !group.allowed {
            return Err(permanent(format!(
                "The target array does not allow replication of '{name}': allow it there, then start again."
            )));
        }
        let missing: Vec<&str> = disks(&self.order)
            .map(|disk| disk.volume.array_name.as_str())
            .filter(|volume| !group.volumes.iter().any(|have| have == volume))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(permanent(format!(
                "The array protection group '{name}' lacks volumes of the members: {}.",
                missing.join(", ")
            )))
        }
    }

    async fn check_type_is_visible(&self, tenant: &Access, wanted: &str) -> StepResult<()> {
        let visible = self.world.cloud.volume_types(tenant).await.or_fail()?;
        if visible.iter().any(|one| one.name == wanted) {
            return Ok(());
        }
        Err(permanent(format!(
            "The tenant's project can't see volume type '{wanted}' at site '{}', so it can't take the volumes over: an administrator gives it access to the type.",
            tenant.site_name
        )))
    }

    async fn volume_host(&self, service: &Access, wanted: &str) -> StepResult<String> {
        let types = self.world.cloud.volume_types(service).await.or_fail()?;
        let backend = types
            .iter()
            .find(|one| one.name == wanted)
            .and_then(|one| one.extra_specs.get("volume_backend_name"));
        let pools = self.world.cloud.volume_pools(service).await.or_fail()?;
        pools
            .into_iter()
            .find(|pool| pool.up && (backend.is_none() || pool.backend_name.as_ref() == backend))
            .map(|pool| pool.name)
            .ok_or_else(|| {
                permanent(format!(
                    "Cinder at site '{}' has no volume service that is up for volume type '{wanted}'{}.",
                    service.site_name,
                    backend.map_or_else(String::new, |name| format!(" (backend '{name}')"))
                ))
            })
    }

    fn flavor(&self, target: &Target, server: &Server) -> StepResult<FlavorId> {
        let source = &server.flavor;
        if let Some(wanted) = self.order.mappings.flavors.get(&source.original_name) {
            return target
                .flavors
                .iter()
                .find(|flavor| flavor.name == *wanted || flavor.id.as_str() == wanted)
                .map(|flavor| flavor.id.clone())
                .ok_or_else(|| {
                    permanent(format!(
                        "Flavor '{wanted}', which the mapping names, does not exist at site '{}'.",
                        target.site_name
                    ))
                });
        }
        let alike = |flavor: &&Flavor| flavor.vcpus == source.vcpus && flavor.ram_mb == source.ram_mb;
        target
            .flavors
            .iter()
            .find(|flavor| flavor.name == source.original_name)
            .or_else(|| target.flavors.iter().find(|flavor| alike(flavor) && flavor.disk_gb == source.disk_gb))
            .map(|flavor| flavor.id.clone())
            .ok_or_else(|| {
                permanent(format!(
                    "Site '{}' has no flavor '{1}' and none with {2} vCPUs and {3} MiB: map one with --flavor-mapping {1}=FLAVOR.",
                    target.site_name, source.original_name, source.vcpus, source.ram_mb
                ))
            })
    }

    /// Where the port's twin goes, and with which addresses.
    fn port(
        &self,
        target: &Target,
        facts: &Facts,
        member: &MemberFacts,
        port: &Port,
        index: usize,
    ) -> StepResult<PortPlan> {
        let server = &member.server.name;
        let source = facts
            .networks
            .iter()
            .find(|network| network.id == port.network_id);
        let source_name = source.map_or_else(|| port.network_id.to_string(), |network| network.name.clone());
        let mapped = self
            .order
            .mappings
            .networks
            .get(port.network_id.as_str())
            .or_else(|| self.order.mappings.networks.get(&source_name));
        let wanted = mapped.unwrap_or(&source_name);
        let mut found = target
            .networks
            .iter()
            .filter(|network| network.name == *wanted || network.id.as_str() == wanted);
        let network = match (found.next(), found.next()) {
            (Some(network), None) => network,
            (Some(_), Some(_)) => {
                return Err(permanent(format!(
                    "Site '{}' has several networks named '{wanted}': map by id with --network-mapping {source_name}=ID.",
                    target.site_name
                )));
            }
            (None, _) => {
                return Err(permanent(format!(
                    "Server '{server}' is in network '{source_name}', and site '{}' has no network '{wanted}': map it with --network-mapping {source_name}=NETWORK.",
                    target.site_name
                )));
            }
        };
        let own = network.project_id.as_ref() == Some(&target.project);
        let privileged = self
            .world
            .options
            .privileged_networks
            .iter()
            .any(|name| *name == network.name || name == network.id.as_str());
        if !own && !privileged {
            return Err(permanent(format!(
                "Network '{}' at site '{}' belongs to another project, where a port can't keep its addresses: map '{source_name}' to a network of the project, or an administrator adds it to [neutron] privileged_networks.",
                network.name, target.site_name
            )));
        }
        let fixed_ips = port
            .fixed_ips
            .iter()
            .map(|ip| fixed_ip(target, network, &ip.ip_address, server))
            .collect::<StepResult<Vec<_>>>()?;
        let security_groups = port
            .security_groups
            .iter()
            .map(|id| self.security_group(target, facts, id, server))
            .collect::<StepResult<Vec<_>>>()?;
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

    fn security_group(
        &self,
        target: &Target,
        facts: &Facts,
        id: &SecurityGroupId,
        server: &str,
    ) -> StepResult<SecurityGroupId> {
        let source = facts.security_groups.iter().find(|group| group.id == *id);
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
                permanent(format!(
                    "Server '{server}' uses security group '{name}', and the project at site '{}' has no '{wanted}': create it there, or map it with --security-group-mapping {name}=GROUP.",
                    target.site_name
                ))
            })
    }

    /// The keypair's name for the trustor; it must be there, because only its owner can bring it.
    /// The name of the twin's keypair, and whether the tenant has it there.
    async fn keypair(&self, tenant: &Access, member: &MemberFacts) -> StepResult<Option<(String, bool)>> {
        let Some(name) = &member.server.key_name else {
            return Ok(None);
        };
        let wanted = self.order.mappings.keypairs.get(name).unwrap_or(name);
        let has = async |name: &str| {
            let found = self.world.cloud.keypair(tenant, name, None).await;
            found.absent().or_fail().map(|found| found.is_some())
        };
        match (has(wanted).await?, &member.keypair) {
            (true, _) => Ok(Some((wanted.clone(), true))),
            (false, Some(_)) => Ok(Some((name.clone(), wanted != name && has(name).await?))),
            (false, None) => Err(permanent(format!(
                "Keypair '{name}' of server '{}' can't be read at the source and does not exist as '{wanted}' at site '{}': create it there, or map another with --keypair-mapping {name}=KEYPAIR.",
                member.server.name, tenant.site_name
            ))),
        }
    }

    /// No wanted address may be somebody else's.
    async fn check_addresses(&self, service: &Access, plan: &mut TargetPlan) -> StepResult<()> {
        let networks: BTreeSet<NetworkId> = plan
            .members
            .values()
            .flat_map(|of| of.ports.iter().map(|port| port.network_id.clone()))
            .collect();
        let mut there = Vec::new();
        for network in &networks {
            there.extend(self.world.cloud.ports(service, Some(network)).await.or_fail()?);
        }
        for member in &self.order.members {
            let Some(of) = plan.members.get(&member.id) else {
                continue;
            };
            if let Some(taken) = self.taken(member, of, &there, &service.site_name) {
                self.block(plan, member, permanent(taken))?;
            }
        }
        Ok(())
    }

    /// What of a member's wishes is somebody else's already.
    fn taken(&self, member: &Member, plan: &MemberPlan, there: &[Port], site: &str) -> Option<String> {
        for (index, wanted) in plan.ports.iter().enumerate() {
            let ours = port_description(&self.order, member, index);
            let others = there
                .iter()
                .filter(|port| port.network_id == wanted.network_id && port.description != ours);
            for other in others {
                let address = wanted
                    .fixed_ips
                    .iter()
                    .filter_map(|(_, ip)| ip.as_ref())
                    .find(|ip| other.fixed_ips.iter().any(|have| have.ip_address == **ip));
                if let Some(address) = address {
                    return Some(format!(
                        "Address {address} is taken at site '{site}' by port {} ({}): free it, or map the network to another one.",
                        other.id, other.device_owner
                    ));
                }
                if other.mac_address.eq_ignore_ascii_case(&wanted.mac_address) {
                    return Some(format!(
                        "MAC address {} is taken at site '{site}' by port {} on the same network.",
                        wanted.mac_address, other.id
                    ));
                }
            }
        }
        None
    }

    /// Quotas of the tenant's project, and of the service's, in which the volumes are for a moment.
    async fn check_room(
        &self,
        tenant: &Access,
        service: &Access,
        target: &Target,
        members: &BTreeMap<MemberId, MemberPlan>,
        volume_type: &str,
    ) -> StepResult<()> {
        let cloud = &self.world.cloud;
        let flavor = |plan: &MemberPlan| target.flavors.iter().find(|flavor| flavor.id == plan.flavor_id);
        let instances = members.len() as u64;
        let cores: u64 = members
            .values()
            .filter_map(flavor)
            .map(|flavor| flavor.vcpus)
            .sum();
        let ram: u64 = members
            .values()
            .filter_map(flavor)
            .map(|flavor| flavor.ram_mb)
            .sum();
        let volumes = disks(&self.order).count() as u64;
        let gigabytes: u64 = disks(&self.order).map(|disk| disk.volume.size_gb).sum();
        let ports: u64 = members.values().map(|plan| plan.ports.len() as u64).sum();

        let compute = cloud.compute_room(tenant, &target.project).await.or_fail()?;
        let storage = cloud.volume_room(tenant, &target.project).await.or_fail()?;
        let network = cloud.network_room(tenant, &target.project).await.or_fail()?;
        let mut lacking = Vec::new();
        let mut need = |what: &str, wanted: u64, left: Option<u64>, whose: &str| {
            if let Some(left) = left.filter(|left| *left < wanted) {
                lacking.push(format!(
                    "{what} of the {whose} project: {wanted} needed, {left} left"
                ));
            }
        };
        need("instances", instances, compute.instances, "tenant's");
        need("cores", cores, compute.cores, "tenant's");
        need("RAM (MiB)", ram, compute.ram_mb, "tenant's");
        need("ports", ports, network.ports, "tenant's");
        let of_type = |room: &Room| {
            (
                room.volumes_of_type.get(volume_type).copied(),
                room.gigabytes_of_type.get(volume_type).copied(),
            )
        };
        need("volumes", volumes, storage.volumes, "tenant's");
        need("gigabytes", gigabytes, storage.gigabytes, "tenant's");
        need(
            &format!("volumes of type {volume_type}"),
            volumes,
            of_type(&storage).0,
            "tenant's",
        );
        need(
            &format!("gigabytes of type {volume_type}"),
            gigabytes,
            of_type(&storage).1,
            "tenant's",
        );
        if self.world.options.import_as == ImportAs::Service {
            // Volumes pass through the service's project a few at a time.
            let service_project = cloud.owner(service).await.or_fail()?.project_id;
            let passing = cloud.volume_room(service, &service_project).await.or_fail()?;
            let largest = disks(&self.order)
                .map(|disk| disk.volume.size_gb)
                .max()
                .unwrap_or(0);
            need(
                "volumes",
                volumes.min(self.world.options.imports_at_once as u64),
                passing.volumes,
                "service's",
            );
            need("gigabytes", largest, passing.gigabytes, "service's");
        }
        if lacking.is_empty() {
            return Ok(());
        }
        Err(permanent(format!(
            "Quota exceeded at site '{}': {}. Raise it there, then start again.",
            target.site_name,
            lacking.join("; ")
        )))
    }
}

/// The address on the target: the same one where a subnet has room for it, else a free one.
fn fixed_ip(
    target: &Target,
    network: &Network,
    address: &str,
    server: &str,
) -> StepResult<(SubnetId, Option<String>)> {
    let ip: IpAddr = address.parse().map_err(|_| {
        permanent(format!(
            "Server '{server}' has an address that is none: '{address}'."
        ))
    })?;
    let version = if ip.is_ipv4() { 4 } else { 6 };
    let alike: Vec<&Subnet> = target
        .subnets
        .iter()
        .filter(|subnet| subnet.network_id == network.id && subnet.ip_version == version)
        .collect();
    let exact = alike.iter().find(|subnet| contains(&subnet.cidr, ip));
    let Some(subnet) = exact.or_else(|| alike.first()) else {
        return Err(permanent(format!(
            "Network '{}' at site '{}' has no IPv{version} subnet for the address {address} of server '{server}'.",
            network.name, target.site_name
        )));
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
