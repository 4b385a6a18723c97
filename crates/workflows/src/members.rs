//! A member's volumes, into the groups and out of them. The server itself is never touched.

use std::sync::Arc;

use async_trait::async_trait;
use protector_domain::{GroupId, Member, MemberStatus, PolicyStatus, VolumeId};
use protector_saga::{Dag, DagError, SagaOutcome, State, StepContext, StepFailure, Steps};
use serde_json::Value;

use crate::failure::{OrFail, StepResult};
use crate::plan::{compensatable, retriable};
use crate::world::World;

const VOLUME_GROUP: &str = "volume-group";
const ARRAY_GROUP: &str = "array-group";

/// What both directions share.
struct Disks {
    world: Arc<World>,
    group: GroupId,
    member: Member,
}

impl Disks {
    async fn in_volume_group(&self, context: &StepContext<'_>, wanted: bool) -> StepResult<()> {
        let group = self.world.group(self.group).await?;
        let volumes: Vec<VolumeId> = self
            .member
            .volumes
            .iter()
            .map(|volume| volume.volume_id.clone())
            .collect();
        self.world
            .change_volume_group(context, &group, self.world.directory.local(), &volumes, wanted)
            .await
    }

    async fn in_array_group(&self, wanted: bool) -> StepResult<()> {
        let group = self.world.group(self.group).await?;
        let Some(policy) = &group.document.policy else {
            return Ok(());
        };
        if group.policy_status != Some(PolicyStatus::Active) {
            return Ok(());
        }
        let pair = self
            .world
            .directory
            .arrays(&group, self.world.directory.local())
            .await
            .or_fail()?;
        let volumes: Vec<String> = self
            .member
            .volumes
            .iter()
            .map(|volume| volume.array_name.clone())
            .collect();
        if wanted {
            self.world
                .array
                .add_volumes(&pair.source, &policy.pure_pg_name, &volumes)
                .await
                .or_fail()
        } else {
            self.world
                .array
                .remove_volumes(&pair.source, &policy.pure_pg_name, &volumes)
                .await
                .or_fail()
        }
    }

    async fn step(&self, context: &StepContext<'_>, wanted: bool) -> StepResult<()> {
        match context.step {
            VOLUME_GROUP => self.in_volume_group(context, wanted).await,
            _ => self.in_array_group(wanted).await,
        }
    }
}

pub(crate) struct AddMember {
    disks: Disks,
    dag: Dag,
}

impl AddMember {
    /// What is done after what.
    pub(crate) fn plan() -> Result<Dag, DagError> {
        Dag::new(vec![
            compensatable(VOLUME_GROUP, &[], "protect"),
            compensatable(ARRAY_GROUP, &[VOLUME_GROUP], "protect"),
        ])
    }

    pub(crate) fn new(world: Arc<World>, group: GroupId, member: Member) -> Result<Self, DagError> {
        let dag = Self::plan()?;
        Ok(Self {
            disks: Disks { world, group, member },
            dag,
        })
    }
}

#[async_trait]
impl Steps for AddMember {
    fn dag(&self) -> &Dag {
        &self.dag
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        self.disks.step(&context, true).await.map(|()| Value::Null)
    }

    async fn undo(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        self.disks.step(&context, false).await
    }

    async fn progressed(&self, _state: &State) {}

    async fn settle(&self, state: &State, outcome: SagaOutcome) -> Result<(), StepFailure> {
        let (status, reason) = if outcome == SagaOutcome::Completed {
            (MemberStatus::Protected, None)
        } else {
            (
                MemberStatus::Error,
                state.first_error().map(|(_, message)| message.to_owned()),
            )
        };
        let world = &self.disks.world;
        let now = world.clock.now();
        world
            .change_group(self.disks.group, state.claim(), |group| {
                if group.document.member(self.disks.member.id).is_some() {
                    group.set_member(self.disks.member.id, status, reason.clone(), now);
                }
                Ok(None)
            })
            .await
            .map(|_| ())
    }
}

pub(crate) struct RemoveMember {
    disks: Disks,
    dag: Dag,
}

impl RemoveMember {
    /// What is done after what.
    pub(crate) fn plan() -> Result<Dag, DagError> {
        Dag::new(vec![
            retriable(ARRAY_GROUP, &[], "release"),
            retriable(VOLUME_GROUP, &[ARRAY_GROUP], "release"),
        ])
    }

    pub(crate) fn new(world: Arc<World>, group: GroupId, member: Member) -> Result<Self, DagError> {
        let dag = Self::plan()?;
        Ok(Self {
            disks: Disks { world, group, member },
            dag,
        })
    }
}

#[async_trait]
impl Steps for RemoveMember {
    fn dag(&self) -> &Dag {
        &self.dag
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        self.disks.step(&context, false).await.map(|()| Value::Null)
    }

    async fn undo(&self, _context: StepContext<'_>) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn progressed(&self, _state: &State) {}

    async fn settle(&self, state: &State, _outcome: SagaOutcome) -> Result<(), StepFailure> {
        self.disks
            .world
            .change_group(self.disks.group, state.claim(), |group| {
                group.member_states.remove(&self.disks.member.id);
                if group.document.members.is_empty() {
                    group.consistency_group.backend_name = None;
                }
                Ok(None)
            })
            .await
            .map(|_| ())
    }
}
