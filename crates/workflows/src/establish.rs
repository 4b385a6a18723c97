//! A new group's Cinder groups. Each site's engine makes its own cloud's and waits for the other's, which it
//! finds by its name; with both the group is active.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use protector_domain::{ConsistencyGroupStatus, GroupId, GroupStatus, VolumeGroupId};
use protector_ports::AccessError;
use protector_saga::{Dag, DagError, SagaOutcome, State, StepContext, StepFailure, Steps};
use serde_json::Value;

use crate::failure::{OrFail, StepResult, permanent};
use crate::plan::{Shape, compensatable};
use crate::polling::until;
use crate::volume_groups::is_going;
use crate::world::World;

const OWN: &str = "volume-group";
const PEERS: &str = "peer-volume-group";

/// The other site's engine makes its group when the bundle has reached it; the client may come back for that. One try of
/// five, so half an hour in all.
const PATIENCE: Duration = Duration::from_secs(360);

pub(crate) struct Establish {
    world: Arc<World>,
    group: GroupId,
    dag: Dag,
}

impl Establish {
    /// What is done after what.
    pub(crate) fn plan() -> Result<Dag, DagError> {
        Dag::new(vec![
            compensatable(OWN, &[], "create"),
            compensatable(PEERS, &[OWN], "create").within(PATIENCE + Duration::from_secs(60)),
        ])
    }

    pub(crate) fn new(world: Arc<World>, group: GroupId) -> Result<Self, DagError> {
        let dag = Self::plan()?;
        Ok(Self { world, group, dag })
    }

    async fn make_own(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let world = &self.world;
        let group = world.group(self.group).await?;
        let here = world.directory.local();
        let access = world.directory.tenant(here, &group).await.or_fail()?;
        let found = world.find_volume_group(&access, false, self.group).await?;
        // One that goes was an earlier try's, which was taken back.
        let id = match found.filter(|found| !is_going(found)) {
            Some(found) => found.id,
            None => world.make_volume_group(&access, &group, here).await?,
        };
        until(context, world.ticks, Duration::from_secs(240), "creating the Cinder group", async || {
            let now = world.cloud.volume_group(&access, &id).await.or_fail()?;
            match now.status.as_str() {
                "available" => Ok(Some(())),
                "error" => Err(permanent(format!(
                    "Cinder at site '{}' could not create the group {id} (status error): see its cinder-volume log", access.site_name
                ))),
                _ => Ok(None),
            }
        })
        .await?;
        Ok(serde_json::json!({ "id": id }))
    }

    async fn find_peers(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let world = &self.world;
        let group = world.group(self.group).await?;
        let here = world.directory.local();
        let peer = group.document.peer_of(here).id;
        let access = match world.directory.service(peer).await {
            // The site that doesn't run the group can do without until it has to act over there.
            Err(AccessError::NoCredentials { .. }) if group.document.current_primary_site_id != here => {
                return Ok(serde_json::json!({ "id": null }));
            }
            other => other.or_fail()?,
        };
        let what = format!("waiting for the Cinder group of site '{}'", access.site_name);
        let id = until(context, world.ticks, PATIENCE, &what, async || {
            let found = world.find_volume_group(&access, true, self.group).await?;
            Ok(found
                .filter(|found| found.status == "available")
                .map(|found| found.id))
        })
        .await?;
        Ok(serde_json::json!({ "id": id }))
    }
}

#[async_trait]
impl Steps for Establish {
    fn dag(&self) -> &Dag {
        &self.dag
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        match context.step {
            OWN => self.make_own(&context).await,
            _ => self.find_peers(&context).await,
        }
    }

    async fn undo(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        if context.step != OWN {
            return Ok(());
        }
        let group = self.world.group(self.group).await?;
        let access = self
            .world
            .directory
            .tenant(self.world.directory.local(), &group)
            .await
            .or_fail()?;
        match self.world.find_volume_group(&access, false, self.group).await? {
            Some(found) => self
                .world
                .cloud
                .delete_volume_group(&access, &found.id)
                .await
                .or_fail(),
            None => Ok(()),
        }
    }

    async fn progressed(&self, _state: &State) {}

    async fn settle(&self, state: &State, outcome: SagaOutcome) -> Result<(), StepFailure> {
        let here = self.world.directory.local();
        let id = |step: &str| -> Option<VolumeGroupId> {
            let id = state.output(step)?.get("id")?;
            VolumeGroupId::new(id.as_str()?).ok()
        };
        let (own, peers) = (id(OWN), id(PEERS));
        let reason = state.first_error().map(|(_, message)| message.to_owned());
        self.world
            .change_group(self.group, state.claim(), |group| {
                if outcome == SagaOutcome::Completed {
                    let peer = group.document.peer_of(here).id;
                    for (site, id) in [(here, &own), (peer, &peers)] {
                        if let Some(id) = id {
                            group.consistency_group.volume_groups.insert(site, id.clone());
                        }
                    }
                    group.consistency_group.status = ConsistencyGroupStatus::Active;
                    let resting = group.resting_status();
                    if group.status == GroupStatus::Creating {
                        group.status = resting;
                        group.status_reason = None;
                    }
                } else {
                    group.consistency_group.status = ConsistencyGroupStatus::Error;
                    group.set_status(GroupStatus::Error, reason.clone()).or_fail()?;
                }
                Ok(None)
            })
            .await
            .map(|_| ())
    }
}
