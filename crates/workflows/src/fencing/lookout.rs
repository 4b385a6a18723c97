//! A site looks whether the other one took a group over while it was away: nobody may come to tell it.
//!
//! There are two signs. The own array is refused by the other one, and the other cloud has servers of the group that were
//! made in a later epoch. One of them alone may be anything, and stops nobody's production; both together are a takeover.

use std::sync::Arc;

use async_trait::async_trait;
use protector_domain::{Group, GroupId, GroupStatus, SiteId, SyncEntry};
use protector_ports::StoreError;
use protector_ports::store::Along;
use tokio_util::sync::CancellationToken;

use super::fence;
use crate::Workflows;
use crate::failover::{EPOCH_KEY, GROUP_KEY};
use crate::failure::{OrFail, StepResult};
use crate::rounds::{Round, go_round, read};
use crate::world::World;

pub struct Lookout {
    world: Arc<World>,
}

/// What a look at a group has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signs {
    /// The other array accepts nothing from ours.
    refused: bool,
    /// The epoch of the servers that the other cloud has of the group, if it is later than ours.
    epoch: Option<u64>,
}

impl Lookout {
    pub fn of(workflows: &Workflows) -> Self {
        Self {
            world: workflows.world.clone(),
        }
    }

    /// A look at the start, and then one every three tries of the fences.
    pub async fn run(self, stop: CancellationToken) {
        let (world, pause) = (self.world.clone(), self.world.options.fencing_interval * 3);
        go_round(world, self, pause, stop).await;
    }

    async fn look(&self, group: &Group, here: SiteId) -> StepResult<()> {
        let peer = &group.document.peer_of(here).name;
        let signs = Signs {
            refused: self.is_refused(group, here).await.unwrap_or_else(unknown),
            epoch: self.later_epoch(group, here).await.unwrap_or_else(unknown),
        };
        match signs {
            Signs {
                refused: true,
                epoch: Some(epoch),
            } => self.stand_back(group, here, epoch).await,
            Signs {
                refused: false,
                epoch: None,
            } => Ok(()),
            Signs {
                refused: true,
                epoch: None,
            } => {
                tracing::warn!(
                    group = group.document.name,
                    "the array of site '{peer}' accepts nothing of this group any more: it isn't replicated. If that site has taken the group over, it will be stopped here as soon as that is certain"
                );
                Ok(())
            }
            Signs {
                refused: false,
                epoch: Some(epoch),
            } => {
                tracing::warn!(
                    group = group.document.name,
                    epoch,
                    "site '{peer}' has servers of this group from a later epoch, and its array still accepts ours: they are left alone, and so are the servers here"
                );
                Ok(())
            }
        }
    }

    async fn is_refused(&self, group: &Group, here: SiteId) -> StepResult<bool> {
        let Some(policy) = group.document.policy.as_ref() else {
            return Ok(false);
        };
        let pair = self.world.directory.arrays(group, here).await.or_fail()?;
        let view = self
            .world
            .array
            .group(&pair, &policy.pure_pg_name)
            .await
            .or_fail()?;
        Ok(view.is_some_and(|view| !view.allowed))
    }

    async fn later_epoch(&self, group: &Group, here: SiteId) -> StepResult<Option<u64>> {
        let peer = group.document.peer_of(here).id;
        let Some(project) = group.project(peer) else {
            return Ok(None);
        };
        let service = self.world.directory.service(peer).await.or_fail()?;
        let servers = self.world.cloud.servers_of(&service, project).await.or_fail()?;
        let id = group.id().to_string();
        let ours = servers
            .iter()
            .filter(|server| server.metadata.get(GROUP_KEY) == Some(&id));
        let epochs = ours.filter_map(|server| server.metadata.get(EPOCH_KEY)?.parse::<u64>().ok());
        Ok(epochs.max().filter(|epoch| *epoch > group.document.stamp.epoch))
    }

    /// The group isn't this site's any more. Written first, and only onto the very group that was looked at: one that
    /// has begun an operation since is left to it.
    async fn stand_back(&self, group: &Group, here: SiteId, epoch: u64) -> StepResult<()> {
        let world = &self.world;
        let now = world.clock.now();
        let peer = &group.document.peer_of(here).name;
        let reason = format!(
            "Site '{peer}' has taken this protection group over (epoch {epoch}) while this site was away: its servers here are stopped and locked. `openstack protector protection-group sync-force {}` brings the news from there.",
            group.document.name
        );
        let mut known = group.clone();
        known
            .set_status(GroupStatus::Error, Some(reason.clone()))
            .or_fail()?;
        known.updated_at = now;
        let entry = SyncEntry {
            group_id: group.id(),
            at: now,
            event: "fenced".to_owned(),
            stamp: Some(group.document.stamp),
            message: reason,
            lost: None,
        };
        let along = Along {
            entry: Some(entry),
            ..Along::default()
        };
        match world.store.update_group(&known, along).await {
            Err(StoreError::Stale(_)) => return Ok(()),
            written => written.or_fail()?,
        };
        let members = group.document.members.iter();
        let servers = members.map(|member| member.instance_id.clone()).collect();
        let fence = fence(group, here, epoch, servers, world);
        tracing::warn!(
            group = group.document.name,
            site = peer,
            epoch,
            "the group was taken over while this site was away: its servers here are stopped and locked"
        );
        world.store.begin_fence(&fence).await.or_fail()
    }
}

/// Who doesn't answer gives no sign.
fn unknown<T: Default>(failure: protector_saga::StepFailure) -> T {
    tracing::debug!(
        reason = failure.message,
        "a sign of a takeover can't be looked for now"
    );
    T::default()
}

#[async_trait]
impl Round for Lookout {
    async fn round(&mut self, groups: Vec<GroupId>) {
        let here = self.world.directory.local();
        let runs_here = |group: &Group| {
            group.document.current_primary_site_id == here
                && matches!(
                    group.status,
                    GroupStatus::Active | GroupStatus::FailedOver | GroupStatus::FailedOverPartial
                )
                && !group.document.members.is_empty()
        };
        for id in groups {
            let Some(group) = read(&self.world, id).await.filter(runs_here) else {
                continue;
            };
            if let Err(failure) = self.look(&group, here).await {
                tracing::warn!(
                    group = group.document.name,
                    reason = failure.message,
                    "whether the group was taken over can't be acted upon yet"
                );
            }
        }
    }
}
