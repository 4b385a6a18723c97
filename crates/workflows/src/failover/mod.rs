//! Failover, planned and unplanned.
//!
//! Planned: both sites are up, and nothing may be lost. The servers stop, the array sends what was written last, the other site's cloud takes clones of exactly that
//! snapshot over and boots them. Until every server there is `ACTIVE` with its own disks (the pivot) any failure
//! takes everything back: the clones, ports and servers go, replication runs on, the old servers start again.
//! From the pivot on the group runs on the other site; what is left (locking the old servers, replicating the
//! other way) is repeated until it is done.
//!
//! Unplanned: the other site is dead and isn't asked for anything. Its array is refused first, then the newest
//! complete snapshot is chosen and the servers are made as they were last seen. Whoever can't be brought up is told
//! and doesn't hold the others up.
//!
//! Fences stand before every create that a cloud would do twice: a clone's name is unique on the array, a
//! managed volume has left that name, a port has its address and a boot volume serves one server only.

mod facts;
mod import;
mod instances;
mod keypairs;
mod left_behind;
mod names;
mod partial;
mod plans;
mod preflight;
mod progress;
mod settle;
mod stand_in;
mod storage;
mod trouble;
mod unplanned;

use std::sync::Arc;

use async_trait::async_trait;
use protector_domain::{FailoverOrder, Member, ServerId, SyncStatus, VolumeId};
use protector_ports::cloud::{Access, Server, Volume};
use protector_ports::error::PortResult;
use protector_saga::{Dag, DagError, SagaOutcome, State, StepContext, StepFailure, Steps};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub(crate) use self::facts::record;
use self::names::{Disk, disks, step};
pub use self::preflight::Looker;
use crate::failure::{OrFail, StepResult, permanent};
use crate::polling::{Shared, until};
use crate::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Planned,
    Unplanned,
}

pub(crate) struct Failover {
    world: Arc<World>,
    order: FailoverOrder,
    manner: Manner,
    dag: Dag,
    /// Lists that all waiting steps read together.
    source_servers: Shared<Server>,
    target_servers: Shared<Server>,
    target_volumes: Shared<Volume>,
    /// The lost array's name, as this site's array knows it.
    sender: OnceCell<String>,
}

impl Failover {
    pub(crate) fn planned(world: Arc<World>, order: FailoverOrder) -> Result<Self, DagError> {
        let dag = plans::planned(&world.options, &order)?;
        Ok(Self::new(world, order, Manner::Planned, dag))
    }

    pub(crate) fn unplanned(world: Arc<World>, order: FailoverOrder) -> Result<Self, DagError> {
        let dag = plans::unplanned(&world.options, &order)?;
        Ok(Self::new(world, order, Manner::Unplanned, dag))
    }

    fn new(world: Arc<World>, order: FailoverOrder, manner: Manner, dag: Dag) -> Self {
        Self {
            world,
            order,
            manner,
            dag,
            source_servers: Shared::new(),
            target_servers: Shared::new(),
            target_volumes: Shared::new(),
            sender: OnceCell::new(),
        }
    }

    fn member(&self, id: &str) -> StepResult<&Member> {
        self.order
            .members
            .iter()
            .find(|member| member.id.to_string() == id)
            .ok_or_else(|| permanent(format!("the plan has no member {id}")))
    }

    fn disk(&self, index: &str) -> StepResult<Disk<'_>> {
        disks(&self.order)
            .find(|disk| disk.index.to_string() == index)
            .ok_or_else(|| permanent(format!("the plan has no volume {index}")))
    }

    /// The tenant at the target site, by the trust that was given there.
    async fn target_tenant(&self) -> StepResult<Access> {
        let group = self.world.group(self.order.group).await?;
        self.world
            .directory
            .tenant(self.order.target, &group)
            .await
            .or_fail()
    }

    /// The tenant's servers on the target site, asked for once for everybody who waits.
    async fn target_servers(&self) -> StepResult<Arc<Vec<Server>>> {
        let ask = async || -> PortResult<Vec<Server>> {
            let group = self.world.store.group(self.order.group).await.ok().flatten();
            let group =
                group.ok_or_else(|| protector_ports::PortError::retryable("the database does not answer"))?;
            let access = self
                .world
                .directory
                .tenant(self.order.target, &group)
                .await
                .map_err(as_port)?;
            self.world.cloud.servers(&access, false).await
        };
        self.target_servers
            .get(self.world.options.poll, ask)
            .await
            .or_fail()
    }

    /// The tenant's servers on the source site.
    async fn source_servers(&self) -> StepResult<Arc<Vec<Server>>> {
        let ask = async || -> PortResult<Vec<Server>> {
            let group = self.world.store.group(self.order.group).await.ok().flatten();
            let group =
                group.ok_or_else(|| protector_ports::PortError::retryable("the database does not answer"))?;
            let access = self
                .world
                .directory
                .tenant(self.order.source, &group)
                .await
                .map_err(as_port)?;
            self.world.cloud.servers(&access, false).await
        };
        self.source_servers
            .get(self.world.options.poll, ask)
            .await
            .or_fail()
    }

    /// All volumes of the target site, in the service's project and in the tenant's.
    async fn target_volumes(&self) -> StepResult<Arc<Vec<Volume>>> {
        let ask = async || -> PortResult<Vec<Volume>> {
            let access = self
                .world
                .directory
                .service(self.order.target)
                .await
                .map_err(as_port)?;
            self.world.cloud.volumes(&access, true).await
        };
        self.target_volumes
            .get(self.world.options.poll, ask)
            .await
            .or_fail()
    }

    /// Nothing moves before the other site has the intent in writing.
    async fn await_receipt(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let patience = self.world.options.receipt_patience;
        let end = Instant::now() + patience;
        until(
            context,
            self.world.options.poll,
            patience,
            "waiting for the other site's receipt",
            async || {
                let group = self.world.group(self.order.group).await?;
                let synced =
                    group.sync.status == SyncStatus::Synced && group.sync.peer == Some(group.document.stamp);
                match synced {
                    true => Ok(Some(())),
                    false if Instant::now() < end => Ok(None),
                    false => Err(permanent(format!(
                        "The other site has not confirmed the operation within {} seconds, so nothing was started. Run `openstack protector protection-group sync-force` and start the failover again.",
                        patience.as_secs()
                    ))),
                }
            },
        )
        .await?;
        Ok(Value::Null)
    }
}

fn as_port(error: protector_ports::AccessError) -> protector_ports::PortError {
    use protector_ports::{AccessError, Kind, PortError};
    match error {
        AccessError::Store(_) => PortError::retryable("the database does not answer"),
        AccessError::TokenSecret { ref failure, .. } => {
            PortError::new(failure.class, failure.kind, error.to_string())
        }
        other => PortError::permanent(Kind::Unauthorized, other.to_string()),
    }
}

/// An earlier step's record.
fn recorded<T: DeserializeOwned>(state: &State, step: &str) -> StepResult<T> {
    let output = state
        .output(step)
        .ok_or_else(|| permanent(format!("step '{step}' left no record")))?;
    serde_json::from_value(output.clone()).or_fail()
}

/// A step's kind and, after a slash, which member or volume it is about.
fn split(step: &str) -> (&str, &str) {
    step.split_once('/').unwrap_or((step, ""))
}

impl Failover {
    async fn perform(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let (kind, which) = split(context.step);
        let unplanned = self.manner == Manner::Unplanned;
        match kind {
            step::RECEIPT => self.await_receipt(context).await,
            step::INSPECT if unplanned => self.recall().await,
            step::INSPECT => self.inspect().await,
            step::PREFLIGHT => self.preflight(context).await,
            "stop-server" => self.stop(context, self.member(which)?).await,
            step::SNAPSHOT => self.final_snapshot(context).await,
            step::FENCE if unplanned => self.fence_target().await,
            step::FENCE => self.fence().await,
            step::CHOICE => self.choose_snapshot(context).await,
            "clone-volume" => {
                let disk = self.disk(which)?;
                self.about(context, disk, "cloning", self.clone_volume(context, disk))
                    .await
            }
            "import-volume" => {
                let disk = self.disk(which)?;
                self.about(context, disk, "importing", self.import(context, disk))
                    .await
            }
            "hand-over-volume" => {
                let disk = self.disk(which)?;
                self.about(context, disk, "handing over", self.hand_over(context, disk))
                    .await
            }
            step::VOLUME_GROUP => self.join_volume_group(context, true).await,
            step::KEYPAIRS => self.create_keypairs(context).await,
            "create-ports" => self.create_ports(context, self.member(which)?).await,
            "boot-server" => self.boot(context, self.member(which)?).await,
            step::COMMIT if unplanned => self.verify_each(context).await,
            step::COMMIT => self.verify(context).await,
            "give-up" => self.clear(context, self.member(which)?).await,
            "lock-old-server" => self.lock_old(self.member(which)?).await,
            step::REVERSE => self.reverse_replication(context).await,
            other => Err(permanent(format!("this release has no step '{other}'"))),
        }
    }
}

#[async_trait]
impl Steps for Failover {
    fn dag(&self) -> &Dag {
        &self.dag
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        match self.manner {
            Manner::Planned => self.perform(&context).await,
            Manner::Unplanned => self.perform_for_member(&context).await,
        }
    }

    async fn undo(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        let (kind, which) = split(context.step);
        match kind {
            "stop-server" => self.start_again(&context, self.member(which)?).await,
            step::SNAPSHOT => self.remove_snapshot().await,
            step::FENCE if self.manner == Manner::Unplanned => self.unfence_target().await,
            step::FENCE => self.unfence().await,
            "clone-volume" => self.destroy_clone(&context, self.disk(which)?).await,
            "import-volume" => self.release(&context, self.disk(which)?).await,
            step::VOLUME_GROUP => self.join_volume_group(&context, false).await.map(|_| ()),
            step::KEYPAIRS => self.delete_keypairs(&context).await,
            "create-ports" => self.delete_ports(self.member(which)?).await,
            "boot-server" => self.delete_server(&context, self.member(which)?).await,
            // These only look, or are taken back together with the step before.
            _ => Ok(()),
        }
    }

    async fn progressed(&self, state: &State) {
        // The end was shown when it was settled, and the claim is given back by now.
        if state.ended().is_some() {
            return;
        }
        if let Err(failure) = self.show_progress(state, None).await {
            tracing::warn!(operation = %self.order.operation, reason = failure.message, "progress could not be written");
        }
    }

    async fn settle(&self, state: &State, outcome: SagaOutcome) -> Result<(), StepFailure> {
        self.close(state, outcome).await
    }
}

/// The id in a step's record.
#[derive(serde::Serialize, serde::Deserialize)]
struct VolumeRecord {
    volume_id: VolumeId,
    /// On the target's array, as Cinder named it.
    array_name: String,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct ServerRecord {
    server_id: ServerId,
}
