//! A project's servers, volumes and ports, listed at once: a call each for all of them, however many there are.

use std::collections::{HashMap, HashSet};

use protector_domain::{Member, ProjectId, ServerId, VolumeId};
use protector_ports::cloud::{Access, Keypair, Network, Port, SecurityGroup, Server, Subnet, Volume};
use protector_ports::error::Kind;
use tokio::sync::Mutex;

use super::facts::Surroundings;
use crate::failure::{OrFail, StepResult};
use crate::world::World;

/// A keypair's, whose name is only its owner's.
type NameAndOwner = (String, Option<String>);

/// What is known of the wanted servers. Of ten thousand that is much, so the lists are kept as they came, in the order of
/// what is looked for in them.
pub(super) struct Survey {
    /// By their ids.
    servers: Vec<Server>,
    volumes: Vec<Volume>,
    /// By the ids of their servers.
    ports: Vec<Port>,
    networks: Vec<Network>,
    subnets: Vec<Subnet>,
    security_groups: Vec<SecurityGroup>,
    /// Many servers share one.
    keypairs: Mutex<HashMap<NameAndOwner, Option<Keypair>>>,
}

impl Survey {
    pub(super) async fn of(
        world: &World,
        service: &Access,
        eyes: &Access,
        project: &ProjectId,
        members: &[Member],
    ) -> StepResult<Self> {
        let cloud = &world.cloud;
        let (mut servers, mut volumes, mut ports, networks, subnets, security_groups) = tokio::try_join!(
            cloud.servers_of(service, project),
            cloud.volumes_of(service, project),
            cloud.ports_of(service, project),
            cloud.networks(eyes),
            cloud.subnets(eyes),
            cloud.security_groups(eyes),
        )
        .or_fail()?;
        let wanted: HashSet<&ServerId> = members.iter().map(|member| &member.instance_id).collect();
        let theirs: HashSet<&VolumeId> = members
            .iter()
            .flat_map(|member| &member.volumes)
            .map(|volume| &volume.volume_id)
            .collect();
        let devices: HashSet<&str> = wanted.iter().map(|id| id.as_str()).collect();
        servers.retain(|server| wanted.contains(&server.id));
        servers.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        volumes.retain(|volume| theirs.contains(&volume.id));
        volumes.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        ports.retain(|port| devices.contains(port.device_id.as_str()));
        ports.sort_by(|a, b| a.device_id.cmp(&b.device_id));
        Ok(Self {
            servers,
            volumes,
            ports,
            networks,
            subnets,
            security_groups,
            keypairs: Mutex::default(),
        })
    }

    pub(super) fn server(&self, id: &ServerId) -> Option<&Server> {
        let found = self.servers.binary_search_by(|server| server.id.cmp(id));
        found.ok().map(|place| &self.servers[place])
    }

    pub(super) fn volume(&self, id: &VolumeId) -> Option<&Volume> {
        let found = self.volumes.binary_search_by(|volume| volume.id.cmp(id));
        found.ok().map(|place| &self.volumes[place])
    }

    /// The ports of a server, in the order of the guest's interfaces.
    pub(super) fn ports(&self, server: &Server) -> Vec<Port> {
        let id = server.id.as_str();
        let first = self.ports.partition_point(|port| port.device_id.as_str() < id);
        let theirs = self.ports[first..].iter().take_while(|port| port.device_id == id);
        let mut ports: Vec<Port> = theirs.cloned().collect();
        let place = |port: &Port| {
            let mut macs = server.macs.iter();
            macs.position(|mac| mac.eq_ignore_ascii_case(&port.mac_address))
                .unwrap_or(usize::MAX)
        };
        ports.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.id.cmp(&b.id)));
        ports
    }

    /// The server's keypair, where anybody may still see it.
    pub(super) async fn keypair(
        &self,
        world: &World,
        service: &Access,
        server: &Server,
    ) -> StepResult<Option<Keypair>> {
        let Some(name) = server.key_name.clone() else {
            return Ok(None);
        };
        let mut known = self.keypairs.lock().await;
        let key = (name, server.user_id.clone());
        if let Some(known) = known.get(&key) {
            return Ok(known.clone());
        }
        let asked = world.cloud.keypair(service, &key.0, key.1.as_deref()).await;
        let keypair = match asked {
            Err(error) if error.is(Kind::NotFound) || error.is(Kind::Forbidden) => None,
            other => Some(other.or_fail()?),
        };
        known.insert(key, keypair.clone());
        Ok(keypair)
    }

    /// Networks and security groups, as far as these servers use them.
    pub(super) fn surroundings(&self) -> Surroundings {
        let (mut networks, mut subnets, mut groups) = (HashSet::new(), HashSet::new(), HashSet::new());
        for port in &self.ports {
            networks.insert(&port.network_id);
            subnets.extend(port.fixed_ips.iter().map(|ip| &ip.subnet_id));
            groups.extend(&port.security_groups);
        }
        Surroundings {
            networks: kept(&self.networks, |network| networks.contains(&network.id)),
            subnets: kept(&self.subnets, |subnet| subnets.contains(&subnet.id)),
            security_groups: kept(&self.security_groups, |group| groups.contains(&group.id)),
        }
    }
}

fn kept<T: Clone>(all: &[T], wanted: impl Fn(&T) -> bool) -> Vec<T> {
    all.iter().filter(|one| wanted(one)).cloned().collect()
}
