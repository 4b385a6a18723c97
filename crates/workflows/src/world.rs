//! Everything outside, in one hand.

use std::sync::Arc;

use protector_domain::{Group, GroupId, SyncEntry};
use protector_ports::store::Along;
use protector_ports::{Array, Clock, Cloud, Directory, Store, StoreError};
use protector_saga::Claim;

use crate::Options;
use crate::failure::{OrFail, StepResult, permanent, retryable};
use crate::polling::Ticks;

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cloud: Arc<dyn Cloud>,
    pub(crate) array: Arc<dyn Array>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Directory,
    pub(crate) options: Options,
    pub(crate) ticks: Ticks,
}

impl World {
    pub(crate) async fn group(&self, id: GroupId) -> StepResult<Group> {
        self.store
            .group(id)
            .await
            .or_fail()?
            .ok_or_else(|| permanent(format!("protection group {id} is not here any more")))
    }

    /// Changes the group under the engine's claim. `change` may be called again on a fresh copy, and answers
    /// a line for the sync history where it changed the document.
    pub(crate) async fn change_group(
        &self,
        id: GroupId,
        claim: Option<&Claim>,
        change: impl Fn(&mut Group) -> StepResult<Option<String>>,
    ) -> StepResult<Group> {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            let mut group = self.group(id).await?;
            let before = group.clone();
            let message = change(&mut group)?;
            if group == before {
                return Ok(group);
            }
            let now = self.clock.now();
            group.updated_at = now;
            let entry = message.map(|message| SyncEntry {
                group_id: id,
                at: now,
                event: "committed".to_owned(),
                stamp: Some(group.document.stamp),
                message,
            });
            match self
                .store
                .update_group(
                    &group,
                    Along {
                        entry,
                        claim,
                        ..Along::default()
                    },
                )
                .await
            {
                Err(StoreError::Stale(_)) => continue,
                other => return other.or_fail(),
            }
        }
        Err(retryable("the protection group is being changed by many at once"))
    }
}
