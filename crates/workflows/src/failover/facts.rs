//! What the source cloud says of the members, recorded before anything is touched.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use protector_domain::{Check, Group, Member, MemberId, MemberVolume, ProjectId, SiteId, VolumeId};
use protector_ports::cloud::{Access, Keypair, Network, Port, SecurityGroup, Server, Subnet, Volume};
use protector_ports::error::{Absent, Kind};
use protector_ports::store::FactsAbout;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use protector_saga::FailureClass;

use super::Failover;
use super::preflight::{Findings, Looked, Obstacle, found};
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
    /// Of which all volumes have to be.
    volume_type: Option<String>,
}

/// What to do about a disk that isn't what was protected.
const AGAIN: &str = "Remove the member and add it again.";

/// What is kept of a group for the day when its cloud can't be asked.
#[derive(Serialize, Deserialize)]
pub(crate) struct Recording {
    pub(super) facts: Facts,
    /// Apart from the facts, which go into journals.
    pub(super) user_data: BTreeMap<MemberId, String>,
    /// When each was read: a round that can't read one keeps what an earlier one read.
    #[serde(default)]
    pub(super) read_at: BTreeMap<MemberId, DateTime<Utc>>,
}

impl Recording {
    /// The whole is as old as what is oldest in it.
    pub(crate) fn about(&self, site: SiteId, now: DateTime<Utc>) -> FactsAbout {
        FactsAbout {
            site,
            read_at: self.read_at.values().min().copied().unwrap_or(now),
            servers: self
                .facts
                .members
                .values()
                .map(|facts| facts.server.id.clone())
                .collect(),
        }
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
    let now = world.clock.now();
    let mut before = before;
    let mut members = BTreeMap::new();
    let (mut user_data, mut read_at) = (BTreeMap::new(), BTreeMap::new());
    for member in &group.document.members {
        let reason = match reader.member(member).await {
            Ok((facts, secret)) => {
                user_data.extend(secret.map(|text| (member.id, text)));
                read_at.insert(member.id, now);
                members.insert(member.id, facts);
                continue;
            }
            Err(Obstacle::Found(finding)) => finding.told(),
            Err(Obstacle::Failed(failure)) if failure.class == FailureClass::Permanent => failure.message,
            Err(Obstacle::Failed(failure)) => return Err(failure),
        };
        tracing::info!(member = member.instance_name, reason, "a server can't be read");
        if let Some(known) = before.as_mut() {
            members.extend(known.facts.members.remove_entry(&member.id));
            user_data.extend(known.user_data.remove_entry(&member.id));
            read_at.extend(known.read_at.remove_entry(&member.id));
        }
    }
    Ok(Recording {
        facts: reader.surroundings(members).await?,
        user_data,
        read_at,
    })
}

impl Failover {
    /// As things are now, read as the tenant; the servers must be such as can be stopped cleanly.
    pub(super) async fn inspect(&self) -> StepResult<Value> {
        let mut findings = Findings::default();
        let facts = self.survey(&mut findings).await?;
        findings.refuse()?;
        serde_json::to_value(facts).or_fail()
    }

    /// What the source's cloud says of the members; `None` where it can't be asked as the tenant.
    pub(super) async fn survey(&self, findings: &mut Findings) -> StepResult<Option<Facts>> {
        let group = self.world.group(self.order.group).await?;
        let looked = self.trusted(self.order.source, &group).await;
        let Some(eyes) = findings.note(looked)? else {
            return Ok(None);
        };
        let reader = Reader::of(&self.world, &group, self.order.source, Some(eyes)).await?;
        let mut members = BTreeMap::new();
        for member in &self.order.members {
            let looked = reader.member(member).await;
            let Some((facts, _)) = findings.note_of(member, Check::Server, looked)? else {
                continue;
            };
            let status = &facts.server.status;
            if status != "ACTIVE" && status != "SHUTOFF" {
                let finding = found(
                    Check::Server,
                    format!(
                        "Server '{}' is {status}: a planned failover needs it ACTIVE or SHUTOFF, because it must be stopped cleanly.",
                        facts.server.name
                    ),
                    "Bring it into one of these, or remove the member.",
                );
                findings.note_of(member, Check::Server, Looked::<()>::Err(finding))?;
            }
            members.insert(member.id, facts);
        }
        reader.surroundings(members).await.map(Some)
    }
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
            volume_type: group
                .document
                .volume_types
                .get(&source)
                .map(|known| known.name.clone()),
        })
    }

    /// The server as it is now, and its user data apart.
    async fn member(&self, member: &Member) -> Looked<(MemberFacts, Option<String>)> {
        let (cloud, name) = (&self.world.cloud, &member.instance_name);
        // A server that its owner can't see is not his to move.
        let seen = cloud
            .server(&self.eyes, &member.instance_id)
            .await
            .absent()
            .or_fail()?;
        if seen.is_none_or(|server| server.project_id != self.project) {
            return Err(found(
                Check::Server,
                format!(
                    "Server '{name}' ({}) is not there any more at site '{}'.",
                    member.instance_id, self.eyes.site_name
                ),
                "Remove the member from the group, or bring the server back.",
            ));
        }
        let mut server = cloud.server(&self.service, &member.instance_id).await.or_fail()?;
        let user_data = server.user_data.take();
        if server.flavor.ephemeral_gb > 0 || server.flavor.swap_mb > 0 {
            return Err(found(
                Check::Disks,
                format!(
                    "Server '{name}' has an ephemeral or swap disk by its flavor '{}' now, which would come back empty.",
                    server.flavor.original_name
                ),
                "Resize it to a flavor without, or remove the member.",
            ));
        }
        self.check_disks(member).await?;
        let mut volumes = Vec::new();
        for volume in &member.volumes {
            let seen = cloud.volume(&self.service, &volume.volume_id).await.or_fail()?;
            self.check_volume(name, volume, &seen)?;
            volumes.push(seen);
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
        let facts = MemberFacts {
            was_running: server.status == "ACTIVE",
            server,
            volumes,
            ports,
            keypair,
        };
        Ok((facts, user_data))
    }

    /// A disk that came or went since is neither adopted nor ignored.
    async fn check_disks(&self, member: &Member) -> Looked<()> {
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
        Err(found(
            Check::Disks,
            format!(
                "The disks of server '{}' have changed since it was protected (now {}).",
                member.instance_name,
                attached
                    .iter()
                    .map(VolumeId::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            AGAIN,
        ))
    }

    /// Still the volume that was protected, and of a type that replicates.
    fn check_volume(&self, server: &str, protected: &MemberVolume, seen: &Volume) -> Looked<()> {
        let of_another_name = seen
            .provider_id
            .as_ref()
            .filter(|name| **name != protected.array_name);
        if let Some(name) = of_another_name {
            return Err(found(
                Check::Disks,
                format!(
                    "Volume {} of server '{server}' is '{name}' on the array now, and was protected as '{}'.",
                    protected.volume_id, protected.array_name
                ),
                AGAIN,
            ));
        }
        if seen.encrypted {
            return Err(found(
                Check::Disks,
                format!(
                    "Volume {} of server '{server}' is encrypted now: Cinder can't take it over on the other site.",
                    seen.id
                ),
                "Retype it, or remove the member.",
            ));
        }
        if self.volume_type.is_some() && seen.volume_type != self.volume_type {
            return Err(found(
                Check::Disks,
                format!(
                    "volume type mismatch: volume {} of server '{server}' is of type '{}' now, and the group protects '{}'.",
                    seen.id,
                    seen.volume_type.as_deref().unwrap_or("none"),
                    self.volume_type.as_deref().unwrap_or_default()
                ),
                "Retype it back, or remove the member.",
            ));
        }
        Ok(())
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
