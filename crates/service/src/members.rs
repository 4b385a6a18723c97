//! Members: which servers a group protects. What could not be recovered is refused here, not at the worst hour.

use protector_domain::{
    Group, GroupId, Member, MemberId, MemberStatus, MemberVolume, ServerId, SiteId, Statement, Work,
};
use protector_ports::cloud::{AttachedVolume, Server, Volume};
use protector_ports::error::Kind;
use protector_ports::store::{Along, GroupFilter, Page};

use crate::error::{Error, Result};
use crate::{Caller, Service, saga};

impl Service {
    pub async fn member(&self, caller: &Caller, group: GroupId, id: MemberId) -> Result<(Group, Member)> {
        let group = self.own_group(caller, group).await?;
        let member = group
            .document
            .member(id)
            .cloned()
            .ok_or_else(|| Error::not_found("member", id))?;
        Ok((group, member))
    }

    pub async fn add_member(
        &self,
        caller: &Caller,
        group: GroupId,
        instance: ServerId,
        statement: &Statement,
    ) -> Result<(Group, MemberId)> {
        let mut group = self.modifiable(caller, group, statement).await?;
        // Whose server it is comes first: another project's must look as if it didn't exist.
        let (server, disks) = self.disks(caller, &instance).await?;
        self.check_unprotected(&instance).await?;
        self.check_recoverable(&group, &server, &disks)?;

        let backend = group.consistency_group.backend_name.clone();
        let elsewhere: Vec<String> = disks
            .iter()
            .filter(|(_, volume)| {
                volume.host.is_some()
                    && *backend
                        .as_ref()
                        .or(disks[0].1.host.as_ref())
                        .unwrap_or(&String::new())
                        != volume.host.clone().unwrap_or_default()
            })
            .map(|(_, volume)| {
                format!(
                    "{} on {}",
                    volume.id,
                    volume.host.as_deref().unwrap_or("an unknown backend")
                )
            })
            .collect();
        let member = Member {
            id: MemberId(uuid::Uuid::new_v4()),
            instance_id: instance,
            instance_name: server.name.clone(),
            left: Default::default(),
            volumes: in_order(&server, &disks),
        };
        let id = member.id;
        group.document.members.push(member.clone());
        let now = self.touch(&mut group);
        let mut along = self.along(&group, statement, format!("member {} added", server.name));
        if elsewhere.is_empty() {
            if group.consistency_group.backend_name.is_none() {
                group.consistency_group.backend_name = disks[0].1.host.clone();
            }
            group.set_member(id, MemberStatus::Protecting, None, now);
            along.saga = Some(saga(
                Work::AddMember {
                    group: group.id(),
                    member,
                },
                uuid::Uuid::new_v4(),
            )?);
        } else {
            let reason = format!(
                "All volumes of a protection group must be on one storage backend ({}). On another one: {}. Remove the member, move the volumes and add it again.",
                backend.or_else(|| disks[0].1.host.clone()).unwrap_or_default(),
                elsewhere.join(", ")
            );
            group.set_member(id, MemberStatus::Error, Some(reason), now);
        }
        if let Some(trust) = self.renewed_trust(caller, &group).await? {
            along.trusts = vec![(self.local_site(), trust)];
        }
        let group = self.store.update_group(&group, along).await?;
        self.wake.wake();
        Ok((group, id))
    }

    pub async fn remove_member(
        &self,
        caller: &Caller,
        group: GroupId,
        id: MemberId,
        statement: &Statement,
    ) -> Result<()> {
        let trusts = self.renewed_by_the_way(caller, group).await?;
        let mut group = self.modifiable(caller, group, statement).await?;
        let member = group
            .document
            .member(id)
            .cloned()
            .ok_or_else(|| Error::not_found("member", id))?;
        group.document.members.retain(|one| one.id != id);
        let now = self.touch(&mut group);
        group.set_member(id, MemberStatus::Removing, None, now);
        let along = Along {
            saga: Some(saga(
                Work::RemoveMember {
                    group: group.id(),
                    member: member.clone(),
                },
                uuid::Uuid::new_v4(),
            )?),
            trusts,
            ..self.along(
                &group,
                statement,
                format!("member {} removed", member.instance_name),
            )
        };
        self.store.update_group(&group, along).await?;
        self.wake.wake();
        Ok(())
    }

    /// One server is in one group.
    async fn check_unprotected(&self, instance: &ServerId) -> Result<()> {
        let groups = self
            .store
            .groups(&GroupFilter::default(), &Page::default())
            .await?;
        match groups.iter().find(|group| {
            group
                .document
                .members
                .iter()
                .any(|member| member.instance_id == *instance)
        }) {
            Some(group) => Err(Error::conflict(format!(
                "Server {instance} is protected already, by protection group '{}': a server is in one group only. Remove it there first.",
                group.document.name
            ))),
            None => Ok(()),
        }
    }

    /// The server and its volumes: first as the caller, who must be able to see them; then the facts that only
    /// administrators are shown, after the owner was compared.
    async fn disks(
        &self,
        caller: &Caller,
        instance: &ServerId,
    ) -> Result<(Server, Vec<(AttachedVolume, Volume)>)> {
        let as_caller = self.directory.caller(&caller.token, &caller.project_id).await?;
        let as_service = self.directory.service(self.local_site()).await?;
        let missing = || Error::NotFound {
            message: format!("No server with the id '{instance}' exists in this project."),
        };
        let seen = match self.cloud.server(&as_caller, instance).await {
            Err(error) if error.is(Kind::NotFound) => return Err(missing()),
            other => other?,
        };
        if seen.project_id != caller.project_id {
            return Err(missing());
        }
        let attached = self.cloud.attached_volumes(&as_caller, instance).await?;
        let mut disks = Vec::with_capacity(attached.len());
        for attachment in attached {
            self.cloud.volume(&as_caller, &attachment.volume_id).await?;
            let volume = self.cloud.volume(&as_service, &attachment.volume_id).await?;
            if volume
                .project_id
                .as_ref()
                .is_some_and(|owner| *owner != caller.project_id)
            {
                return Err(Error::NotFound {
                    message: format!("No volume with the id '{}' exists in this project.", volume.id),
                });
            }
            disks.push((attachment, volume));
        }
        let server = self.cloud.server(&as_service, instance).await?;
        Ok((server, disks))
    }

    fn check_recoverable(
        &self,
        group: &Group,
        server: &Server,
        disks: &[(AttachedVolume, Volume)],
    ) -> Result<()> {
        let name = &server.name;
        let refuse = |why: String| Err(Error::Invalid(why));
        if !server.boots_from_volume {
            return refuse(format!(
                "Server '{name}' has its root disk on the hypervisor (ephemeral), which the array does not replicate: only servers that boot from a volume can be protected. Make a volume of its disk, boot a new server from that, and add the new one."
            ));
        }
        if disks.is_empty() {
            return refuse(format!(
                "Server '{name}' has no volumes, so there is nothing to replicate."
            ));
        }
        if server.flavor.ephemeral_gb > 0 || server.flavor.swap_mb > 0 {
            return refuse(format!(
                "Server '{name}' has an ephemeral or swap disk by its flavor '{}', which would come back empty: use a flavor without.",
                server.flavor.original_name
            ));
        }
        let wanted = self.type_here(group, self.local_site())?;
        let others: Vec<String> = disks
            .iter()
            .filter(|(_, volume)| volume.volume_type.as_deref() != Some(wanted.as_str()))
            .map(|(_, volume)| {
                format!(
                    "{} ({})",
                    volume.id,
                    volume.volume_type.as_deref().unwrap_or("no type")
                )
            })
            .collect();
        if !others.is_empty() {
            return refuse(format!(
                "volume type mismatch: the protection group protects volumes of type '{wanted}'; of another type: {}. Retype them, detach them, or add the server to a protection group of their type.",
                others.join(", ")
            ));
        }
        for (_, volume) in disks {
            if volume.encrypted {
                return refuse(format!(
                    "Volume {} is encrypted: Cinder can't take it over on the other site. Move its data to a volume of a type without encryption, then add the server.",
                    volume.id
                ));
            }
            if volume.multiattach || volume.attached_to.len() > 1 {
                return refuse(format!(
                    "Volume {} is (or can be) attached to several servers, which is not supported. Retype it to a type without multiattach, then add the server.",
                    volume.id
                ));
            }
            if let Some(other) = &volume.group_id {
                return refuse(format!(
                    "Volume {} is in another Cinder group already ({other}): take it out first.",
                    volume.id
                ));
            }
        }
        Ok(())
    }

    fn type_here(&self, group: &Group, site: SiteId) -> Result<String> {
        group
            .document
            .volume_types
            .get(&site)
            .map(|found| found.name.clone())
            .ok_or_else(|| {
                Error::Internal(format!("group {} has no volume type for site {site}", group.id()).into())
            })
    }
}

/// The volumes as the guest sees them, the root first.
fn in_order(server: &Server, disks: &[(AttachedVolume, Volume)]) -> Vec<MemberVolume> {
    let root = server
        .root_device_name
        .as_deref()
        .and_then(|device| {
            disks
                .iter()
                .position(|(attachment, _)| attachment.device == device)
        })
        .or_else(|| disks.iter().position(|(_, volume)| volume.bootable))
        .unwrap_or(0);
    let order = std::iter::once(root).chain((0..disks.len()).filter(|index| *index != root));
    order
        .map(|index| {
            let (attachment, volume) = &disks[index];
            MemberVolume {
                volume_id: volume.id.clone(),
                array_name: volume
                    .provider_id
                    .clone()
                    .unwrap_or_else(|| format!("volume-{}-cinder", volume.id)),
                device: attachment.device.clone(),
                boot: index == root,
                size_gb: volume.size_gb,
            }
        })
        .collect()
}
