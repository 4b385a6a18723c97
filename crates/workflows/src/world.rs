//! Everything outside, in one hand.

use std::sync::Arc;

use protector_domain::{Group, GroupId, Member, MemberStatus, SiteId, SyncEntry};
use protector_ports::array::{ArrayPair, GroupSpec};
use protector_ports::store::Along;
use protector_ports::{Array, Clock, Cloud, Directory, PortResult, Store, StoreError};
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

    /// Has the array group hold exactly these volumes and send them. What a failover left at this site before was in it
    /// then, and is replaced.
    pub(crate) async fn replicate(
        &self,
        pair: &ArrayPair,
        spec: &GroupSpec,
        volumes: &[String],
        replaced: &[String],
    ) -> PortResult<()> {
        if !replaced.is_empty() {
            self.array
                .remove_volumes(&pair.source, &spec.name, replaced)
                .await?;
        }
        self.array.ensure_group(pair, spec, volumes).await?;
        self.array.add_volumes(&pair.source, &spec.name, volumes).await
    }

    /// From this site, which the group was brought to, to the one that it ran on before.
    pub(crate) async fn replicate_back(
        &self,
        group: &Group,
        here: SiteId,
        replaced: &[String],
    ) -> StepResult<()> {
        let Some(policy) = group.document.policy.as_ref() else {
            return Ok(());
        };
        let pair = self.directory.arrays(group, here).await.or_fail()?;
        let spec = GroupSpec {
            name: policy.pure_pg_name.clone(),
            interval_seconds: policy.interval_seconds(),
        };
        // Who was given up has no volumes here.
        let members = group.document.members.iter();
        let is_here = |member: &&Member| group.member_status(member.id) != MemberStatus::Error;
        let volumes: Vec<String> = members
            .filter(is_here)
            .flat_map(|member| &member.volumes)
            .map(|volume| volume.array_name.clone())
            .collect();
        self.replicate(&pair, &spec, &volumes, replaced).await.or_fail()
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
            drop(before);
            let now = self.clock.now();
            group.updated_at = now;
            let entry = message.map(|message| SyncEntry {
                group_id: id,
                at: now,
                event: "committed".to_owned(),
                stamp: Some(group.document.stamp),
                message,
                lost: None,
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
