//! How a failover is written down when it has ended: in the group's document, which both sites share, and in the
//! operation's row.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use protector_domain::{Fence, Group, GroupStatus, Member, MemberId, MemberStatus, Outcome, protocol};
use protector_saga::{SagaOutcome, State, StepPhase};

use super::left_behind::LeftBehind;
use super::names::step;
use super::partial::Committed;
use super::progress::Ending;
use super::{Failover, Manner, recorded};
use crate::failure::{OrFail, StepResult};
use crate::fencing;

/// Where the group runs from now on, with whom: the members are made of the journal where they are written.
struct Move<'a> {
    state: &'a State,
    given_up: BTreeMap<MemberId, String>,
}

/// What is to be written.
struct End<'a> {
    outcome: Outcome,
    moved: Option<Move<'a>>,
    /// What is still lying about.
    told: Option<String>,
    reason: Option<String>,
    now: DateTime<Utc>,
}

impl Failover {
    pub(super) async fn close(&self, state: &State, outcome: SagaOutcome) -> StepResult<()> {
        let moved = match outcome {
            SagaOutcome::Completed => Some(Move {
                state,
                given_up: match self.manner {
                    Manner::Planned => BTreeMap::new(),
                    Manner::Unplanned => recorded::<Committed>(state, step::COMMIT)?.given_up,
                },
            }),
            _ => None,
        };
        let outcome = match outcome {
            SagaOutcome::Completed if moved.as_ref().is_some_and(|moved| !moved.given_up.is_empty()) => {
                Outcome::Partial
            }
            SagaOutcome::Completed => Outcome::Completed,
            SagaOutcome::RolledBack if state.is_cancelled() => Outcome::Cancelled,
            SagaOutcome::RolledBack => Outcome::RolledBack,
            SagaOutcome::Abandoned => Outcome::Abandoned,
        };
        // Behind the pivot the new servers are the workload, and no remnants.
        let stands = state
            .step(step::COMMIT)
            .is_some_and(|commit| commit.phase == StepPhase::Done);
        // Nor are they where another operation goes on with them.
        let left_behind = match stands || state.is_superseded() {
            true => None,
            false => Some(self.look_for_remnants(state).await),
        };
        let end = End {
            outcome,
            moved,
            told: left_behind.as_ref().and_then(LeftBehind::told),
            reason: match state.is_superseded() {
                true => state.abandoned().map(str::to_owned),
                false => state.first_error().map(|(_, message)| message.to_owned()),
            },
            now: self.world.clock.now(),
        };
        if (self.manner == Manner::Unplanned && end.moved.is_some()) || state.is_superseded() {
            self.begin_fence().await?;
        }
        self.world
            .change_group(self.order.group, state.claim(), |group| {
                let written = match self.manner {
                    Manner::Planned => self.end_planned(group, &end)?,
                    Manner::Unplanned => self.end_unplanned(group, &end)?,
                };
                Ok(written.then(|| self.line(&end)))
            })
            .await?;
        let ending = Ending { outcome, left_behind };
        self.show_progress(state, Some(&ending)).await
    }

    /// The lost site's servers must not run again when it returns. Written before the move, so that no move is without;
    /// a retry for members that were missing finds it there.
    async fn begin_fence(&self) -> StepResult<()> {
        let group = self.group().await?;
        let servers = self.order.members.iter().map(|member| member.instance_id.clone());
        let order = &self.order;
        let fence = Fence {
            replaced: self.replaced(),
            ..fencing::fence(&group, order.source, order.epoch, servers.collect(), &self.world)
        };
        self.world.store.begin_fence(&fence).await.or_fail()
    }

    fn line(&self, end: &End<'_>) -> String {
        let line = format!(
            "failover {} ended: {}",
            self.order.operation,
            end.outcome.as_str()
        );
        match &end.told {
            Some(told) => format!("{line}. {told}"),
            None => line,
        }
    }

    /// False where it was written before.
    fn end_planned(&self, group: &mut Group, end: &End<'_>) -> StepResult<bool> {
        let to = end.moved.as_ref().map(|_| self.there());
        if !protocol::conclude(group, self.order.operation, end.outcome, to, end.now) {
            return Ok(false);
        }
        if let Some(moved) = &end.moved {
            replace_members(group, self.moved_members(moved.state)?);
        }
        match end.outcome {
            Outcome::Abandoned => group.set_status(GroupStatus::Error, end.reason.clone()),
            _ => group.set_status(group.resting_status(), None),
        }
        .or_fail()?;
        Ok(true)
    }

    /// The start of an unplanned failover is in no document, so its end is the first that the document tells.
    fn end_unplanned(&self, group: &mut Group, end: &End<'_>) -> StepResult<bool> {
        let mut told = group.document.intents.iter();
        if told.any(|intent| intent.operation_id == self.order.operation)
            || group.status != GroupStatus::FailingOver
        {
            return Ok(false);
        }
        if let Some(moved) = &end.moved {
            let (operation, adopts) = (self.order.operation, self.order.adopts);
            protocol::take_over(group, operation, adopts, end.outcome, self.there(), end.now);
            replace_members(group, self.moved_members(moved.state)?);
            for member in &self.order.members {
                match moved.given_up.get(&member.id) {
                    Some(reason) => {
                        group.set_member(member.id, MemberStatus::Error, Some(reason.clone()), end.now);
                    }
                    None => group.set_member(member.id, MemberStatus::Protected, None, end.now),
                }
            }
        }
        let here = group.document.current_primary_site_id == self.order.target;
        let missing = group
            .document
            .members
            .iter()
            .any(|member| group.member_status(member.id) == MemberStatus::Error);
        let next = match end.outcome {
            // What the other site had begun is as it was before.
            _ if group.document.open_intent().is_some() => GroupStatus::FailingOver,
            Outcome::Abandoned => GroupStatus::Error,
            _ if here && missing => GroupStatus::FailedOverPartial,
            _ => group.resting_status(),
        };
        let reason = match next {
            GroupStatus::Error => end.reason.clone(),
            GroupStatus::FailedOverPartial => Some(
                "Some servers are missing here; `openstack protector protection-group member-list` names them, and the same failover again tries them once more."
                    .to_owned(),
            ),
            _ => None,
        };
        group.set_status(next, reason).or_fail()?;
        Ok(true)
    }

    /// A retry for the members that were missing moves nothing that has moved already.
    fn there(&self) -> protocol::Move {
        protocol::Move {
            to: self.order.target,
            epoch: self.order.epoch,
        }
    }
}

/// Other servers, other volumes, the same members.
fn replace_members(group: &mut Group, moved: Vec<Member>) {
    let mut new: HashMap<MemberId, Member> = moved.into_iter().map(|new| (new.id, new)).collect();
    for member in &mut group.document.members {
        if let Some(new) = new.remove(&member.id) {
            *member = new;
        }
    }
}
