//! Planned failover: both sites are up, and nothing may be lost.
//!
//! The servers stop, the array sends what was written last, the other site's cloud takes clones of exactly that
//! snapshot over and boots them. Until every server there is `ACTIVE` with its own disks (the pivot) any failure
//! takes everything back: the clones, ports and servers go, replication runs on, the old servers start again.
//! From the pivot on the group runs on the other site; what is left (locking the old servers, replicating the
//! other way) is repeated until it is done.
//!
//! Fences stand before every create that a cloud would do twice: a clone's name is unique on the array, a
//! managed volume has left that name, a port has its address and a boot volume serves one server only.

mod facts;
mod import;
mod instances;
mod keypairs;
mod left_behind;
mod names;
mod preflight;
mod progress;
mod storage;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use protector_domain::{FailoverOrder, GroupStatus, Member, Outcome, Phase, ServerId, SyncStatus, VolumeId};
use protector_ports::cloud::{Access, Server, Volume};
use protector_ports::error::PortResult;
use protector_saga::{Dag, DagError, SagaOutcome, State, StepContext, StepFailure, StepPhase, Steps};
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::left_behind::LeftBehind;
use self::names::{Disk, disks, step};
use self::progress::Ending;
use crate::failure::{OrFail, StepResult, permanent};
use crate::plan::{Shape, compensatable, pivot, retriable};
use crate::polling::{Shared, until};
use crate::world::World;

pub(crate) struct Failover {
    world: Arc<World>,
    order: FailoverOrder,
    dag: Dag,
    /// Lists that all waiting steps read together.
    source_servers: Shared<Server>,
    target_servers: Shared<Server>,
    target_volumes: Shared<Volume>,
}

impl Failover {
    pub(crate) fn new(world: Arc<World>, order: FailoverOrder) -> Result<Self, DagError> {
        let dag = plan(&world, &order)?;
        Ok(Self {
            world,
            order,
            dag,
            source_servers: Shared::new(),
            target_servers: Shared::new(),
            target_volumes: Shared::new(),
        })
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
        let waited = until(
            context,
            self.world.options.poll,
            patience,
            "waiting for the other site's receipt",
            async || {
                let group = self.world.group(self.order.group).await?;
                let synced =
                    group.sync.status == SyncStatus::Synced && group.sync.peer == Some(group.document.stamp);
                Ok(synced.then_some(()))
            },
        );
        waited.await.map_err(|failure| match context.stop.is_cancelled() {
            true => failure,
            false => permanent(format!(
                "The other site has not confirmed the operation within {} seconds, so nothing was started. Run `openstack protector protection-group sync-force` and start the failover again.",
                patience.as_secs()
            )),
        })?;
        Ok(Value::Null)
    }
}

fn as_port(error: protector_ports::AccessError) -> protector_ports::PortError {
    use protector_ports::{AccessError, Kind, PortError};
    match error {
        AccessError::Store(_) => PortError::retryable("the database does not answer"),
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

fn plan(world: &World, order: &FailoverOrder) -> Result<Dag, DagError> {
    let options = &world.options;
    let (prepare, storage, instances, finish) = (
        Phase::Prepare.as_str(),
        Phase::StorageFailover.as_str(),
        Phase::InstanceRecreation.as_str(),
        Phase::Finalization.as_str(),
    );
    let minute = Duration::from_secs(60);
    let mut nodes = vec![
        compensatable(step::RECEIPT, &[], prepare).within(options.receipt_patience + minute),
        compensatable(step::INSPECT, &[step::RECEIPT], prepare),
        compensatable(step::PREFLIGHT, &[step::INSPECT], prepare),
    ];
    let mut stops = Vec::new();
    for member in &order.members {
        let name = step::stop(member);
        nodes.push(
            compensatable(&name, &[step::PREFLIGHT], storage)
                .within(options.server_patience + minute)
                .in_lane("stop", options.servers_at_once),
        );
        stops.push(name);
    }
    nodes.push(
        compensatable(step::SNAPSHOT, &refs(&stops), storage).within(options.replication_patience + minute),
    );
    nodes.push(compensatable(step::FENCE, &[step::SNAPSHOT], storage));
    let mut handed_over = Vec::new();
    for disk in disks(order) {
        nodes.push(compensatable(step::clone(disk), &[step::FENCE], storage).in_lane("clone", 16));
        nodes.push(
            compensatable(step::import(disk), &[&step::clone(disk)], storage)
                .within(Duration::from_secs(600))
                .in_lane("import", options.imports_at_once),
        );
        nodes.push(compensatable(
            step::hand_over(disk),
            &[&step::import(disk)],
            storage,
        ));
        handed_over.push(step::hand_over(disk));
    }
    nodes.push(compensatable(step::VOLUME_GROUP, &refs(&handed_over), storage));
    nodes.push(compensatable(step::KEYPAIRS, &[step::VOLUME_GROUP], instances));
    let mut booted = Vec::new();
    for member in &order.members {
        nodes.push(compensatable(
            step::ports(member),
            &[step::VOLUME_GROUP],
            instances,
        ));
        let name = step::boot(member);
        nodes.push(
            compensatable(&name, &[&step::ports(member), step::KEYPAIRS], instances)
                .within(options.server_patience + minute)
                .in_lane("boot", options.servers_at_once),
        );
        booted.push(name);
    }
    nodes.push(pivot(step::COMMIT, &refs(&booted), finish));
    for member in &order.members {
        nodes.push(retriable(step::lock(member), &[step::COMMIT], finish));
    }
    nodes.push(retriable(step::REVERSE, &[step::COMMIT], finish).within(Duration::from_secs(400)));
    Dag::new(nodes)
}

fn refs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// A step's kind and, after a slash, which member or volume it is about.
fn split(step: &str) -> (&str, &str) {
    step.split_once('/').unwrap_or((step, ""))
}

#[async_trait]
impl Steps for Failover {
    fn dag(&self) -> &Dag {
        &self.dag
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        let (kind, which) = split(context.step);
        match kind {
            step::RECEIPT => self.await_receipt(&context).await,
            step::INSPECT => self.inspect().await,
            step::PREFLIGHT => self.preflight(&context).await,
            "stop-server" => self.stop(&context, self.member(which)?).await,
            step::SNAPSHOT => self.final_snapshot(&context).await,
            step::FENCE => self.fence().await,
            "clone-volume" => self.clone_volume(self.disk(which)?).await,
            "import-volume" => self.import(&context, self.disk(which)?).await,
            "hand-over-volume" => self.hand_over(&context, self.disk(which)?).await,
            step::VOLUME_GROUP => self.join_volume_group(&context, true).await,
            step::KEYPAIRS => self.create_keypairs(&context).await,
            "create-ports" => self.create_ports(&context, self.member(which)?).await,
            "boot-server" => self.boot(&context, self.member(which)?).await,
            step::COMMIT => self.verify(&context).await,
            "lock-old-server" => self.lock_old(self.member(which)?).await,
            step::REVERSE => self.reverse_replication(&context).await,
            other => Err(permanent(format!("this release has no step '{other}'"))),
        }
    }

    async fn undo(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        let (kind, which) = split(context.step);
        match kind {
            "stop-server" => self.start_again(&context, self.member(which)?).await,
            step::SNAPSHOT => self.remove_snapshot().await,
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
        let ended = match outcome {
            SagaOutcome::Completed => Outcome::Completed,
            SagaOutcome::RolledBack if state.is_cancelled() => Outcome::Cancelled,
            SagaOutcome::RolledBack => Outcome::RolledBack,
            SagaOutcome::Abandoned => Outcome::Abandoned,
        };
        let moved = match outcome {
            SagaOutcome::Completed => Some(self.moved_members(state).await?),
            _ => None,
        };
        // Behind the pivot the new servers are the workload, and no remnants.
        let stands = state
            .step(step::COMMIT)
            .is_some_and(|commit| commit.phase == StepPhase::Done);
        let left_behind = match stands {
            true => None,
            false => Some(self.look_for_remnants(state).await),
        };
        let told = left_behind.as_ref().and_then(LeftBehind::told);
        let reason = state.first_error().map(|(_, message)| message.to_owned());
        let now = self.world.clock.now();
        self.world
            .change_group(self.order.group, state.claim(), |group| {
                if group
                    .document
                    .open_intent()
                    .is_none_or(|intent| intent.operation_id != self.order.operation)
                {
                    return Ok(None);
                }
                group.document.close(self.order.operation, ended);
                group.document.touch(now);
                group.sync.status = SyncStatus::Pending;
                if let Some(members) = &moved {
                    group.document.stamp.epoch = self.order.epoch;
                    group.document.current_primary_site_id = self.order.target;
                    group.document.failover_count += 1;
                    group.document.members = members.clone();
                }
                match ended {
                    Outcome::Abandoned => group.set_status(GroupStatus::Error, reason.clone()).or_fail()?,
                    _ => group.set_status(group.resting_status(), None).or_fail()?,
                }
                let mut line = format!("failover {} ended: {}", self.order.operation, ended.as_str());
                if let Some(told) = &told {
                    line = format!("{line}. {told}");
                }
                Ok(Some(line))
            })
            .await?;
        let ending = Ending {
            outcome: ended,
            left_behind,
        };
        self.show_progress(state, Some(&ending)).await
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
