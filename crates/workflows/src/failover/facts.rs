//! What the source cloud says of the members, recorded before anything is touched.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use protector_domain::{
    Check, Finding, Group, Member, MemberId, MemberVolume, ProjectId, ServerId, SiteId, VolumeId,
};
use protector_ports::cloud::{Access, Keypair, Network, Port, SecurityGroup, Server, Subnet, Volume};
use protector_ports::store::FactsAbout;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use protector_saga::{FailureClass, State};

use super::preflight::{Findings, Looked, Obstacle, found};
use super::survey::Survey;
use super::{Failover, recorded, step};
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

/// What the members' ports are in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Surroundings {
    pub(super) networks: Vec<Network>,
    pub(super) subnets: Vec<Subnet>,
    pub(super) security_groups: Vec<SecurityGroup>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(super) members: BTreeMap<MemberId, MemberFacts>,
    #[serde(flatten)]
    pub(super) surroundings: Surroundings,
}

/// The record of the look at one member. What stands in its way is told together with what stands in others'.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Inspected {
    /// Nothing where it can't be moved, or was never read.
    pub(super) facts: Option<MemberFacts>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) findings: Vec<Finding>,
    /// Its new server, where an operation that is carried on has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) adopted: Option<ServerId>,
}

/// Judges what a survey shows of each member.
struct Reader<'a> {
    world: &'a World,
    service: Access,
    survey: Arc<Survey>,
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
    pub(crate) fn parse(kept: &SecretString) -> serde_json::Result<Self> {
        serde_json::from_str(kept.expose_secret())
    }

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
    let service = world.directory.service(source).await.or_fail()?;
    let project = project_of(group, source)?;
    let survey = Survey::of(world, &service, &service, project, &group.document.members).await?;
    let reader = Reader::of(world, group, source, service, Arc::new(survey));
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
        facts: Facts {
            members,
            surroundings: reader.survey.surroundings(),
        },
        user_data,
        read_at,
    })
}

impl Failover {
    /// All members at once, read as the tenant; what is told of each is judged one by one.
    pub(super) async fn inspect(&self) -> StepResult<Value> {
        let mut findings = Findings::default();
        let survey = self.look_around(&mut findings).await?;
        findings.refuse()?;
        let surroundings = survey.as_ref().map(|survey| survey.surroundings());
        *self.survey.lock().await = survey;
        serde_json::to_value(surroundings).or_fail()
    }

    /// `None` where the source's cloud can't be asked as the tenant.
    async fn look_around(&self, findings: &mut Findings) -> StepResult<Option<Arc<Survey>>> {
        let (source, group) = (self.order.source, self.group().await?);
        let looked = self.trusted(source, &group).await;
        let Some(eyes) = findings.note(looked)? else {
            return Ok(None);
        };
        let service = self.service(source).await?;
        let project = project_of(&group, source)?;
        let survey = Survey::of(&self.world, &service, &eyes, project, &self.order.members).await?;
        Ok(Some(Arc::new(survey)))
    }

    /// One server as it is now; it must be such as can be stopped cleanly.
    pub(super) async fn inspect_server(&self, member: &Member) -> StepResult<Value> {
        let mut findings = Findings::default();
        let survey = {
            let mut known = self.survey.lock().await;
            if known.is_none() {
                // The engine that looked first is gone.
                *known = self.look_around(&mut findings).await?;
            }
            known.clone()
        };
        let mut inspected = Inspected::default();
        if let Some(survey) = survey {
            let reader = self.reader(survey).await?;
            inspected.facts = self.examine(&reader, member, &mut findings).await?;
        }
        inspected.findings = findings.0;
        serde_json::to_value(inspected).or_fail()
    }

    async fn reader(&self, survey: Arc<Survey>) -> StepResult<Reader<'_>> {
        let (source, group) = (self.order.source, self.group().await?);
        let service = self.service(source).await?;
        Ok(Reader::of(&self.world, &group, source, service, survey))
    }

    async fn examine(
        &self,
        reader: &Reader<'_>,
        member: &Member,
        findings: &mut Findings,
    ) -> StepResult<Option<MemberFacts>> {
        let looked = reader.member(member).await;
        let Some((facts, secret)) = findings.note_of(member, Check::Server, looked)? else {
            return Ok(None);
        };
        self.user_data.remember(member.id, secret);
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
        Ok(Some(facts))
    }

    /// What the source's cloud says of all members; `None` where it can't be asked as the tenant.
    pub(super) async fn look_at_servers(&self, findings: &mut Findings) -> StepResult<Option<Facts>> {
        let Some(survey) = self.look_around(findings).await? else {
            return Ok(None);
        };
        let surroundings = survey.surroundings();
        let reader = self.reader(survey).await?;
        let mut members = BTreeMap::new();
        for member in &self.order.members {
            if let Some(facts) = self.examine(&reader, member, findings).await? {
                members.insert(member.id, facts);
            }
        }
        Ok(Some(Facts {
            members,
            surroundings,
        }))
    }

    /// What earlier steps have found in the way of each member.
    pub(super) fn found_before(&self, state: &State, findings: &mut Findings) -> StepResult<()> {
        for member in &self.order.members {
            let inspected: Inspected = recorded(state, &step::inspect(member))?;
            findings.0.extend(inspected.findings);
        }
        Ok(())
    }
}

/// What is known of the members. Of many thousand that is much, so what the journal has is read one by one.
pub(super) enum Known<'a> {
    Journalled {
        state: &'a State,
        surroundings: Surroundings,
    },
    Read(Facts),
}

impl<'a> Known<'a> {
    /// By earlier steps.
    pub(super) fn from(state: &'a State) -> StepResult<Self> {
        let surroundings: Option<Surroundings> = recorded(state, step::INSPECT)?;
        Ok(Self::Journalled {
            state,
            surroundings: surroundings.unwrap_or_default(),
        })
    }

    pub(super) fn surroundings(&self) -> &Surroundings {
        match self {
            Self::Journalled { surroundings, .. } => surroundings,
            Self::Read(facts) => &facts.surroundings,
        }
    }

    pub(super) fn of(&self, member: &Member) -> StepResult<Option<Cow<'_, MemberFacts>>> {
        match self {
            Self::Journalled { state, .. } => {
                let inspected: Inspected = recorded(state, &step::inspect(member))?;
                Ok(inspected.facts.map(Cow::Owned))
            }
            Self::Read(facts) => Ok(facts.members.get(&member.id).map(Cow::Borrowed)),
        }
    }
}

/// What an earlier step has recorded of one member.
pub(super) fn facts_of(state: &State, member: &Member) -> StepResult<MemberFacts> {
    let inspected: Inspected = recorded(state, &step::inspect(member))?;
    inspected
        .facts
        .ok_or_else(|| permanent("the inspection missed a member"))
}

fn project_of(group: &Group, site: SiteId) -> StepResult<&ProjectId> {
    group
        .project(site)
        .ok_or_else(|| permanent("the group has no project at the source site"))
}

impl<'a> Reader<'a> {
    fn of(world: &'a World, group: &Group, source: SiteId, service: Access, survey: Arc<Survey>) -> Self {
        Reader {
            world,
            service,
            survey,
            volume_type: group
                .document
                .volume_types
                .get(&source)
                .map(|known| known.name.clone()),
        }
    }

    /// The server as it is now, and its user data apart.
    async fn member(&self, member: &Member) -> Looked<(MemberFacts, Option<String>)> {
        let name = &member.instance_name;
        // A server of another project is not the tenant's to move, and isn't among these.
        let Some(seen) = self.survey.server(&member.instance_id) else {
            return Err(found(
                Check::Server,
                format!(
                    "Server '{name}' ({}) is not there any more at site '{}'.",
                    member.instance_id, self.service.site_name
                ),
                "Remove the member from the group, or bring the server back.",
            ));
        };
        let mut server = seen.clone();
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
        check_disks(member, &server)?;
        let mut volumes = Vec::new();
        for volume in &member.volumes {
            let seen = self.survey.volume(&volume.volume_id).ok_or_else(|| {
                found(
                    Check::Disks,
                    format!(
                        "Volume {} of server '{name}' is not there any more at site '{}'.",
                        volume.volume_id, self.service.site_name
                    ),
                    AGAIN,
                )
            })?;
            self.check_volume(name, volume, seen)?;
            volumes.push(seen.clone());
        }
        let ports = self.survey.ports(&server);
        let keypair = self.survey.keypair(self.world, &self.service, &server).await?;
        let facts = MemberFacts {
            was_running: server.status == "ACTIVE",
            server,
            volumes,
            ports,
            keypair,
        };
        Ok((facts, user_data))
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
}

/// A disk that came or went since is neither adopted nor ignored.
fn check_disks(member: &Member, server: &Server) -> Looked<()> {
    let attached = &server.volumes;
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
