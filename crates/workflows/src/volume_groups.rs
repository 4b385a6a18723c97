//! The Cinder groups that users see: bookkeeping, one on each site, found by a name made of the group's id.

use std::collections::HashSet;
use std::time::Duration;

use protector_domain::{Group, GroupId, SiteId, VolumeGroupId, VolumeId};
use protector_ports::cloud::{Access, VolumeGroup};
use protector_ports::error::Absent;
use protector_saga::StepContext;

use crate::failure::{OrFail, StepResult, While, permanent, retryable};
use crate::polling::until;
use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(240);
/// So many volumes go into one request: Cinder takes no body of more than 114,688 bytes.
const AT_ONCE: usize = 1_000;

pub(crate) fn name_of(group: GroupId) -> String {
    format!("protector-{group}")
}

/// Whether it is on its way out, or gone.
pub(crate) fn is_going(group: &VolumeGroup) -> bool {
    matches!(group.status.as_str(), "deleting" | "deleted")
}

impl World {
    /// The group's Cinder group on a site, by its name. One that is on its way out only where there is no other.
    pub(crate) async fn find_volume_group(
        &self,
        access: &Access,
        all_projects: bool,
        group: GroupId,
    ) -> StepResult<Option<VolumeGroup>> {
        let name = name_of(group);
        let groups = self.cloud.volume_groups(access, all_projects).await.or_fail()?;
        Ok(groups
            .into_iter()
            .filter(|candidate| candidate.name == name && candidate.status != "deleted")
            .min_by_key(is_going))
    }

    /// Has Cinder make the group on a site; it takes a moment until it is there.
    pub(crate) async fn make_volume_group(
        &self,
        access: &Access,
        group: &Group,
        site: SiteId,
    ) -> StepResult<VolumeGroupId> {
        let volume_type = group.document.volume_types.get(&site);
        let volume_type = volume_type.ok_or_else(|| {
            permanent(format!(
                "the group has no volume type for site '{}'",
                access.site_name
            ))
        })?;
        let description = format!("Volumes of protection group {}", group.document.name);
        let (name, group_type) = (name_of(group.id()), &self.options.group_type);
        let made = self
            .cloud
            .create_volume_group(access, &name, &description, group_type, &volume_type.id);
        made.await.or_fail().during("creating the Cinder group")
    }

    /// The group's Cinder group on a site: the one that is known, or another one of its name.
    async fn volume_group_at(
        &self,
        access: &Access,
        group: &Group,
        site: SiteId,
    ) -> StepResult<Option<VolumeGroupId>> {
        if let Some(id) = group.consistency_group.volume_groups.get(&site) {
            let known = self.cloud.volume_group(access, id).await.absent().or_fail()?;
            if known.is_some_and(|known| !is_going(&known)) {
                return Ok(Some(id.clone()));
            }
        }
        let found = self.find_volume_group(access, false, group.id()).await?;
        Ok(found.filter(|found| !is_going(found)).map(|found| found.id))
    }

    /// Somebody has deleted it by hand. It is bookkeeping that the service can do over, and no server is held up for it.
    async fn make_again(
        &self,
        context: &StepContext<'_>,
        access: &Access,
        group: &Group,
        site: SiteId,
    ) -> StepResult<VolumeGroupId> {
        tracing::warn!(
            group = %group.id(), site = access.site_name,
            "the Cinder group is gone and is made again"
        );
        let id = self.make_volume_group(access, group, site).await?;
        self.change_group(group.id(), context.state.claim(), |group| {
            group.consistency_group.volume_groups.insert(site, id.clone());
            Ok(None)
        })
        .await?;
        Ok(id)
    }

    /// Brings the volumes in (or out). Cinder takes one change at a time, so this waits for its turn.
    pub(crate) async fn change_volume_group(
        &self,
        context: &StepContext<'_>,
        group: &Group,
        site: SiteId,
        volumes: &[VolumeId],
        wanted: bool,
    ) -> StepResult<()> {
        let access = self.directory.tenant(site, group).await.or_fail()?;
        let id = match self.volume_group_at(&access, group, site).await? {
            Some(id) => id,
            // Nothing is in a group that isn't there.
            None if !wanted => return Ok(()),
            None => self.make_again(context, &access, group, site).await?,
        };
        let doing = if wanted {
            "adding volumes to"
        } else {
            "removing volumes from"
        };
        let what = format!("{doing} the Cinder group {id} at site '{}'", access.site_name);
        until(context, self.ticks, PATIENCE, &what, async || {
            let Some(now) = self.cloud.volume_group(&access, &id).await.absent().or_fail()? else {
                return if wanted {
                    Err(retryable(format!(
                        "the Cinder group {id} is gone from site '{}'",
                        access.site_name
                    )))
                } else {
                    Ok(Some(()))
                };
            };
            let there: HashSet<&VolumeId> = now.volumes.iter().collect();
            let rest: Vec<VolumeId> = volumes
                .iter()
                .filter(|volume| there.contains(volume) != wanted)
                .take(AT_ONCE)
                .cloned()
                .collect();
            match now.status.as_str() {
                "available" if rest.is_empty() => Ok(Some(())),
                "available" => {
                    let (add, remove) = if wanted {
                        (rest.as_slice(), [].as_slice())
                    } else {
                        ([].as_slice(), rest.as_slice())
                    };
                    self.cloud
                        .update_volume_group(&access, &id, add, remove)
                        .await
                        .or_fail()?;
                    Ok(None)
                }
                "error" => Err(permanent(format!(
                    "{what} failed: Cinder put the group into status error; its log has the reason"
                ))),
                _ => Ok(None),
            }
        })
        .await
    }
}
