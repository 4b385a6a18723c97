//! The data's way: the last snapshot, the fence, clones, and their import into the target's cloud.
//!
//! A clone is managed by the service user into the service's own project and handed over by a volume transfer:
//! that works with stock policy, and no tenant ever needs the right to take over array volumes.

use std::time::Duration;

use protector_domain::VolumeId;
use protector_ports::array::ArrayPair;
use protector_ports::cloud::{ManageVolume, Volume};
use protector_ports::error::{Absent, Kind};
use protector_saga::StepContext;
use serde_json::{Value, json};

use super::facts::Facts;
use super::names::{Disk, MEMBER_KEY, OPERATION_KEY, clone_name, disks, mark, suffix, volume_description};
use super::preflight::TargetPlan;
use super::{Failover, VolumeRecord, recorded, step};
use crate::failure::{OrFail, StepResult, While, permanent};
use crate::polling::until;

const IMPORT_PATIENCE: Duration = Duration::from_secs(300);

impl Failover {
    /// The arrays, from where the group runs to where it goes.
    pub(super) async fn pair(&self) -> StepResult<ArrayPair> {
        let group = self.world.group(self.order.group).await?;
        self.world
            .directory
            .arrays(&group, self.order.source)
            .await
            .or_fail()
    }

    pub(super) async fn final_snapshot(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let pair = self.pair().await?;
        let (name, suffix) = (&self.order.array_group, suffix(&self.order));
        self.world.array.snapshot(&pair, name, &suffix).await.or_fail()?;
        let what = format!("replicating the last snapshot '{name}.{suffix}'");
        let replica = until(
            context,
            self.world.options.poll,
            self.world.options.replication_patience,
            &what,
            async || {
                let replica = self.world.array.replica(&pair, name, &suffix).await.or_fail()?;
                Ok(replica.filter(protector_ports::array::Replica::is_complete))
            },
        )
        .await?;
        for disk in disks(&self.order) {
            if !replica.volumes.contains(&disk.volume.array_name) {
                return Err(permanent(format!(
                    "Volume manage failed: no replicated snapshot found for volume {} on the array of the target site. Verify replication policy and RPO. (Snapshot '{name}.{suffix}' has no '{}'.)",
                    disk.volume.volume_id, disk.volume.array_name
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

    pub(super) async fn clone_volume(&self, disk: Disk<'_>) -> StepResult<Value> {
        // A clone that Cinder has taken over already has left its first name.
        if self.imported(disk).await?.is_some() {
            return Ok(Value::Null);
        }
        let pair = self.pair().await?;
        let name = clone_name(&self.order, disk);
        self.world
            .array
            .clone_volume(
                &pair,
                &self.order.array_group,
                &suffix(&self.order),
                &disk.volume.array_name,
                &name,
                &mark(&self.order, disk),
            )
            .await
            .or_fail()
            .during(format!("cloning volume {}", disk.volume.volume_id))?;
        Ok(json!({ "name": name }))
    }

    /// Under whatever name the clone has by now: its own, Cinder's, or the one that unmanage left.
    pub(super) async fn destroy_clone(&self, context: &StepContext<'_>, disk: Disk<'_>) -> StepResult<()> {
        let pair = self.pair().await?;
        let ours = mark(&self.order, disk);
        let marked = self
            .world
            .array
            .marked_volumes(&pair.target, &ours.operation)
            .await
            .or_fail()?;
        let mut names: Vec<String> = marked
            .into_iter()
            .filter(|(_, mark)| mark.volume == ours.volume)
            .map(|(volume, _)| volume.name)
            .collect();
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

    /// The volume that an earlier try of the import made, in whichever project it is now.
    async fn imported(&self, disk: Disk<'_>) -> StepResult<Option<Volume>> {
        let description = volume_description(&self.order, disk);
        let service = self.world.directory.service(self.order.target).await.or_fail()?;
        let volumes = self.world.cloud.volumes(&service, true).await.or_fail()?;
        Ok(volumes
            .into_iter()
            .find(|volume| volume.description.as_deref() == Some(description.as_str())))
    }

    pub(super) async fn import(&self, context: &StepContext<'_>, disk: Disk<'_>) -> StepResult<Value> {
        let world = &self.world;
        let plan: TargetPlan = recorded(context.state, step::PREFLIGHT)?;
        let facts: Facts = recorded(context.state, step::INSPECT)?;
        let original = original(&facts, disk)?;
        let service = world.directory.service(self.order.target).await.or_fail()?;
        let what = format!("importing volume {}", disk.volume.volume_id);
        // Only a repeated step can find something; the first one is spared the look.
        let found = if context.attempt > 1 {
            self.imported(disk).await?
        } else {
            None
        };
        let id = match found {
            Some(found) => found.id,
            None => {
                let request = ManageVolume {
                    host: plan.volume_host.clone(),
                    source_name: clone_name(&self.order, disk),
                    name: original.name.clone(),
                    description: volume_description(&self.order, disk),
                    volume_type: plan.volume_type.clone(),
                    availability_zone: None,
                    bootable: disk.volume.boot || original.bootable,
                };
                let refused = |error: protector_ports::PortError| {
                    if error.is(Kind::Forbidden) {
                        return permanent(format!(
                            "Volume manage failed: {} Cinder's policy at site '{}' keeps the service user from it: allow \"volume_extension:volume_manage\" in /etc/cinder/policy.yaml there (or give the user role admin), then start again.",
                            error.message, service.site_name
                        ));
                    }
                    match Err::<(), _>(error).or_fail() {
                        Err(failure) => failure,
                        Ok(()) => permanent("Volume manage failed"),
                    }
                };
                world
                    .cloud
                    .manage_volume(&service, &request)
                    .await
                    .map_err(refused)
                    .during(&what)?
            }
        };
        let volume = self.settled(context, &id, &what).await?;
        let array_name = volume
            .provider_id
            .unwrap_or_else(|| format!("volume-{id}-cinder"));
        serde_json::to_value(VolumeRecord {
            volume_id: id,
            array_name,
        })
        .or_fail()
    }

    /// Waits until Cinder has taken the volume over.
    async fn settled(&self, context: &StepContext<'_>, id: &VolumeId, what: &str) -> StepResult<Volume> {
        until(context, self.world.options.poll, IMPORT_PATIENCE, what, async || {
            let volumes = self.target_volumes().await?;
            let Some(volume) = volumes.iter().find(|volume| volume.id == *id) else { return Ok(None) };
            match volume.status.as_str() {
                "available" | "awaiting-transfer" | "in-use" | "reserved" => Ok(Some(volume.clone())),
                status if status.starts_with("error") => {
                    let service = self.world.directory.service(self.order.target).await.or_fail()?;
                    let reasons = self.world.cloud.volume_messages(&service, id).await.unwrap_or_default();
                    let reason = if reasons.is_empty() { "its cinder-volume log has the reason".to_owned() } else { reasons.join("; ") };
                    Err(permanent(format!("Volume manage failed: Cinder at site '{}' put volume {id} into status {status}: {reason}", service.site_name)))
                }
                _ => Ok(None),
            }
        })
        .await
    }

    /// Out of Cinder again, the clone staying on the array for the step that made it.
    pub(super) async fn release(&self, context: &StepContext<'_>, disk: Disk<'_>) -> StepResult<()> {
        let world = &self.world;
        let service = world.directory.service(self.order.target).await.or_fail()?;
        let what = format!("releasing the copy of volume {}", disk.volume.volume_id);
        until(context, world.options.poll, IMPORT_PATIENCE, &what, async || {
            let Some(volume) = self.imported(disk).await? else {
                return Ok(Some(()));
            };
            match volume.status.as_str() {
                "awaiting-transfer" => self.delete_transfers(&volume.id).await?,
                "available" => world
                    .cloud
                    .unmanage_volume(&service, &volume.id)
                    .await
                    .or_fail()?,
                // A failed manage recorded no array name, so deleting it touches nothing on the array.
                status if status.starts_with("error") => {
                    world.cloud.delete_volume(&service, &volume.id).await.or_fail()?
                }
                _ => {}
            }
            Ok(None)
        })
        .await
    }

    async fn delete_transfers(&self, volume: &VolumeId) -> StepResult<()> {
        let service = self.world.directory.service(self.order.target).await.or_fail()?;
        for transfer in self.world.cloud.pending_transfers(&service).await.or_fail()? {
            if transfer.volume_id == *volume {
                self.world
                    .cloud
                    .delete_transfer(&service, &transfer.id)
                    .await
                    .absent()
                    .or_fail()?;
            }
        }
        Ok(())
    }

    /// The tenant's from now on, with everything that the guest's firmware and the tenant know of it.
    pub(super) async fn hand_over(&self, context: &StepContext<'_>, disk: Disk<'_>) -> StepResult<Value> {
        let world = &self.world;
        let record: VolumeRecord = recorded(context.state, &step::import(disk))?;
        let plan: TargetPlan = recorded(context.state, step::PREFLIGHT)?;
        let facts: Facts = recorded(context.state, step::INSPECT)?;
        let original = original(&facts, disk)?;
        let group = world.group(self.order.group).await?;
        let service = world.directory.service(self.order.target).await.or_fail()?;
        let tenant = world
            .directory
            .tenant(self.order.target, &group)
            .await
            .or_fail()?;
        let now = world.cloud.volume(&service, &record.volume_id).await.or_fail()?;
        if now.project_id.as_ref() != Some(&plan.project) {
            if now.status == "awaiting-transfer" {
                // Its key went with the answer that was lost.
                self.delete_transfers(&record.volume_id).await?;
            }
            let name = format!("dr-{}-{}", self.order.operation.short(), disk.index);
            let transfer = world
                .cloud
                .create_transfer(&service, &record.volume_id, &name)
                .await
                .or_fail()?;
            world
                .cloud
                .accept_transfer(&tenant, &transfer)
                .await
                .or_fail()
                .during(format!("handing over volume {}", record.volume_id))?;
        }
        if disk.volume.boot || original.bootable {
            world
                .cloud
                .set_bootable(&tenant, &record.volume_id, true)
                .await
                .or_fail()?;
        }
        // What names an image of the other cloud would only mislead here.
        let foreign = [
            "image_id",
            "checksum",
            "size",
            "owner_id",
            "os_hash_algo",
            "os_hash_value",
            "stores",
        ];
        let image: std::collections::BTreeMap<String, String> = original
            .image_metadata
            .iter()
            .filter(|(key, _)| !foreign.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !image.is_empty() {
            world
                .cloud
                .set_image_metadata(&tenant, &record.volume_id, &image)
                .await
                .or_fail()?;
        }
        let mut metadata = original.metadata.clone();
        metadata.retain(|key, _| key != "array_name" && key != "array_volume_name");
        metadata.insert(OPERATION_KEY.to_owned(), self.order.operation.to_string());
        metadata.insert(MEMBER_KEY.to_owned(), disk.member.id.to_string());
        world
            .cloud
            .set_volume_metadata(&tenant, &record.volume_id, &metadata)
            .await
            .or_fail()?;
        Ok(Value::Null)
    }

    /// The new volumes into the target's Cinder group, or those that are there out of it.
    pub(super) async fn join_volume_group(
        &self,
        context: &StepContext<'_>,
        wanted: bool,
    ) -> StepResult<Value> {
        let group = self.world.group(self.order.group).await?;
        let volumes: Vec<VolumeId> = disks(&self.order)
            .filter_map(|disk| recorded::<VolumeRecord>(context.state, &step::import(disk)).ok())
            .map(|record| record.volume_id)
            .collect();
        self.world
            .change_volume_group(context, &group, self.order.target, &volumes, wanted)
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
        let bound = async {
            self.world.array.ensure_group(&pair, &spec, &volumes).await?;
            self.world
                .array
                .add_volumes(&pair.source, &spec.name, &volumes)
                .await
        };
        match bound.await {
            Ok(()) => Ok(json!({ "reverse_replication": "active" })),
            Err(error) if context.attempt < 5 => Err(error).or_fail(),
            Err(error) => Ok(json!({ "reverse_replication": format!("not set up yet: {}", error.message) })),
        }
    }
}

fn original<'a>(facts: &'a Facts, disk: Disk<'_>) -> StepResult<&'a Volume> {
    facts
        .members
        .get(&disk.member.id)
        .and_then(|member| {
            member
                .volumes
                .iter()
                .find(|volume| volume.id == disk.volume.volume_id)
        })
        .ok_or_else(|| permanent("the inspection missed a volume"))
}
