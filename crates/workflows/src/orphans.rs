//! Orphans: what operations that are over have left on clouds and arrays, and nothing else.
//!
//! Everything that an operation makes bears its id in a field that its creation sets, so it is found without any
//! memory; the journal tells what of it was made for good. Operations that are still at work are left alone: what
//! they have made is theirs to use or to take back.

use std::sync::Arc;
use std::time::Duration;

use protector_domain::{OperationId, SagaId, Work};
use protector_ports::store::{OperationFilter, Page};
use protector_saga::State;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::Workflows;
use crate::failover::{Failover, Remnant};
use crate::failure::{OrFail, StepResult, permanent};
use crate::world::World;

/// How long what was asked away is waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// What one operation has left.
#[derive(Debug, Serialize)]
pub struct Left {
    pub operation: OperationId,
    #[serde(flatten)]
    pub found: Found,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    Orphans(Vec<Remnant>),
    /// It could not be looked at, and why.
    Unknown(String),
}

pub struct Orphans {
    world: Arc<World>,
}

/// A failover whose journal has ended.
struct Ended {
    failover: Failover,
    state: State,
}

impl Orphans {
    pub fn of(workflows: &Workflows) -> Self {
        Self {
            world: workflows.world.clone(),
        }
    }

    /// Looks for what one operation has left, or all that have ended. An operation that left nothing isn't listed.
    pub async fn find(&self, only: Option<OperationId>) -> Result<Vec<Left>, String> {
        let mut all = Vec::new();
        for operation in self.ended_operations(only).await? {
            let looked = async {
                match self.ended(operation).await? {
                    Some(ended) => ended.failover.orphans(&ended.state).await,
                    None => Ok(Vec::new()),
                }
            };
            let found = match looked.await {
                Ok(found) if found.is_empty() => continue,
                Ok(found) => Found::Orphans(found),
                Err(failure) => Found::Unknown(failure.message),
            };
            all.push(Left { operation, found });
        }
        Ok(all)
    }

    /// Removes what one operation has left, and answers what is left of that: nothing, where all went well.
    pub async fn remove(&self, operation: OperationId) -> Result<Vec<Remnant>, String> {
        self.clear(operation).await.map_err(|failure| failure.message)
    }

    async fn clear(&self, operation: OperationId) -> StepResult<Vec<Remnant>> {
        let Some(ended) = self.ended(operation).await? else {
            return Ok(Vec::new());
        };
        let end = Instant::now() + PATIENCE;
        loop {
            let left = ended.failover.orphans(&ended.state).await?;
            let movable = left.iter().any(Remnant::can_be_removed);
            if !movable || Instant::now() >= end {
                return Ok(left);
            }
            for orphan in &left {
                // What is refused now may be possible when something else is gone; what stays is told in the end.
                if let Err(failure) = ended.failover.ask_away(orphan).await {
                    tracing::info!(%operation, kind = orphan.kind, id = orphan.id, reason = failure.message, "an orphan stays for now");
                }
            }
            sleep(self.world.options.poll).await;
        }
    }

    async fn ended_operations(&self, only: Option<OperationId>) -> Result<Vec<OperationId>, String> {
        let store = &self.world.store;
        let failed = |error: protector_ports::StoreError| error.to_string();
        if let Some(id) = only {
            let known = store.operation(id).await.map_err(failed)?;
            let known = known.ok_or_else(|| format!("operation {id} is not known at this site"))?;
            return match known.status.is_final() {
                true => Ok(vec![id]),
                false => Err(format!(
                    "operation {id} is still at work: what it has made is its own"
                )),
            };
        }
        let all = store
            .operations(&OperationFilter::default(), &Page::default())
            .await;
        let all = all.map_err(failed)?.into_iter();
        Ok(all
            .filter(|operation| operation.status.is_final())
            .map(|operation| operation.id)
            .collect())
    }

    /// `None` for an operation that makes nothing.
    async fn ended(&self, operation: OperationId) -> StepResult<Option<Ended>> {
        let saga = SagaId(operation.0);
        let header = self.world.store.saga(saga).await.or_fail()?;
        let header = header.ok_or_else(|| permanent("its journal was purged"))?;
        let work = Work::from_parts(&header.kind, header.version, &header.params).map_err(permanent)?;
        let world = self.world.clone();
        let failover = match work {
            Work::PlannedFailover(order) => Failover::planned(world, order),
            Work::UnplannedFailover(order) => Failover::unplanned(world, order),
            _ => return Ok(None),
        };
        let failover = failover.map_err(|error| permanent(error.to_string()))?;
        let records = self.world.store.events(saga).await;
        let records = records.map_err(|error| permanent(error.to_string()))?;
        let state = State::replay(protector_saga::Steps::dag(&failover), &records);
        let state = state.map_err(|corrupt| permanent(corrupt.to_string()))?;
        Ok(Some(Ended { failover, state }))
    }
}
