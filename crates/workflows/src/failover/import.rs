//! The clones' way into the target's Cinder, to the tenant, and out again.
//!
//! By default the service user manages a clone into the service's own project and hands it over by a volume
//! transfer: that works with stock policy, and no tenant ever needs the right to take over array volumes. With
//! [`ImportAs::Tenant`] the tenant's trust manages it, which needs Cinder's policy opened. Only the call that
//! manages asks for the mode. Whether there is something to hand over is told by the volume's project, and
//! what is taken back is taken back by the service user, so an operation goes on under another mode than it
//! began with.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protector_domain::{VolumeGroupId, VolumeId};
use protector_ports::PortError;
use protector_ports::cloud::{Access, ManageVolume, Volume};
use protector_ports::error::{Absent, Kind};
use protector_saga::{State, StepContext, StepFailure};
use serde_json::Value;

use super::facts::facts_of;
use super::names::{Disk, MEMBER_KEY, OPERATION_KEY, clone_name, transfer_prefix, volume_description};
use super::{Failover, VolumeRecord, recorded, step};
use crate::ImportAs;
use crate::failure::{OrFail, StepResult, failed, permanent};
use crate::polling::until;

const PATIENCE: Duration = Duration::from_secs(300);

impl Failover {
    /// The volume that an earlier try of the import made, in whichever project it is now.
    pub(super) async fn imported(&self, disk: Disk<'_>) -> StepResult<Option<Volume>> {
        // Where an engine came too late, there may be a second row without a volume behind it.
        let all = self.all_imported(disk).await?;
        Ok(all
            .into_iter()
            .min_by_key(|volume| volume.status.starts_with("error")))
    }

    pub(super) async fn import(&self, context: &StepContext<'_>, disk: Disk<'_>) -> StepResult<Value> {
        let world = &self.world;
        let service = self.service(self.order.target).await?;
        let what = format!("importing volume {}", disk.volume.volume_id);
        let found = if self.may_find(context) {
            self.imported(disk).await?
        } else {
            None
        };
        let id = match found {
            Some(found) => found.id,
            None => {
                let plan = self.target_plan(context.state)?;
                let original = original(context.state, disk)?;
                let request = ManageVolume {
                    host: plan.volume_host.clone(),
                    source_name: clone_name(&self.order, disk),
                    name: original.name.clone(),
                    description: volume_description(&self.order, disk),
                    volume_type: plan.volume_type.clone(),
                    availability_zone: None,
                    bootable: disk.volume.boot || original.bootable,
                };
                let mode = world.options.import_as;
                let importer = match mode {
                    ImportAs::Service => service,
                    ImportAs::Tenant => self.tenant(self.order.target).await?,
                };
                self.still_ours(context).await?;
                world
                    .cloud
                    .manage_volume(&importer, &request)
                    .await
                    .map_err(|error| refused(error, mode, &importer))?
            }
        };
        let volume = self.settled(context, &id, &what).await?;
        let array_name = volume
            .provider_id
            .unwrap_or_else(|| format!("volume-{id}-cinder"));
        serde_json::to_value(VolumeRecord {
            volume_id: id,
            array_name,
            project_id: volume.project_id,
            bootable: volume.bootable,
        })
        .or_fail()
    }

    /// Waits until Cinder has taken the volume over.
    async fn settled(&self, context: &StepContext<'_>, id: &VolumeId, what: &str) -> StepResult<Volume> {
        until(context, self.world.ticks, PATIENCE, what, async || {
            let volumes = self.passing_volumes().await?;
            let listed = volumes.iter().find(|volume| volume.id == *id);
            let volume = match listed {
                Some(volume) => Cow::Borrowed(volume),
                // An earlier try may have handed it over already, or the list may be older than the volume.
                None if self.may_find(context) => {
                    let service = self.service(self.order.target).await?;
                    Cow::Owned(self.world.cloud.volume(&service, id).await.or_fail()?)
                }
                None => return Ok(None),
            };
            match volume.status.as_str() {
                "available" | "awaiting-transfer" | "in-use" | "reserved" => Ok(Some(volume.into_owned())),
                status if status.starts_with("error") => {
                    let service = self.service(self.order.target).await?;
                    let reasons = self
                        .world
                        .cloud
                        .volume_messages(&service, id)
                        .await
                        .unwrap_or_default();
                    let reason = if reasons.is_empty() {
                        "its cinder-volume log has the reason".to_owned()
                    } else {
                        reasons.join("; ")
                    };
                    Err(permanent(format!(
                        "Cinder at site '{}' put volume {id} into status {status}: {reason}",
                        service.site_name
                    )))
                }
                _ => Ok(None),
            }
        })
        .await
    }

    /// Out of Cinder again, the clone staying on the array for the step that made it.
    ///
    /// A volume whose import failed has no name on the array as far as Cinder knows, so deleting it touches
    /// nothing there. Drivers stumble on it all the same, and then the row can't be removed by any call: it is
    /// left (and told when the operation ends), as everything else has to go on being taken back.
    pub(super) async fn release(&self, context: &StepContext<'_>, disk: Disk<'_>) -> StepResult<()> {
        let world = &self.world;
        let service = self.service(self.order.target).await?;
        let what = format!("releasing the copy of volume {}", disk.volume.volume_id);
        let deletion_asked = Mutex::new(BTreeSet::new());
        let ask_deletion = |volume: &VolumeId| {
            let mut asked = deletion_asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.insert(volume.clone())
        };
        until(context, world.ticks, PATIENCE, &what, async || {
            let mut left = self.all_imported(disk).await?;
            left.retain(|volume| volume.status != "error_deleting" || volume.provider_id.is_some());
            let Some(volume) = left.into_iter().next() else {
                return Ok(Some(()));
            };
            if volume.status == "available"
                && let Some(group) = &volume.group_id
            {
                self.take_out_of(group, &volume.id).await?;
                return Ok(None);
            }
            match (volume.status.as_str(), &volume.provider_id) {
                ("awaiting-transfer", _) => self.delete_transfers(&volume.id).await?,
                ("available", _) | ("error", Some(_)) => world
                    .cloud
                    .unmanage_volume(&service, &volume.id)
                    .await
                    .or_fail()?,
                ("error", None) if ask_deletion(&volume.id) => {
                    world.cloud.delete_volume(&service, &volume.id).await.or_fail()?;
                }
                (status, Some(name)) if status.starts_with("error_") => {
                    return Err(permanent(format!(
                        "{what} failed: Cinder at site '{}' put volume {} ('{name}' on the array) into status {status}. Look into its cinder-volume log, set the status right (`openstack volume set --state available {}`) and retry the operation.",
                        service.site_name, volume.id, volume.id
                    )));
                }
                _ => {}
            }
            Ok(None)
        })
        .await
    }

    /// Cinder lets go of no volume that is in a group: its user may have put it into one, or the step that did so
    /// could not be taken back. Cinder takes one change of a group at a time.
    async fn take_out_of(&self, group: &VolumeGroupId, volume: &VolumeId) -> StepResult<()> {
        let cloud = &self.world.cloud;
        let tenant = self.tenant(self.order.target).await?;
        let now = cloud.volume_group(&tenant, group).await.absent().or_fail()?;
        if now.is_none_or(|now| now.status != "available") {
            return Ok(());
        }
        let volume = std::slice::from_ref(volume);
        match cloud.update_volume_group(&tenant, group, &[], volume).await {
            Err(error) if error.is(Kind::Conflict) => Ok(()),
            other => other.or_fail(),
        }
    }

    pub(super) async fn delete_transfers(&self, volume: &VolumeId) -> StepResult<()> {
        let service = self.service(self.order.target).await?;
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
        if self.adopted(context.state, disk.member).is_some() {
            return Ok(Value::Null);
        }
        let plan = self.target_plan(context.state)?;
        let original = original(context.state, disk)?;
        let service = self.service(self.order.target).await?;
        let tenant = self.tenant(self.order.target).await?;
        // What the tenant imported, or what an earlier try handed over, is the tenant's already.
        let mut owner = record.project_id;
        if self.may_find(context) || owner.is_none() {
            let now = world.cloud.volume(&service, &record.volume_id).await.or_fail()?;
            if now.status == "awaiting-transfer" {
                // Its key went with the answer that was lost.
                self.delete_transfers(&record.volume_id).await?;
            }
            owner = now.project_id;
        }
        if owner.as_ref() != Some(&plan.project) {
            let name = format!("{}{}", transfer_prefix(&self.order), disk.index);
            let transfer = world
                .cloud
                .create_transfer(&service, &record.volume_id, &name)
                .await
                .or_fail()?;
            world.cloud.accept_transfer(&tenant, &transfer).await.or_fail()?;
        }
        if (disk.volume.boot || original.bootable) && !record.bootable {
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
        metadata.insert(OPERATION_KEY.to_owned(), self.order.maker().to_string());
        metadata.insert(MEMBER_KEY.to_owned(), disk.member.id.to_string());
        world
            .cloud
            .set_volume_metadata(&tenant, &record.volume_id, &metadata)
            .await
            .or_fail()?;
        Ok(Value::Null)
    }
}

/// What Cinder's refusal means for the operator: the usual one is its policy, and that can be changed.
fn refused(error: PortError, mode: ImportAs, importer: &Access) -> StepFailure {
    if !error.is(Kind::Forbidden) {
        return failed(error);
    }
    let site = &importer.site_name;
    let (told, remedy) = (&error.message, "then start again");
    permanent(match mode {
        ImportAs::Service => format!(
            "{told} Cinder's policy at site '{site}' keeps the service user from it: allow \"volume_extension:volume_manage\" in /etc/cinder/policy.yaml there (or give the user role admin), {remedy}."
        ),
        ImportAs::Tenant => format!(
            "{told} Cinder's policy at site '{site}' keeps the tenant from it, and [cinder] import_as = tenant imports as the tenant: either open the rule to members, by \"volume_extension:volume_manage\": \"rule:admin_or_owner\" in /etc/cinder/policy.yaml there, or set import_as = service in section [cinder] of the protector.conf of the site whose engine runs this operation and restart protector-engine; {remedy}."
        ),
    })
}

fn original(state: &State, disk: Disk<'_>) -> StepResult<Volume> {
    let mut volumes = facts_of(state, disk.member)?.volumes.into_iter();
    volumes
        .find(|volume| volume.id == disk.volume.volume_id)
        .ok_or_else(|| permanent("the inspection missed a volume"))
}
