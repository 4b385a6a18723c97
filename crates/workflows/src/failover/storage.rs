//! The data's way over the arrays: the last snapshot, the fence, the clones, and replication the other way.

use std::collections::HashSet;

use protector_domain::VolumeId;
use protector_ports::array::{ArrayAccess, ArrayPair};
use protector_ports::error::Kind;
use protector_saga::StepContext;
use serde_json::{Value, json};

use super::names::{Disk, clone_name, disks, mark, suffix};
use super::trouble::no_snapshot;
use super::unplanned::Choice;
use super::{Failover, Manner, VolumeRecord, recorded, step};
use crate::failure::{OrFail, StepResult, failed, full, permanent};
use crate::polling::until;

impl Failover {
    pub(super) async fn look_up_pair(&self) -> StepResult<ArrayPair> {
        let group = self.group().await?;
        let (directory, source) = (&self.world.directory, self.order.source);
        if self.manner == Manner::Planned {
            return directory.arrays(&group, source).await.or_fail();
        }
        let target = directory.array(&group, self.order.target).await.or_fail()?;
        let sender = self.sender(&target).await?;
        directory
            .array_without_source(&group, source, sender)
            .await
            .or_fail()
    }

    /// The lost array's name.
    pub(super) async fn sender(&self, target: &ArrayAccess) -> StepResult<String> {
        let ask = || self.world.array.sender(target, &self.order.array_group);
        self.sender.get_or_try_init(ask).await.cloned().or_fail()
    }

    /// The end of the name of the snapshot that the clones are made of.
    fn replica_suffix(&self, context: &StepContext<'_>) -> StepResult<String> {
        Ok(match self.manner {
            Manner::Planned => suffix(&self.order),
            Manner::Unplanned => recorded::<Choice>(context.state, step::CHOICE)?.suffix,
        })
    }

    pub(super) async fn final_snapshot(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let pair = self.pair().await?;
        let (name, suffix) = (&self.order.array_group, suffix(&self.order));
        self.world.array.snapshot(&pair, name, &suffix).await.or_fail()?;
        let what = format!("replicating the last snapshot '{name}.{suffix}'");
        let replica = until(
            context,
            self.world.ticks,
            self.world.options.replication_patience,
            &what,
            async || {
                let replica = self.world.array.replica(&pair, name, &suffix).await.or_fail()?;
                Ok(replica.filter(protector_ports::array::Replica::is_complete))
            },
        )
        .await?;
        let held: HashSet<&String> = replica.volumes.iter().collect();
        for disk in disks(&self.order) {
            if !held.contains(&disk.volume.array_name) {
                return Err(permanent(format!(
                    "{} (Snapshot '{name}.{suffix}' has no '{}'.)",
                    no_snapshot(&disk.volume.volume_id, &self.target_array().await),
                    disk.volume.array_name
                )));
            }
        }
        Ok(json!({ "snapshot": format!("{name}.{suffix}"), "created": replica.created }))
    }

    pub(super) async fn remove_snapshot(&self) -> StepResult<()> {
        let pair = self.pair().await?;
        self.world
            .array
            .remove_snapshot(&pair, &self.order.array_group, &suffix(&self.order))
            .await
            .or_fail()
    }

    /// From here on the old site's array sends nothing more.
    pub(super) async fn fence(&self) -> StepResult<Value> {
        let pair = self.pair().await?;
        let source = self.world.array.identity(&pair.source).await.or_fail()?;
        self.world
            .array
            .set_schedule(&pair.source, &self.order.array_group, false)
            .await
            .or_fail()?;
        self.world
            .array
            .set_allowed(&pair.target, &source.name, &self.order.array_group, false)
            .await
            .or_fail()?;
        Ok(Value::Null)
    }

    pub(super) async fn unfence(&self) -> StepResult<()> {
        let pair = self.pair().await?;
        let source = self.world.array.identity(&pair.source).await.or_fail()?;
        self.world
            .array
            .set_allowed(&pair.target, &source.name, &self.order.array_group, true)
            .await
            .or_fail()?;
        self.world
            .array
            .set_schedule(&pair.source, &self.order.array_group, true)
            .await
            .or_fail()
    }

    pub(super) async fn clone_volume(&self, context: &StepContext<'_>, disk: Disk<'_>) -> StepResult<Value> {
        let pair = self.pair().await?;
        let (array, group) = (&self.world.array, &self.order.array_group);
        let (suffix, volume) = (self.replica_suffix(context)?, &disk.volume.array_name);
        let (name, mark) = (clone_name(&self.order, disk), mark(&self.order, disk));
        self.still_ours(context).await?;
        let made = if self.may_find(context) {
            // A clone that Cinder has taken over already has left its first name.
            if self.imported(disk).await?.is_some() {
                return Ok(Value::Null);
            }
            let found = array.clone_volume(&pair, group, &suffix, volume, &name, &mark);
            found.await.map(drop)
        } else {
            array
                .clone_new_volume(&pair, group, &suffix, volume, &name, &mark)
                .await
        };
        made.map_err(|error| match error.is(Kind::NotFound) {
                true => permanent(format!(
                    "{} The snapshot was destroyed while it was needed, and volumes of different snapshots are never mixed: started again, the operation takes another snapshot.",
                    full(&error.message)
                )),
                false => failed(error),
            })?;
        Ok(json!({ "name": name }))
    }

    /// Under whatever name the clone has by now: its own, Cinder's, or the one that unmanage left.
    pub(super) async fn destroy_clone(&self, context: &StepContext<'_>, disk: Disk<'_>) -> StepResult<()> {
        let pair = self.pair().await?;
        let mut names = self.clones_made(disk).await?;
        names.push(clone_name(&self.order, disk));
        if let Ok(record) = recorded::<VolumeRecord>(context.state, &step::import(disk)) {
            names.push(format!("{}-unmanaged", record.array_name));
        }
        names.sort();
        names.dedup();
        for name in names {
            self.world
                .array
                .destroy_volume(&pair.target, &name)
                .await
                .or_fail()?;
        }
        Ok(())
    }

    /// The new volumes into the target's Cinder group, or those that are there out of it.
    pub(super) async fn join_volume_group(
        &self,
        context: &StepContext<'_>,
        wanted: bool,
    ) -> StepResult<Value> {
        let group = self.group().await?;
        // Whoever was given up on the way may still be the service's, and Cinder would refuse all for his sake.
        // What was found stays where it is.
        let passed_over = |member| match wanted {
            true => self.given_up(context.state, member).is_some(),
            false => self.adopted(context.state, member).is_some(),
        };
        let members = self.order.members.iter().filter(|member| !passed_over(*member));
        let volumes: Vec<VolumeId> = members
            .flat_map(|member| self.disks_of(member))
            .filter_map(|disk| recorded::<VolumeRecord>(context.state, &step::import(disk)).ok())
            .map(|record| record.volume_id)
            .collect();
        let target = self.order.target;
        if wanted {
            let left = self.order.members.iter().filter_map(|member| self.left(member));
            let left: Vec<VolumeId> = left
                .flat_map(|left| &left.volumes)
                .map(|volume| volume.volume_id.clone())
                .collect();
            if !left.is_empty() {
                self.world
                    .change_volume_group(context, &group, target, &left, false)
                    .await?;
            }
        }
        self.world
            .change_volume_group(context, &group, target, &volumes, wanted)
            .await?;
        Ok(Value::Null)
    }

    /// Replication back to the site that was left. Where the arrays don't answer this is made up for later:
    /// the servers run, and their protection must not hold up saying so.
    pub(super) async fn reverse_replication(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let pair = self.pair().await?.reversed();
        let volumes: Vec<String> = disks(&self.order)
            .map(|disk| {
                recorded::<VolumeRecord>(context.state, &step::import(disk)).map(|record| record.array_name)
            })
            .collect::<StepResult<_>>()?;
        let spec = protector_ports::array::GroupSpec {
            name: self.order.array_group.clone(),
            interval_seconds: self.order.replication_interval_seconds,
        };
        match self
            .world
            .replicate(&pair, &spec, &volumes, &self.replaced())
            .await
        {
            Ok(()) => Ok(json!({ "reverse_replication": "active" })),
            Err(error) if context.attempt < 5 => Err(error).or_fail(),
            Err(error) => Ok(json!({ "reverse_replication": format!("not set up yet: {}", error.message) })),
        }
    }

    /// What an earlier failover left at the target, as its array calls it.
    pub(super) fn replaced(&self) -> Vec<String> {
        let left = self.order.members.iter().filter_map(|member| self.left(member));
        left.flat_map(|left| &left.volumes)
            .map(|volume| volume.array_name.clone())
            .collect()
    }
}
