//! What the source cloud says of the members, recorded before anything is touched.

use std::collections::BTreeMap;

use protector_domain::{MemberId, VolumeId};
use protector_ports::cloud::{Keypair, Network, Port, SecurityGroup, Server, Subnet, Volume};
use protector_ports::error::{Absent, Kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Failover;
use crate::failure::{OrFail, StepResult, permanent};

/// Everything about one member that its twin needs. User data is read again when the twin is made: it may hold
/// secrets, and the journal holds none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MemberFacts {
    pub(super) server: Server,
    pub(super) was_running: bool,
    /// In the guest's order, the root first.
    pub(super) volumes: Vec<Volume>,
    /// In the order of the guest's interfaces.
    pub(super) ports: Vec<Port>,
    pub(super) keypair: Option<Keypair>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) members: BTreeMap<MemberId, MemberFacts>,
    /// Those that the members' ports are in.
    pub(super) networks: Vec<Network>,
    pub(super) subnets: Vec<Subnet>,
    pub(super) security_groups: Vec<SecurityGroup>,
}

impl Failover {
    pub(super) async fn inspect(&self) -> StepResult<Value> {
        let world = &self.world;
        let group = world.group(self.order.group).await?;
        let tenant = world
            .directory
            .tenant(self.order.source, &group)
            .await
            .or_fail()?;
        let service = world.directory.service(self.order.source).await.or_fail()?;
        let project = group
            .project(self.order.source)
            .ok_or_else(|| permanent("the group has no project at the source site"))?;

        let mut members = BTreeMap::new();
        for member in &self.order.members {
            let name = &member.instance_name;
            // First as the tenant: a server that he can't see is not his to move.
            let seen = world
                .cloud
                .server(&tenant, &member.instance_id)
                .await
                .absent()
                .or_fail()?;
            if seen.is_none_or(|server| server.project_id != *project) {
                return Err(permanent(format!(
                    "Server '{name}' ({}) is not there any more at site '{}': remove the member from the group, or bring the server back.",
                    member.instance_id, tenant.site_name
                )));
            }
            let mut server = world
                .cloud
                .server(&service, &member.instance_id)
                .await
                .or_fail()?;
            server.user_data = None;
            let was_running = match server.status.as_str() {
                "ACTIVE" => true,
                "SHUTOFF" => false,
                other => {
                    return Err(permanent(format!(
                        "Server '{name}' is {other}: a planned failover needs it ACTIVE or SHUTOFF, because it must be stopped cleanly."
                    )));
                }
            };
            let attached: Vec<VolumeId> = world
                .cloud
                .attached_volumes(&tenant, &member.instance_id)
                .await
                .or_fail()?
                .into_iter()
                .map(|disk| disk.volume_id)
                .collect();
            let known: Vec<&VolumeId> = member.volumes.iter().map(|volume| &volume.volume_id).collect();
            if attached.len() != known.len() || !attached.iter().all(|volume| known.contains(&volume)) {
                return Err(permanent(format!(
                    "The disks of server '{name}' have changed since it was protected (now {}): remove the member and add it again.",
                    attached
                        .iter()
                        .map(VolumeId::as_str)
                        .collect::<Vec<_>>()
                        .join(", ")
                )));
            }
            let mut volumes = Vec::new();
            for volume in &member.volumes {
                let found = world.cloud.volume(&service, &volume.volume_id).await.or_fail()?;
                if found
                    .provider_id
                    .as_ref()
                    .is_some_and(|name| *name != volume.array_name)
                {
                    return Err(permanent(format!(
                        "Volume {} of server '{name}' is '{}' on the array now, and was protected as '{}': remove the member and add it again.",
                        volume.volume_id,
                        found.provider_id.unwrap_or_default(),
                        volume.array_name
                    )));
                }
                volumes.push(found);
            }
            let ports = world
                .cloud
                .server_ports(&tenant, &member.instance_id)
                .await
                .or_fail()?;
            let keypair = match &server.key_name {
                Some(key) => match world
                    .cloud
                    .keypair(&service, key, server.user_id.as_deref())
                    .await
                {
                    Err(error) if error.is(Kind::NotFound) || error.is(Kind::Forbidden) => None,
                    other => Some(other.or_fail()?),
                },
                None => None,
            };
            members.insert(
                member.id,
                MemberFacts {
                    server,
                    was_running,
                    volumes,
                    ports,
                    keypair,
                },
            );
        }
        let used =
            |wanted: &dyn Fn(&Port) -> bool| members.values().any(|facts| facts.ports.iter().any(wanted));
        let networks = world.cloud.networks(&tenant).await.or_fail()?;
        let subnets = world.cloud.subnets(&tenant).await.or_fail()?;
        let security_groups = world.cloud.security_groups(&tenant).await.or_fail()?;
        let facts = Facts {
            networks: networks
                .into_iter()
                .filter(|network| used(&|port| port.network_id == network.id))
                .collect(),
            subnets: subnets
                .into_iter()
                .filter(|subnet| used(&|port| port.fixed_ips.iter().any(|ip| ip.subnet_id == subnet.id)))
                .collect(),
            security_groups: security_groups
                .into_iter()
                .filter(|group| used(&|port| port.security_groups.contains(&group.id)))
                .collect(),
            members,
        };
        serde_json::to_value(facts).or_fail()
    }
}
