//! Works on fences until they are closed, however long the site behind one is away, and then has the group replicated
//! back there.

use std::sync::Arc;

use async_trait::async_trait;
use protector_domain::{Fence, Group, GroupId, SiteId, protocol};
use tokio_util::sync::CancellationToken;

use super::{hold_array, hold_servers};
use crate::Workflows;
use crate::failover;
use crate::failure::{OrFail, StepResult};
use crate::rounds::{Round, go_round};
use crate::world::World;

pub struct Fencer {
    world: Arc<World>,
}

impl Fencer {
    pub fn of(workflows: &Workflows) -> Self {
        Self {
            world: workflows.world.clone(),
        }
    }

    /// Tries come a while after the start, as they come a while after each other: others may be at it.
    pub async fn run(self, stop: CancellationToken) {
        let (world, pause) = (self.world.clone(), self.world.options.fencing_interval);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        go_round(world, self, pause, stop).await;
    }

    /// One try of all that is left, written into the fence as far as it comes.
    async fn work_on(&self, fence: &mut Fence, group: Option<&Group>) -> StepResult<()> {
        let world = &self.world;
        if !fence.is_closed() {
            let reason = format!(
                "protection group {} was taken over by the other site",
                fence.group_id
            );
            if !hold_servers(world, fence, &reason).await? {
                return Ok(());
            }
            if let Some(group) = group {
                hold_array(world, group, fence).await?;
            }
            fence.fenced_at = Some(world.clock.now());
            tracing::info!(group = %fence.group_id, site = %fence.site_id, epoch = fence.epoch, "the site is fenced: none of the group's servers runs there");
        }
        let here = world.directory.local();
        if let Some(group) = group.filter(|group| is_ours_to_replicate(group, fence, here)) {
            if group.status.is_in_transit() {
                return Ok(());
            }
            world.replicate_back(group, here, &fence.replaced).await?;
        }
        if let Some(group) = group
            && !self.release_adopted(group, fence).await?
        {
            return Ok(());
        }
        // Else the other site does that, or the group has moved on.
        fence.replicated_back_at = Some(world.clock.now());
        Ok(())
    }

    /// The lost site's engine may go on with an operation that was carried on here, for as long as that site hasn't heard of
    /// the takeover: till then the flag stays up.
    async fn release_adopted(&self, group: &Group, fence: &Fence) -> StepResult<bool> {
        let world = &self.world;
        let here = world.directory.local();
        let Some(operation) = protocol::carried_on(&group.document, fence.epoch) else {
            return Ok(true);
        };
        if fence.site_id == here {
            return Ok(true);
        }
        let is_told = group.sync.peer.is_some_and(|told| told.epoch >= fence.epoch);
        // The same failover again makes what was missing under the same marks.
        if !is_told || group.status.is_in_transit() {
            return Ok(false);
        }
        let array = world.directory.array(group, here).await.or_fail()?;
        failover::release(world, &array, operation).await?;
        Ok(true)
    }

    async fn note(&self, before: &Fence, after: &Fence) {
        if before == after {
            return;
        }
        if let Err(error) = self.world.store.note_fence(after).await {
            tracing::warn!(%error, "how far a fence has come can't be written");
        }
    }
}

/// Whether the group still is where this takeover brought it, and that is here.
fn is_ours_to_replicate(group: &Group, fence: &Fence, here: SiteId) -> bool {
    let document = &group.document;
    document.stamp.epoch == fence.epoch && document.current_primary_site_id == here && fence.site_id != here
}

#[async_trait]
impl Round for Fencer {
    async fn round(&mut self, _groups: Vec<GroupId>) {
        let open = match self.world.store.open_fences().await.or_fail() {
            Ok(open) => open,
            Err(failure) => {
                tracing::debug!(reason = failure.message, "the fences can't be read now");
                return;
            }
        };
        for fence in open {
            let group = match self.world.store.group(fence.group_id).await.or_fail() {
                Ok(group) => group,
                Err(failure) => {
                    tracing::debug!(group = %fence.group_id, reason = failure.message, "a fenced group can't be read now");
                    continue;
                }
            };
            let mut after = Fence {
                trouble: None,
                ..fence.clone()
            };
            if let Err(failure) = self.work_on(&mut after, group.as_ref()).await {
                if fence.trouble.as_ref() != Some(&failure.message) {
                    tracing::warn!(group = %fence.group_id, site = %fence.site_id, reason = failure.message, "a site that lost its group isn't dealt with yet; it is tried again");
                }
                after.trouble = Some(failure.message);
            }
            self.note(&fence, &after).await;
        }
    }
}
