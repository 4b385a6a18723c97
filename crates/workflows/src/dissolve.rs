//! Takes a group away: its replication, its Cinder group on this site, its trust. The servers stay as they are.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use protector_domain::{GroupId, GroupStatus, VolumeId};
use protector_ports::cloud::Actor;
use protector_ports::error::Absent;
use protector_ports::store::Along;
use protector_ports::{AccessError, Class, StoreError};
use protector_saga::{Dag, DagError, SagaOutcome, State, StepContext, StepFailure, Steps};
use serde_json::Value;

use crate::failure::{OrFail, StepResult, permanent};
use crate::plan::retriable;
use crate::polling::until;
use crate::world::World;

const REPLICATION: &str = "array-group";
const VOLUME_GROUP: &str = "volume-group";
const TRUST: &str = "trust";

pub(crate) struct Dissolve {
    world: Arc<World>,
    group: GroupId,
    dag: Dag,
}

impl Dissolve {
    /// What is done after what.
    pub(crate) fn plan() -> Result<Dag, DagError> {
        Dag::new(vec![
            retriable(REPLICATION, &[], "delete"),
            retriable(VOLUME_GROUP, &[REPLICATION], "delete"),
            retriable(TRUST, &[VOLUME_GROUP], "delete"),
        ])
    }

    pub(crate) fn new(world: Arc<World>, group: GroupId) -> Result<Self, DagError> {
        let dag = Self::plan()?;
        Ok(Self { world, group, dag })
    }

    /// Only where the group runs: the array group is that site's.
    async fn end_replication(&self) -> StepResult<()> {
        let group = self.world.group(self.group).await?;
        let here = self.world.directory.local();
        let Some(policy) = &group.document.policy else {
            return Ok(());
        };
        if group.document.current_primary_site_id != here {
            return Ok(());
        }
        let pair = match self.world.directory.arrays(&group, here).await {
            // A policy that never was applied has nothing on the arrays.
            Err(AccessError::NoArrayToken { .. }) => return Ok(()),
            // Whoever deletes the secret and then the group must not be left with a group that can't be deleted.
            Err(error) if is_lost(&error) => {
                tracing::warn!(
                    group = %self.group, array_group = policy.pure_pg_name, %error,
                    "the arrays' group stays as it is: the token to remove it can't be had any more"
                );
                return Ok(());
            }
            other => other.or_fail()?,
        };
        let name = &policy.pure_pg_name;
        if self.world.array.group(&pair, name).await.or_fail()?.is_none() {
            return Ok(());
        }
        let volumes: Vec<String> = group
            .document
            .members
            .iter()
            .flat_map(|member| member.volumes.iter().map(|volume| volume.array_name.clone()))
            .collect();
        if !volumes.is_empty() {
            self.world
                .array
                .remove_volumes(&pair.source, name, &volumes)
                .await
                .or_fail()?;
        }
        self.world
            .array
            .remove_group(&pair, name, group.array_group_made)
            .await
            .or_fail()
    }

    async fn delete_volume_group(&self, context: &StepContext<'_>) -> StepResult<()> {
        let world = &self.world;
        let group = world.group(self.group).await?;
        let access = match world.directory.tenant(world.directory.local(), &group).await {
            Err(AccessError::NoTrust { .. }) => {
                world.directory.service(world.directory.local()).await.or_fail()?
            }
            other => other.or_fail()?,
        };
        let all_projects = matches!(access.actor, Actor::Service(_));
        until(context, world.ticks, Duration::from_secs(240), "deleting the Cinder group", async || {
            let Some(found) = world.find_volume_group(&access, all_projects, self.group).await? else { return Ok(Some(())) };
            let Some(now) = world.cloud.volume_group(&access, &found.id).await.absent().or_fail()? else { return Ok(Some(())) };
            match now.status.as_str() {
                "available" | "error" if now.volumes.is_empty() => world.cloud.delete_volume_group(&access, &now.id).await.or_fail()?,
                "available" => {
                    let none: [VolumeId; 0] = [];
                    world.cloud.update_volume_group(&access, &now.id, &none, &now.volumes).await.or_fail()?;
                }
                "error" => return Err(permanent(format!("the Cinder group {} is in status error and holds volumes: reset its status, then retry", now.id))),
                _ => {}
            }
            Ok(None)
        })
        .await
    }

    async fn give_trust_back(&self) -> StepResult<()> {
        let world = &self.world;
        let here = world.directory.local();
        let Some(trust) = world.store.group_trust(self.group, here).await.or_fail()? else {
            return Ok(());
        };
        let access = world.directory.service(here).await.or_fail()?;
        world
            .cloud
            .delete_trust(&access, &trust)
            .await
            .absent()
            .or_fail()
            .map(|_| ())
    }
}

/// Whether the token of an array is in a secret that will not be readable again.
fn is_lost(error: &AccessError) -> bool {
    match error {
        AccessError::TokenSecret { failure, .. } => failure.class == Class::Permanent,
        AccessError::NoTrust { .. } => true,
        _ => false,
    }
}

#[async_trait]
impl Steps for Dissolve {
    fn dag(&self) -> &Dag {
        &self.dag
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        match context.step {
            REPLICATION => self.end_replication().await?,
            VOLUME_GROUP => self.delete_volume_group(&context).await?,
            _ => self.give_trust_back().await?,
        }
        Ok(Value::Null)
    }

    async fn undo(&self, _context: StepContext<'_>) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn progressed(&self, state: &State) {
        let Some(reason) = state.waiting_for_operator() else {
            return;
        };
        let shown = self.world.change_group(self.group, state.claim(), |group| {
            group
                .set_status(GroupStatus::Error, Some(format!("deleting failed: {reason}")))
                .or_fail()?;
            Ok(None)
        });
        if let Err(failure) = shown.await {
            tracing::warn!(
                reason = failure.message,
                "the group's status could not be written"
            );
        }
    }

    async fn settle(&self, state: &State, outcome: SagaOutcome) -> Result<(), StepFailure> {
        if outcome != SagaOutcome::Completed {
            return Ok(());
        }
        match self
            .world
            .store
            .delete_group(
                self.group,
                Along {
                    claim: state.claim(),
                    ..Along::default()
                },
            )
            .await
        {
            Err(StoreError::Missing(_)) => Ok(()),
            other => other.or_fail(),
        }
    }
}
