//! What an engine made after it had lost the operation to another one.
//!
//! Its late calls meet fences (a volume's name is unique on the array, a managed one has left its first name, ports and
//! boot volumes serve one server), but a clone can be made once more when the first one has left its name, and Cinder
//! keeps a row of a volume that it could not take over. When the new owner is done with the step, everything that
//! bears the operation's marks and isn't in his journal is nobody's.

use std::time::Duration;

use protector_domain::Member;
use protector_ports::error::Absent;
use protector_saga::state::StepPhase;
use protector_saga::{SagaOutcome, StepContext};

use super::names::{Disk, MEMBER_KEY, OPERATION_KEY, clone_name};
use super::{Failover, ServerRecord, VolumeRecord, recorded, split, step};
use crate::failure::{OrFail, StepResult, chain, retryable};
use crate::polling::until;

const PATIENCE: Duration = Duration::from_secs(60);

impl Failover {
    /// Whether this engine still has the operation, asked right before what could not be swept up: nothing removes a
    /// row of Cinder's that never had a volume.
    pub(super) async fn still_ours(&self, context: &StepContext<'_>) -> StepResult<()> {
        let Some(claim) = context.state.claim() else {
            return Ok(());
        };
        let held = self.world.store.check(claim).await;
        held.map_err(|error| retryable(chain(&error)))
    }

    pub(super) async fn sweep_late(&self, context: &StepContext<'_>) -> StepResult<()> {
        let (kind, which) = split(context.step);
        let state = context.state;
        let undone = state.ended() == Some(SagaOutcome::RolledBack)
            || state
                .step(context.step)
                .is_some_and(|step| step.phase == StepPhase::Undone);
        match kind {
            step::SNAPSHOT if undone => self.remove_snapshot().await,
            "clone-volume" if undone => self.destroy_clone(context, self.disk(which)?).await,
            "clone-volume" => self.sweep_clone(context, self.disk(which)?).await,
            "import-volume" if undone => self.release(context, self.disk(which)?).await,
            "import-volume" => self.sweep_import(context, self.disk(which)?).await,
            "hand-over-volume" if !undone => self.sweep_transfer(context, self.disk(which)?).await,
            "create-ports" if undone => self.delete_ports(self.member(which)?).await,
            "boot-server" if undone => self.delete_server(context, self.member(which)?).await,
            "boot-server" => self.sweep_servers(context, self.member(which)?).await,
            // These change what is there already, and to what the new owner made of it too. Keypairs bear no mark of an
            // operation: by now one may serve another.
            _ => Ok(()),
        }
    }

    /// The adopted one bears Cinder's name by now.
    async fn sweep_clone(&self, context: &StepContext<'_>, disk: Disk<'_>) -> StepResult<()> {
        if context.state.output(&step::import(disk)).is_none() {
            return Ok(());
        }
        let pair = self.pair().await?;
        let name = clone_name(&self.order, disk);
        self.world
            .array
            .destroy_volume(&pair.target, &name)
            .await
            .or_fail()
    }

    /// Rows without a volume behind them: there was nothing left to take over.
    async fn sweep_import(&self, context: &StepContext<'_>, disk: Disk<'_>) -> StepResult<()> {
        let adopted: VolumeRecord = recorded(context.state, &step::import(disk))?;
        let service = self.service(self.order.target).await?;
        let what = format!("sweeping up after the import of volume {}", disk.volume.volume_id);
        until(context, self.world.ticks, PATIENCE, &what, async || {
            let mut rows = self.all_imported(disk).await?;
            rows.retain(|row| row.id != adopted.volume_id && row.provider_id.is_none());
            // No call removes what Cinder could not delete.
            rows.retain(|row| row.status != "error_deleting");
            for row in rows.iter().filter(|row| row.status == "error") {
                let deleted = self.world.cloud.delete_volume(&service, &row.id).await;
                deleted.absent().or_fail()?;
            }
            Ok(rows.is_empty().then_some(()))
        })
        .await
    }

    async fn sweep_transfer(&self, context: &StepContext<'_>, disk: Disk<'_>) -> StepResult<()> {
        let adopted: VolumeRecord = recorded(context.state, &step::import(disk))?;
        self.delete_transfers(&adopted.volume_id).await
    }

    async fn sweep_servers(&self, context: &StepContext<'_>, member: &Member) -> StepResult<()> {
        let adopted: ServerRecord = recorded(context.state, &step::boot(member))?;
        let tenant = self.tenant(self.order.target).await?;
        for server in self.world.cloud.servers(&tenant, false).await.or_fail()? {
            let ours = server.metadata.get(OPERATION_KEY) == Some(&self.order.maker().to_string())
                && server.metadata.get(MEMBER_KEY) == Some(&member.id.to_string());
            if ours && server.id != adopted.server_id {
                self.world
                    .cloud
                    .delete_server(&tenant, &server.id)
                    .await
                    .absent()
                    .or_fail()?;
            }
        }
        Ok(())
    }
}
