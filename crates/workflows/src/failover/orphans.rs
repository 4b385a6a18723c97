//! What an ended failover has made and nobody uses, told from what it has made for good by its journal.

use std::collections::HashSet;

use protector_domain::{PortId, ServerId, TransferId, VolumeId};
use protector_ports::error::{Absent, Kind};
use protector_saga::{SagaOutcome, State, StepFailure};

use super::left_behind::{IN_DOUBT, Remnant};
use super::names::{disks, step};
use super::{Failover, Manner, ServerRecord, VolumeRecord, recorded};
use crate::failure::{OrFail, StepResult, permanent};

/// What the journal says was made for good.
#[derive(Default)]
struct Adopted {
    servers: HashSet<String>,
    ports: HashSet<String>,
    volumes: HashSet<String>,
    /// By the names that Cinder gave them.
    array_volumes: Vec<String>,
}

impl Adopted {
    fn holds(&self, remnant: &Remnant) -> bool {
        match remnant.kind {
            "server" => self.servers.contains(&remnant.id),
            "port" => self.ports.contains(&remnant.id),
            "volume" => self.volumes.contains(&remnant.id),
            // Whoever unmanages a volume of his own gives it another ending.
            "array_volume" => {
                let mut names = self.array_volumes.iter();
                names.any(|name| remnant.name.starts_with(name.as_str()))
            }
            "keypair" | "snapshot" => true,
            _ => false,
        }
    }
}

fn unreadable(error: impl std::fmt::Display) -> StepFailure {
    permanent(error.to_string())
}

impl Failover {
    /// Everything that bears the operation's marks, and that it didn't make for good.
    pub(crate) async fn orphans(&self, state: &State) -> StepResult<Vec<Remnant>> {
        let site = self.world.directory.site(self.order.target).await.or_fail()?;
        if state.is_superseded() {
            return Ok(Vec::new());
        }
        let adopted = match state.ended() {
            None => return Err(permanent("the operation is still at work")),
            Some(SagaOutcome::Completed) => self.made_for_good(state)?,
            Some(_) => Adopted::default(),
        };
        let mut found = self.remnants(state, &site.name).await?;
        found.retain(|remnant| !adopted.holds(remnant));
        Ok(found)
    }

    fn made_for_good(&self, state: &State) -> StepResult<Adopted> {
        let mut adopted = Adopted::default();
        for member in &self.order.members {
            if self.is_missing(state, member)? {
                continue;
            }
            let server: ServerRecord = recorded(state, &step::boot(member))?;
            let ports: Vec<PortId> = recorded(state, &step::ports(member))?;
            adopted.servers.insert(server.server_id.to_string());
            adopted.ports.extend(ports.iter().map(PortId::to_string));
            for disk in self.disks_of(member) {
                let volume: VolumeRecord = recorded(state, &step::import(disk))?;
                adopted.volumes.insert(volume.volume_id.to_string());
                adopted.array_volumes.push(volume.array_name);
            }
        }
        Ok(adopted)
    }

    /// Asks for one orphan's end, as far as it can be asked for now: what others hold goes when they are gone.
    pub(crate) async fn ask_away(&self, orphan: &Remnant) -> StepResult<()> {
        let (cloud, service) = (&self.world.cloud, self.service(self.order.target).await?);
        match orphan.kind {
            "server" => {
                let hand = self.hand(self.order.target).await?;
                let server = ServerId::new(&orphan.id).map_err(unreadable)?;
                cloud
                    .delete_server(&hand.access, &server)
                    .await
                    .absent()
                    .or_fail()?;
            }
            "transfer" => {
                let transfer = TransferId::new(&orphan.id).map_err(unreadable)?;
                cloud
                    .delete_transfer(&service, &transfer)
                    .await
                    .absent()
                    .or_fail()?;
            }
            "port" => {
                let port = PortId::new(&orphan.id).map_err(unreadable)?;
                cloud.delete_port(&service, &port).await.absent().or_fail()?;
            }
            "volume" => {
                let volume = VolumeId::new(&orphan.id).map_err(unreadable)?;
                self.ask_volume_away(&volume).await?;
            }
            "array_volume" if orphan.status == "present" => {
                let pair = self.pair().await?;
                let destroyed = self.world.array.destroy_volume(&pair.target, &orphan.name);
                destroyed.await.or_fail()?;
            }
            "snapshot" => self.remove_snapshot().await?,
            "keypair" if orphan.status != IN_DOUBT => {
                let tenant = self.tenant(self.order.target).await?;
                let deleted = cloud.delete_keypair(&tenant, &orphan.id, None);
                deleted.await.absent().or_fail()?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn ask_volume_away(&self, id: &VolumeId) -> StepResult<()> {
        let (cloud, service) = (&self.world.cloud, self.service(self.order.target).await?);
        let Some(volume) = cloud.volume(&service, id).await.absent().or_fail()? else {
            return Ok(());
        };
        if let Some(group) = &volume.group_id {
            let tenant = self.tenant(self.order.target).await?;
            let left = cloud.update_volume_group(&tenant, group, &[], std::slice::from_ref(id));
            return left.await.absent().or_fail().map(drop);
        }
        match (volume.status.as_str(), &volume.provider_id) {
            ("available", _) | ("error", Some(_)) => cloud.unmanage_volume(&service, id).await.absent(),
            ("error", None) => cloud.delete_volume(&service, id).await.absent(),
            _ => return Ok(()),
        }
        .or_fail()
        .map(drop)
    }

    /// The last snapshot of an operation that didn't move the group, where it has reached the target.
    pub(super) async fn snapshot_left(&self) -> StepResult<Option<String>> {
        if self.manner == Manner::Unplanned || disks(&self.order).next().is_none() {
            return Ok(None);
        }
        let pair = self.pair().await?;
        let (group, suffix) = (&self.order.array_group, super::names::suffix(&self.order));
        match self.world.array.replica(&pair, group, &suffix).await {
            Ok(replica) => Ok(replica.map(|_| format!("{group}.{suffix}"))),
            // Destroyed, and waiting to be eradicated.
            Err(error) if error.is(Kind::NotFound) => Ok(None),
            Err(error) => Err(error).or_fail(),
        }
    }
}
