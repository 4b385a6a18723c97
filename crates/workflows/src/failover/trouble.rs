//! What is said when the data's way over fails: which volume it is about, and on which array to look.

use std::time::Duration;

use protector_domain::VolumeId;
use protector_saga::StepContext;

use super::Failover;
use super::names::Disk;
use crate::failure::{OrFail, StepResult};

/// What every such message begins with.
const BEGINNING: &str = "Volume manage failed: ";
/// The array may be what failed: its name isn't worth a longer wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// No snapshot of a volume has come over to the array that the servers are to run on.
pub(super) fn no_snapshot(volume: &VolumeId, array: &str) -> String {
    format!(
        "{BEGINNING}no replicated snapshot found for volume {volume} on FlashArray {array}. Verify replication policy and RPO."
    )
}

impl Failover {
    /// The target's array by the name that it gives itself, or by its address where it doesn't answer.
    pub(super) async fn target_array(&self) -> String {
        let asked = async {
            let group = self.world.group(self.order.group).await?;
            let array = self
                .world
                .directory
                .array(&group, self.order.target)
                .await
                .or_fail()?;
            let answer = tokio::time::timeout(PATIENCE, self.world.array.identity(&array)).await;
            Ok(match answer {
                Ok(Ok(identity)) => identity.name,
                _ => array.url,
            })
        };
        let named: StepResult<String> = asked.await;
        named.unwrap_or_else(|_| "of the target site".to_owned())
    }

    /// Says of a failed step of one volume which volume it is, and on which array its copy is.
    pub(super) async fn about<T>(
        &self,
        context: &StepContext<'_>,
        disk: Disk<'_>,
        doing: &str,
        step: impl Future<Output = StepResult<T>>,
    ) -> StepResult<T> {
        match step.await {
            Err(mut failure) if !context.stop.is_cancelled() => {
                let cause = failure
                    .message
                    .strip_prefix(BEGINNING)
                    .unwrap_or(&failure.message);
                failure.message = format!(
                    "{BEGINNING}{doing} volume {} on FlashArray {} failed: {cause}",
                    disk.volume.volume_id,
                    self.target_array().await
                );
                Err(failure)
            }
            other => other,
        }
    }
}
