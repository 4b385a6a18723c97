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

mod adoption;
mod facts;
mod import;
mod instances;
mod keypairs;
mod left_behind;
mod made;
mod names;
mod orphans;
mod partial;
pub(crate) mod plans;
mod preflight;
mod progress;
mod reach;
mod replace;
mod roster;
mod settle;
mod stand_in;
mod storage;
mod survey;
mod sweep;
mod trouble;
mod unplanned;
mod user_data;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use protector_domain::{FailoverOrder, Member, ProjectId, ServerId, SiteId, VolumeId, protocol};
use protector_ports::cloud::Volume;
use protector_saga::{Dag, DagError, SagaOutcome, State, StepContext, StepFailure, Steps};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use self::adoption::LastLook;
pub(crate) use self::adoption::release;
pub(crate) use self::facts::{Recording, record};
pub use self::left_behind::Remnant;
use self::made::Made;
use self::names::{Disk, step};
pub(crate) use self::names::{EPOCH_KEY, GROUP_KEY};
pub use self::preflight::Looker;
use self::preflight::TargetPlan;
use self::reach::Reach;
use self::roster::Roster;
use self::survey::Survey;
use self::user_data::UserData;
use crate::ImportAs;
use crate::failure::{OrFail, StepResult, permanent};
use crate::polling::{Pulse, Shared, Watch, until};
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
    roster: Roster,
    reach: Reach,
    /// What all waiting steps look at together.
    source_servers: Watch,
    target_servers: Watch,
    passing_volumes: Shared<Volume>,
    made: Made,
    looked_for_flag: LastLook,
    /// Kept from the inspection to the preflight.
    survey: Mutex<Option<Arc<Survey>>>,
    recording: Mutex<Option<Arc<Recording>>>,
    user_data: UserData,
    /// The preflight's record, once it is there.
    plan: OnceLock<Arc<TargetPlan>>,
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
            roster: Roster::of(&order),
            order,
            manner,
            dag,
            reach: Reach::new(),
            source_servers: Watch::new(),
            target_servers: Watch::new(),
            passing_volumes: Shared::default(),
            made: Made::default(),
            looked_for_flag: LastLook::default(),
            survey: Mutex::default(),
            recording: Mutex::default(),
            user_data: UserData::default(),
            plan: OnceLock::new(),
            sender: OnceCell::new(),
        }
    }

    fn member(&self, id: &str) -> StepResult<&Member> {
        self.roster
            .member(id)
            .and_then(|place| self.order.members.get(place))
            .ok_or_else(|| permanent(format!("the plan has no member {id}")))
    }

    fn disk(&self, index: &str) -> StepResult<Disk<'_>> {
        index
            .parse()
            .ok()
            .and_then(|index| self.roster.disk(&self.order, index))
            .ok_or_else(|| permanent(format!("the plan has no volume {index}")))
    }

    /// What the preflight has planned.
    fn target_plan(&self, state: &State) -> StepResult<Arc<TargetPlan>> {
        if let Some(plan) = self.plan.get() {
            return Ok(plan.clone());
        }
        let plan: Arc<TargetPlan> = Arc::new(recorded(state, step::PREFLIGHT)?);
        Ok(self.plan.get_or_init(|| plan).clone())
    }

    /// How a server of the tenant does at the target site.
    async fn target_server(&self, id: &ServerId) -> StepResult<Option<Pulse>> {
        self.pulse(&self.target_servers, self.order.target, id).await
    }

    /// How a server of the tenant does at the source site.
    async fn source_server(&self, id: &ServerId) -> StepResult<Option<Pulse>> {
        self.pulse(&self.source_servers, self.order.source, id).await
    }

    async fn pulse(&self, watch: &Watch, site: SiteId, id: &ServerId) -> StepResult<Option<Pulse>> {
        let ask = async |mark: Option<String>| {
            let tenant = self.tenant(site).await?;
            let changes = self.world.cloud.changed_servers(&tenant, mark.as_deref()).await;
            changes.or_fail()
        };
        watch.look(id, self.world.ticks.fresh(), ask).await
    }

    /// The volumes that are on their way at the target site, in the project into which they are imported.
    async fn passing_volumes(&self) -> StepResult<Arc<Vec<Volume>>> {
        let importer = match self.world.options.import_as {
            ImportAs::Service => self.service(self.order.target).await?,
            ImportAs::Tenant => self.tenant(self.order.target).await?,
        };
        let ask = async || self.world.cloud.volumes(&importer, false).await.or_fail();
        self.passing_volumes.get(self.world.ticks.fresh(), ask).await
    }

    /// Nothing moves before the other site has the intent in writing.
    async fn await_receipt(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let patience = self.world.options.receipt_patience;
        let end = Instant::now() + patience;
        until(
            context,
            self.world.ticks,
            patience,
            "waiting for the other site's receipt",
            async || {
                let group = self.world.group(self.order.group).await?;
                match protocol::is_known(&group) {
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

/// An earlier step's record.
fn recorded<T: DeserializeOwned>(state: &State, step: &str) -> StepResult<T> {
    let output = state
        .output(step)
        .ok_or_else(|| permanent(format!("step '{step}' left no record")))?;
    output.parse().or_fail()
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
            step::ADOPT => self.adopt_operation().await,
            step::RECEIPT => self.await_receipt(context).await,
            step::INSPECT if unplanned => self.recall().await,
            step::INSPECT => self.inspect().await,
            "inspect-server" if unplanned => self.recall_server(self.member(which)?).await,
            "inspect-server" => self.inspect_server(self.member(which)?).await,
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
            "replace-old-server" => self.replace_old(context, self.member(which)?).await,
            "create-ports" => self.create_ports(context, self.member(which)?).await,
            "boot-server" => self.boot(context, self.member(which)?).await,
            step::COMMIT if unplanned => self.verify_each(context).await,
            step::COMMIT => self.verify(context).await,
            "give-up" => self.clear(context, self.member(which)?).await,
            "lock-old-server" => self.lock_old(context, self.member(which)?).await,
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
            Manner::Planned => {
                self.check_not_superseded(&context).await?;
                self.perform(&context).await
            }
            Manner::Unplanned => self.perform_for_member(&context).await,
        }
    }

    async fn undo(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        self.check_not_superseded(&context).await?;
        if self.is_of_adopted(&context) {
            return Ok(());
        }
        let (kind, which) = split(context.step);
        match kind {
            step::ADOPT => self.give_operation_back().await,
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

    async fn sweep(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        self.sweep_late(&context).await
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
    /// Into whose project it was imported.
    #[serde(default)]
    project_id: Option<ProjectId>,
    #[serde(default)]
    bootable: bool,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct ServerRecord {
    server_id: ServerId,
}
