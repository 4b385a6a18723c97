//! Binds a group to its array group: replication from where it runs to the other site.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use protector_domain::{Group, GroupId, PolicyStatus};
use protector_ports::array::{Adopted, ArrayPair, GroupSpec};
use protector_saga::{Dag, DagError, SagaOutcome, State, StepContext, StepFailure, Steps};
use serde_json::Value;

use crate::failure::{OrFail, StepResult, permanent};
use crate::plan::{Shape, compensatable};
use crate::world::World;

/// Whether the group is there before anything is made: afterwards nobody could tell whose it is.
const LOOK: &str = "look-at-array";
const GROUP: &str = "array-group";
const VOLUMES: &str = "array-volumes";

pub(crate) struct BindArrays {
    world: Arc<World>,
    group: GroupId,
    dag: Dag,
}

impl BindArrays {
    /// What is done after what.
    pub(crate) fn plan() -> Result<Dag, DagError> {
        Dag::new(vec![
            compensatable(LOOK, &[], "bind"),
            compensatable(GROUP, &[LOOK], "bind").within(Duration::from_secs(400)),
            compensatable(VOLUMES, &[GROUP], "bind"),
        ])
    }

    pub(crate) fn new(world: Arc<World>, group: GroupId) -> Result<Self, DagError> {
        let dag = Self::plan()?;
        Ok(Self { world, group, dag })
    }

    async fn facts(&self) -> StepResult<(Group, ArrayPair, GroupSpec)> {
        let group = self.world.group(self.group).await?;
        let policy = group
            .document
            .policy
            .clone()
            .ok_or_else(|| permanent("the group has no policy any more"))?;
        let pair = self
            .world
            .directory
            .arrays(&group, group.document.current_primary_site_id)
            .await
            .or_fail()?;
        let spec = GroupSpec {
            name: policy.pure_pg_name,
            interval_seconds: policy.replication_interval_seconds.unwrap_or(300),
        };
        Ok((group, pair, spec))
    }
}

/// Whether the group is one that this saga made, if it knows.
fn made(state: &State) -> Option<bool> {
    state.output(GROUP)?.get("made")?.as_bool()
}

/// The volumes of all members by their names on the array.
pub(crate) fn array_names(group: &Group) -> Vec<String> {
    group
        .document
        .members
        .iter()
        .flat_map(|member| member.volumes.iter().map(|volume| volume.array_name.clone()))
        .collect()
}

#[async_trait]
impl Steps for BindArrays {
    fn dag(&self) -> &Dag {
        &self.dag
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        let (group, pair, spec) = self.facts().await?;
        let volumes = array_names(&group);
        if context.step == LOOK {
            let there = self.world.array.group(&pair, &spec.name).await.or_fail()?;
            return Ok(serde_json::json!({ "there": there.is_some() }));
        }
        if context.step == GROUP {
            self.world.array.check_connection(&pair).await.or_fail()?;
            let adopted = self
                .world
                .array
                .ensure_group(&pair, &spec, &volumes)
                .await
                .or_fail()?;
            return Ok(serde_json::json!({ "made": adopted == Adopted::Made }));
        }
        if !volumes.is_empty() {
            self.world
                .array
                .add_volumes(&pair.source, &spec.name, &volumes)
                .await
                .or_fail()?;
        }
        Ok(Value::Null)
    }

    async fn undo(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        let (group, pair, spec) = self.facts().await?;
        if context.step == VOLUMES {
            let volumes = array_names(&group);
            if volumes.is_empty()
                || self
                    .world
                    .array
                    .group(&pair, &spec.name)
                    .await
                    .or_fail()?
                    .is_none()
            {
                return Ok(());
            }
            return self
                .world
                .array
                .remove_volumes(&pair.source, &spec.name, &volumes)
                .await
                .or_fail();
        }
        if context.step == LOOK {
            return Ok(());
        }
        let ours = match made(context.state) {
            Some(made) => made,
            // A try that failed half-way left no word of it. Before it there was no group of that name, and by now
            // there is nothing in it: what an administrator made meanwhile he made for something.
            None => {
                let before = context
                    .state
                    .output(LOOK)
                    .and_then(|output| output.get("there")?.as_bool());
                let now = self.world.array.group(&pair, &spec.name).await.or_fail()?;
                before == Some(false) && now.is_some_and(|group| group.volumes.is_empty())
            }
        };
        if ours {
            self.world
                .array
                .remove_group(&pair, &spec.name, true)
                .await
                .or_fail()?;
        }
        Ok(())
    }

    async fn progressed(&self, _state: &State) {}

    async fn settle(&self, state: &State, outcome: SagaOutcome) -> Result<(), StepFailure> {
        let made = made(state);
        let reason = state.first_error().map(|(_, message)| message.to_owned());
        self.world
            .change_group(self.group, state.claim(), |group| {
                let done = outcome == SagaOutcome::Completed;
                group.policy_status = Some(if done {
                    PolicyStatus::Active
                } else {
                    PolicyStatus::Error
                });
                group.policy_reason = if done { None } else { reason.clone() };
                group.array_group_made = done && made == Some(true);
                Ok(None)
            })
            .await
            .map(|_| ())
    }
}
