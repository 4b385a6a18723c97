//! Members that can't be brought up, and the others, which don't wait for them.
//!
//! In an unplanned failover a step of one member that fails for good ends that member's part only: its later steps
//! do nothing, and behind the point of no return everything that was made for it is removed. A planned failover
//! knows no such thing: it moves all or none.

use std::collections::BTreeMap;

use protector_domain::{Member, MemberId, VolumeId};
use protector_saga::{FailureClass, State, StepContext, StepState};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::names::step;
use super::unplanned::Choice;
use super::{Failover, Manner, VolumeRecord, recorded, split};
use crate::failure::{OrFail, StepResult, permanent};

/// The field of a step's record that says why its member was given up.
const GIVEN_UP: &str = "given_up";
/// So often a failed step of a member is tried; as often as any step before the pivot.
const ATTEMPTS: u32 = 5;

/// The record of the point of no return.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Committed {
    pub(super) active: Vec<MemberId>,
    /// Why the others aren't there.
    #[serde(default)]
    pub(super) given_up: BTreeMap<MemberId, String>,
}

/// Why a step's member was given up there, if it was.
pub(super) fn given_up_at(state: &State, step: &str) -> Option<String> {
    let reason = state.output(step)?.get(GIVEN_UP)?;
    Some(reason.as_str()?.to_owned())
}

/// Whether a step that fails now isn't tried again. What the end of an engine cut off was no failure of the step.
fn is_last_try(context: &StepContext<'_>) -> bool {
    let failures = context.state.step(context.step).map_or(0, StepState::failures);
    failures + 1 >= ATTEMPTS
}

impl Failover {
    /// The member that a step is about; `None` where it is about all.
    pub(super) fn member_of(&self, step: &str) -> Option<&Member> {
        match split(step) {
            ("clone-volume" | "import-volume" | "hand-over-volume", which) => {
                self.disk(which).ok().map(|disk| disk.member)
            }
            ("create-ports" | "boot-server", which) => self.member(which).ok(),
            _ => None,
        }
    }

    /// Why a member can't be brought up, from what the journal holds of it.
    pub(super) fn given_up(&self, state: &State, member: &Member) -> Option<String> {
        if self.manner == Manner::Planned {
            return None;
        }
        // Whose server is there needs no plan and no snapshot.
        let adopted = self.adopted(state, member).is_some();
        if !adopted
            && let Ok(plan) = self.target_plan(state)
            && let Some(reason) = plan.blocked.get(&member.id)
        {
            return Some(reason.clone());
        }
        if !adopted
            && let Ok(choice) = recorded::<Choice>(state, step::CHOICE)
            && let Some(reason) = choice.lost.get(&member.id)
        {
            return Some(reason.clone());
        }
        let of_disks = self
            .disks_of(member)
            .flat_map(|disk| [step::clone(disk), step::import(disk), step::hand_over(disk)]);
        of_disks
            .chain([step::ports(member), step::boot(member)])
            .find_map(|step| given_up_at(state, &step))
    }

    /// A step that may fail for its member alone.
    pub(super) async fn perform_for_member(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let Some(member) = self.member_of(context.step) else {
            return self.perform(context).await;
        };
        if self.given_up(context.state, member).is_some() {
            return Ok(json!({ "skipped": true }));
        }
        match self.perform(context).await {
            Err(failure) if context.stop.is_cancelled() => Err(failure),
            Err(failure) if failure.class == FailureClass::Permanent || is_last_try(context) => {
                tracing::warn!(
                    operation = %self.order.operation, member = member.instance_name, step = context.step,
                    reason = failure.message, "a member is given up"
                );
                Ok(json!({ GIVEN_UP: failure.message }))
            }
            other => other,
        }
    }

    /// The last look of an unplanned failover: whoever runs with his own disks has made it.
    pub(super) async fn verify_each(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let mut committed = Committed {
            active: Vec::new(),
            given_up: BTreeMap::new(),
        };
        let there = self.look_at_twins().await?;
        for member in &self.order.members {
            let reason = match self.given_up(context.state, member) {
                Some(reason) => Some(reason),
                None => match self.verify_member(context, member, &there) {
                    Ok(()) => None,
                    Err(failure) if failure.class == FailureClass::Permanent || is_last_try(context) => {
                        Some(failure.message)
                    }
                    Err(failure) => return Err(failure),
                },
            };
            match reason {
                Some(reason) => {
                    committed.given_up.insert(member.id, reason);
                }
                None => committed.active.push(member.id),
            }
        }
        match committed.given_up.values().next() {
            Some(reason) if committed.active.is_empty() => {
                Err(permanent(format!("No server could be brought up: {reason}")))
            }
            _ => serde_json::to_value(committed).or_fail(),
        }
    }

    /// Whether the failover ended without this member.
    pub(super) fn is_missing(&self, state: &State, member: &Member) -> StepResult<bool> {
        Ok(match self.manner {
            Manner::Planned => false,
            Manner::Unplanned => {
                let committed: Committed = recorded(state, step::COMMIT)?;
                !committed.active.contains(&member.id)
            }
        })
    }

    /// Takes away what was made for a member that isn't there: the next try begins from nothing.
    pub(super) async fn clear(&self, context: &StepContext<'_>, member: &Member) -> StepResult<Value> {
        let committed: Committed = recorded(context.state, step::COMMIT)?;
        // One that was found here may hold what nobody else has.
        if committed.active.contains(&member.id) || self.adopted(context.state, member).is_some() {
            return Ok(Value::Null);
        }
        self.delete_server(context, member).await?;
        self.delete_ports(member).await?;
        let group = self.group().await?;
        let own: Vec<_> = self.disks_of(member).collect();
        let volumes: Vec<VolumeId> = own
            .iter()
            .filter_map(|disk| recorded::<VolumeRecord>(context.state, &step::import(*disk)).ok())
            .map(|record| record.volume_id)
            .collect();
        self.world
            .change_volume_group(context, &group, self.order.target, &volumes, false)
            .await?;
        for disk in own {
            self.release(context, disk).await?;
            self.destroy_clone(context, disk).await?;
        }
        Ok(json!({ "cleared": true }))
    }
}
