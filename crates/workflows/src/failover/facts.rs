//! What the source cloud says of the members, recorded before anything is touched.

use std::collections::{BTreeMap, BTreeSet};

use protector_domain::{Group, Member, MemberId, ProjectId, ServerId, SiteId, VolumeId};
use protector_ports::cloud::{Access, Keypair, Network, Port, SecurityGroup, Server, Subnet, Volume};
use protector_ports::error::{Absent, Kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use protector_saga::FailureClass;

use super::Failover;
use crate::failure::{OrFail, StepResult, permanent};
use crate::world::World;

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
pub(crate) struct Facts {
    pub(super) members: BTreeMap<MemberId, MemberFacts>,
    /// Those that the members' ports are in.
    pub(super) networks: Vec<Network>,
    pub(super) subnets: Vec<Subnet>,
    pub(super) security_groups: Vec<SecurityGroup>,
}

/// Through whose eyes a cloud is read.
struct Reader<'a> {
    world: &'a World,
    /// Who sees a server first: the tenant, whose it must be; where only the site's own user is known, he.
    eyes: Access,
    service: Access,
    project: ProjectId,
}

/// What is kept of a group for the day when its cloud can't be asked.
#[derive(Serialize, Deserialize)]
pub(crate) struct Recording {
    pub(super) facts: Facts,
    /// Apart from the facts, which go into journals.
    pub(super) user_data: BTreeMap<MemberId, String>,
}

impl Recording {
    pub(crate) fn servers(&self) -> BTreeSet<ServerId> {
        let members = self.facts.members.values();
        members.map(|facts| facts.server.id.clone()).collect()
    }
}

/// Reads a group for the day when nobody can. A member that can't be read stays as it was read before.
pub(crate) async fn record(
    world: &World,
    group: &Group,
    source: SiteId,
    before: Option<Recording>,
) -> StepResult<Recording> {
    let reader = Reader::of(world, group, source, None).await?;
    let mut before = before;
    let (mut members, mut user_data) = (BTreeMap::new(), BTreeMap::new());
    for member in &group.document.members {
        match reader.member(member).await {
            Ok(facts) => {
                let server = world.cloud.server(&reader.service, &member.instance_id).await;
                if let Some(text) = server.or_fail()?.user_data {
                    user_data.insert(member.id, text);
                }
                members.insert(member.id, facts);
            }
            Err(failure) if failure.class == FailureClass::Permanent => {
                tracing::info!(
                    member = member.instance_name,
                    reason = failure.message,
                    "a server can't be read"
                );
                let known = before.as_mut();
                if let Some(known) = known {
                    members.extend(known.facts.members.remove_entry(&member.id));
                    user_data.extend(known.user_data.remove_entry(&member.id));
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(Recording {
        facts: reader.surroundings(members).await?,
        user_data,
    })
}

impl Failover {
    /// As things are now, read as the tenant; the servers must be such as can be stopped cleanly.
    pub(super) async fn inspect(&self) -> StepResult<Value> {
        let group = self.world.group(self.order.group).await?;
        let eyes = self
            .world
            .directory
            .tenant(self.order.source, &group)
            .await
            .or_fail()?;
        let facts = read(&self.world, &group, self.order.source, &self.order.members, eyes).await?;
        for member in facts.members.values() {
            let (name, status) = (&member.server.name, &member.server.status);
            if status != "ACTIVE" && status != "SHUTOFF" {
                return Err(permanent(format!(
                    "Server '{name}' is {status}: a planned failover needs it ACTIVE or SHUTOFF, because it must be stopped cleanly."
                )));
            }
        }
        serde_json::to_value(facts).or_fail()
    }
}

/// What a cloud says of the members of a group that runs there.
pub(super) async fn read(
    world: &World,
    group: &Group,
    source: SiteId,
    members: &[Member],
    eyes: Access,
) -> StepResult<Facts> {
    let reader = Reader::of(world, group, source, Some(eyes)).await?;
    let mut found = BTreeMap::new();
    for member in members {
        found.insert(member.id, reader.member(member).await?);
    }
    reader.surroundings(found).await
}

impl<'a> Reader<'a> {
    /// Without other eyes it is the site's own user who looks.
    async fn of(world: &'a World, group: &Group, source: SiteId, eyes: Option<Access>) -> StepResult<Self> {
        let service = world.directory.service(source).await.or_fail()?;
        let project = group
            .project(source)
            .cloned()
            .ok_or_else(|| permanent("the group has no project at the source site"))?;
        Ok(Reader {
            world,
            eyes: eyes.unwrap_or_else(|| service.clone()),
            service,
            project,
        })
    }

    async fn member(&self, member: &Member) -> StepResult<MemberFacts> {
        let (cloud, name) = (&self.world.cloud, &member.instance_name);
        // A server that its owner can't see is not his to move.
        let seen = cloud
            .server(&self.eyes, &member.instance_id)
            .await
            .absent()
            .or_fail()?;
        if seen.is_none_or(|server| server.project_id != self.project) {
            return Err(permanent(format!(
                "Server '{name}' ({}) is not there any more at site '{}': remove the member from the group, or bring the server back.",
                member.instance_id, self.eyes.site_name
            )));
        }
        let mut server = cloud.server(&self.service, &member.instance_id).await.or_fail()?;
        server.user_data = None;
        self.check_disks(member).await?;
        let mut volumes = Vec::new();
        for volume in &member.volumes {
            let found = cloud.volume(&self.service, &volume.volume_id).await.or_fail()?;
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
        let ports = cloud
            .server_ports(&self.eyes, &member.instance_id)
            .await
            .or_fail()?;
        let keypair = match &server.key_name {
            Some(key) => match cloud.keypair(&self.service, key, server.user_id.as_deref()).await {
                Err(error) if error.is(Kind::NotFound) || error.is(Kind::Forbidden) => None,
                other => Some(other.or_fail()?),
            },
            None => None,
        };
        Ok(MemberFacts {
            was_running: server.status == "ACTIVE",
            server,
            volumes,
            ports,
            keypair,
        })
    }

    async fn check_disks(&self, member: &Member) -> StepResult<()> {
        let attached: Vec<VolumeId> = self
            .world
            .cloud
            .attached_volumes(&self.eyes, &member.instance_id)
            .await
            .or_fail()?
            .into_iter()
            .map(|disk| disk.volume_id)
            .collect();
        let known: Vec<&VolumeId> = member.volumes.iter().map(|volume| &volume.volume_id).collect();
        if attached.len() == known.len() && attached.iter().all(|volume| known.contains(&volume)) {
            return Ok(());
        }
        Err(permanent(format!(
            "The disks of server '{}' have changed since it was protected (now {}): remove the member and add it again.",
            member.instance_name,
            attached
                .iter()
                .map(VolumeId::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        )))
    }

    /// Networks and security groups, as far as the members use them.
    async fn surroundings(&self, members: BTreeMap<MemberId, MemberFacts>) -> StepResult<Facts> {
        let cloud = &self.world.cloud;
        let used =
            |wanted: &dyn Fn(&Port) -> bool| members.values().any(|facts| facts.ports.iter().any(wanted));
        let networks = cloud.networks(&self.eyes).await.or_fail()?;
        let subnets = cloud.subnets(&self.eyes).await.or_fail()?;
        let security_groups = cloud.security_groups(&self.eyes).await.or_fail()?;
        Ok(Facts {
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
        })
    }
}
