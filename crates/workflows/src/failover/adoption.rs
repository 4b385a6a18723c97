//! An operation of one site that the other one carries on, because its own site is given up for dead.
//!
//! The site that takes over puts a flag up on its array, finds by their marks what the operation made there, and makes the
//! rest under the same marks: both would give the same things the same names, so neither makes what the other has made. A
//! server that is there already may have been written to; it and what it has are used as they are, and never taken away
//! again.
//!
//! The operation's own engine looks for the flag as it goes on: before a step that makes, starts or removes something. It
//! may be long after, when its site has come back. Once it sees the flag it leaves everything as it stands, and so does
//! its way back: what it made isn't its own any more. The flag comes down when the site that was lost has heard of the
//! takeover ([`Fencer`](crate::Fencer)), which it only takes in when its own operation has ended.
//!
//! A clone that was on its way meanwhile may have been made once more, where the first one had left its name by then.
//! Nobody uses it, and it goes with the flag.

use std::time::Duration;

use chrono::{DateTime, Utc};
use protector_domain::{Member, OperationId, ServerId};
use protector_ports::array::ArrayAccess;
use protector_ports::cloud::Access;
use protector_saga::{Event, State, StepContext, StepPhase};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::facts::Inspected;
use super::names::{name_prefix, step};
use super::{Failover, Manner, recorded, split};
use crate::failure::{OrFail, StepResult, retryable};
use crate::world::World;

/// A step of the operation goes on for so long without a new look at the flag.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A look takes no longer: an array that is away says nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The flag that says that the other site carries the operation on.
fn flag(operation: OperationId) -> String {
    format!("dr-{}-taken-over", operation.short())
}

/// The end of an operation that was carried on, once its own engine has left it: nothing is made under its marks any more.
pub(crate) async fn release(world: &World, array: &ArrayAccess, operation: OperationId) -> StepResult<()> {
    let (id, prefix) = (operation.to_string(), name_prefix(operation));
    let marked = world.array.marked_volumes(array, &id).await.or_fail()?;
    for (volume, _) in marked {
        // What is used bears the name that Cinder gave it.
        if !volume.destroyed && volume.connections == 0 && volume.name.starts_with(&prefix) {
            tracing::info!(%operation, volume = volume.name, "a clone that came too late for anybody is removed");
            world.array.destroy_volume(array, &volume.name).await.or_fail()?;
        }
    }
    world.array.lower_flag(array, &flag(operation)).await.or_fail()
}

/// When the flag was last seen to be down, by both clocks: one of them stands still while a machine is suspended.
#[derive(Default)]
pub(super) struct LastLook(Mutex<Option<(Instant, DateTime<Utc>)>>);

impl Failover {
    /// From here on the operation that is adopted makes and removes nothing any more. What it was about to do it has
    /// done by then, and is found.
    pub(super) async fn adopt_operation(&self) -> StepResult<Value> {
        let array = &self.pair().await?.target;
        let flag = flag(self.order.maker());
        self.world.array.raise_flag(array, &flag).await.or_fail()?;
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(json!({ "flag": flag }))
    }

    /// Only while the group still belongs to the other site: once it runs here, the flag stays up.
    pub(super) async fn give_operation_back(&self) -> StepResult<()> {
        let group = self.world.group(self.order.group).await?;
        if group.document.current_primary_site_id == self.order.target {
            return Ok(());
        }
        let array = &self.pair().await?.target;
        let flag = flag(self.order.maker());
        self.world.array.lower_flag(array, &flag).await.or_fail()
    }

    /// Whether what a step makes may be there already. The first try of an operation of its own is spared the look.
    pub(super) fn may_find(&self, context: &StepContext<'_>) -> bool {
        context.attempt > 1 || self.order.adopts.is_some()
    }

    /// The server that the adopted operation has made for a member.
    pub(super) async fn find_adopted(&self, member: &Member) -> StepResult<Option<ServerId>> {
        if self.order.adopts.is_none() {
            return Ok(None);
        }
        let hand = self.hand(self.order.target).await?;
        let server = self.twin_by(&hand, member).await?;
        Ok(server.map(|server| server.id))
    }

    /// The same, as it was found before anything was made. It may have been written to.
    pub(super) fn adopted(&self, state: &State, member: &Member) -> Option<ServerId> {
        self.order.adopts?;
        let seen: Inspected = recorded(state, &step::inspect(member)).ok()?;
        seen.adopted
    }

    /// Whether a step is about a member whose server was found: nothing of it is taken back.
    pub(super) fn is_of_adopted(&self, context: &StepContext<'_>) -> bool {
        let member = self.member_of(context.step);
        member.is_some_and(|member| self.adopted(context.state, member).is_some())
    }

    /// Its ports, whatever they are called by now.
    pub(super) async fn adopted_ports(&self, tenant: &Access, server: &ServerId) -> StepResult<Value> {
        let there = self.world.cloud.ports(tenant, None).await.or_fail()?;
        let its = there.into_iter().filter(|port| port.device_id == server.as_str());
        let ids: Vec<_> = its.map(|port| port.id).collect();
        serde_json::to_value(ids).or_fail()
    }

    /// Asked by the engine of the site that began the operation. Once the flag is up the saga ends as it stands.
    pub(super) async fn check_not_superseded(&self, context: &StepContext<'_>) -> StepResult<()> {
        if self.manner == Manner::Unplanned || is_harmless(context) {
            return Ok(());
        }
        // Nothing that was seen before is good enough for the point of no return.
        if !self.is_superseded(context.step == step::COMMIT).await {
            return Ok(());
        }
        let site = self.world.directory.site(self.order.target).await.or_fail()?.name;
        let reason = format!(
            "Site '{site}' has taken the protection group over while this operation was under way, and carries it on with what was made \
             there: it ends here as it stands, and nothing was taken back. `openstack protector protection-group sync-force` brings the \
             news from there."
        );
        let event = Event::Abandoned {
            reason: reason.clone(),
            superseded: true,
        };
        self.world
            .store
            .request(context.saga, event)
            .await
            .map_err(|error| retryable(error.to_string()))?;
        Err(retryable(reason))
    }

    async fn is_superseded(&self, anew: bool) -> bool {
        let mut last = self.looked_for_flag.0.lock().await;
        let (instant, time) = (Instant::now(), self.world.clock.now());
        if let Some((then, at)) = *last
            && !anew
            && instant - then < LOOK_EVERY
            && (time - at).abs().to_std().is_ok_and(|passed| passed < LOOK_EVERY)
        {
            return false;
        }
        let up = self.look_for_flag().await;
        *last = (!up).then_some((instant, time));
        up
    }

    /// Whoever doesn't answer gives no sign.
    async fn look_for_flag(&self) -> bool {
        let look = async {
            let array = &self.pair().await?.target;
            self.world
                .array
                .is_flag_up(array, &flag(self.order.operation))
                .await
                .or_fail()
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(Ok(up)) => up,
            Ok(Err(failure)) => {
                tracing::debug!(
                    reason = failure.message,
                    "whether the operation was taken over can't be looked for now"
                );
                false
            }
            Err(_) => false,
        }
    }
}

/// Steps that only look, and those behind the point of no return, which the takeover wants as well.
fn is_harmless(context: &StepContext<'_>) -> bool {
    let looks = matches!(
        split(context.step).0,
        step::RECEIPT | step::INSPECT | "inspect-server" | step::PREFLIGHT
    );
    let commit = context.state.step(step::COMMIT);
    looks || commit.is_some_and(|commit| commit.phase == StepPhase::Done)
}
