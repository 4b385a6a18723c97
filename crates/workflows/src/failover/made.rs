//! What the operation has made at the target, by its marks: listed once for all steps that look at the same moment.
//!
//! A step that takes something back must not trust a list from before it began: what an earlier try made may be in
//! none of these yet.

use protector_domain::PortId;
use protector_ports::array::{ArrayVolume, Mark};
use protector_ports::cloud::{Port, Server, Volume};
use tokio::time::Instant;

use super::names::{Disk, MEMBER_KEY, OPERATION_KEY, mark, member_mark, operation_mark, volume_description};
use super::stand_in::Hand;
use super::{Failover, Member};
use crate::failure::{OrFail, StepResult};
use crate::polling::Shared;

#[derive(Default)]
pub(super) struct Made {
    volumes: Shared<Volume>,
    servers: Shared<Server>,
    ports: Shared<Port>,
    clones: Shared<(ArrayVolume, Mark)>,
}

impl Failover {
    /// The volumes that tries of the import made of a disk, in whichever project they are now.
    pub(super) async fn all_imported(&self, disk: Disk<'_>) -> StepResult<Vec<Volume>> {
        let ours = operation_mark(&self.order);
        let ask = async || {
            let service = self.service(self.order.target).await?;
            let mut volumes = self.world.cloud.volumes(&service, true).await.or_fail()?;
            volumes.retain(|volume| {
                volume
                    .description
                    .as_deref()
                    .is_some_and(|text| text.starts_with(&ours))
            });
            StepResult::Ok(volumes)
        };
        let all = self.made.volumes.asked_after(Instant::now(), ask).await?;
        let description = volume_description(&self.order, disk);
        let of_disk = |volume: &&Volume| volume.description.as_deref() == Some(description.as_str());
        Ok(all.iter().filter(of_disk).cloned().collect())
    }

    /// The server that this operation made for a member.
    pub(super) async fn twin_by(&self, hand: &Hand, member: &Member) -> StepResult<Option<Server>> {
        let operation = self.order.maker().to_string();
        let ask = async || {
            let mut servers = self.servers_by(hand).await?;
            servers.retain(|server| server.metadata.get(OPERATION_KEY) == Some(&operation));
            StepResult::Ok(servers)
        };
        let all = self.made.servers.asked_after(Instant::now(), ask).await?;
        let id = member.id.to_string();
        let is_its = |server: &&Server| server.metadata.get(MEMBER_KEY) == Some(&id);
        Ok(all.iter().find(is_its).cloned())
    }

    /// The ports that this operation made for a member.
    pub(super) async fn ports_made(&self, member: &Member) -> StepResult<Vec<PortId>> {
        let ours = operation_mark(&self.order);
        let ask = async || {
            let service = self.service(self.order.target).await?;
            let mut ports = self.world.cloud.ports(&service, None).await.or_fail()?;
            ports.retain(|port| port.description.starts_with(&ours));
            StepResult::Ok(ports)
        };
        let all = self.made.ports.asked_after(Instant::now(), ask).await?;
        let its = member_mark(&self.order, member);
        let of_member = all.iter().filter(|port| port.description.starts_with(&its));
        Ok(of_member.map(|port| port.id.clone()).collect())
    }

    /// The names that the clones of a disk have on the array by now.
    pub(super) async fn clones_made(&self, disk: Disk<'_>) -> StepResult<Vec<String>> {
        let ours = mark(&self.order, disk);
        let ask = async || {
            let pair = self.pair().await?;
            let marked = self.world.array.marked_volumes(&pair.target, &ours.operation);
            marked.await.or_fail()
        };
        let all = self.made.clones.asked_after(Instant::now(), ask).await?;
        let of_disk = all.iter().filter(|(_, mark)| mark.volume == ours.volume);
        Ok(of_disk.map(|(volume, _)| volume.name.clone()).collect())
    }
}
