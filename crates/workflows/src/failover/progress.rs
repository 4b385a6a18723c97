//! The operation's row, made anew from the journal after every line: what users see is what happened.

use protector_domain::{Finding, Operation, OperationStatus, Outcome, Phase, StepError, StepReport};
use protector_saga::state::StepPhase;
use protector_saga::{FailureClass, Node, State, StepState};
use serde_json::json;

use super::left_behind::LeftBehind;
use super::partial::{Committed, given_up_at};
use super::unplanned::{Choice, data_of};
use super::{Failover, ServerRecord, recorded, step};
use crate::failure::{OrFail, StepResult, full, permanent};

/// What a user is told of an operation that ended with nothing done, and nothing left.
const TAKEN_BACK: &str =
    "Everything that the operation had done was taken back. When the cause is removed, start it again.";
const AGAIN: &str = "When the cause is removed, start the operation again.";

/// How it ended, and what of it is still there.
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    /// Looked for unless the new servers stand.
    pub(super) left_behind: Option<LeftBehind>,
}

impl Failover {
    pub(super) async fn show_progress(&self, state: &State, ending: Option<&Ending>) -> StepResult<()> {
        let store = &self.world.store;
        let mut operation = store
            .operation(self.order.operation)
            .await
            .or_fail()?
            .ok_or_else(|| permanent("the operation's record is missing"))?;
        let before = operation.clone();
        self.draw(&mut operation, state, ending);
        if operation == before {
            return Ok(());
        }
        store.update_operation(&operation, state.claim()).await.or_fail()
    }

    fn draw(&self, operation: &mut Operation, state: &State, ending: Option<&Ending>) {
        let now = self.world.clock.now();
        operation.started_at.get_or_insert(now);
        operation.waiting_for = state.waiting_for_operator().map(|_| "operator".to_owned());
        operation.error_message = self.trouble(state);
        operation.steps = told(state)
            .into_iter()
            .map(|(node, step)| report(state, node, step))
            .collect();
        operation.current_step = state
            .steps()
            .find(|(_, step)| matches!(step.phase, StepPhase::Running | StepPhase::Undoing))
            .map(|(node, _)| node.name.to_string());
        operation.steps_completed.clear();
        operation.steps_failed.clear();
        let first_failed = state.first_error().and_then(|(name, _)| label_of(state, name));
        let mut progress = 0;
        let mut all_before = true;
        for (phase, course) in courses(state) {
            let whole = course.done == course.steps;
            if whole {
                operation.steps_completed.push(phase);
            }
            if course.failed && first_failed == Some(phase.as_str()) {
                operation.steps_failed.push(phase);
            }
            if all_before {
                progress = phase.progress(course.done, course.steps);
            }
            all_before &= whole;
        }
        // Undoing doesn't turn the bar back; it shows how far the operation came.
        operation.progress = operation.progress.max(progress.min(99));
        operation.status = if state.is_unwinding() {
            OperationStatus::RollingBack
        } else {
            OperationStatus::Running
        };
        if let Some(Ending { outcome, left_behind }) = ending {
            operation.outcome = Some(*outcome);
            operation.waiting_for = None;
            operation.current_step = None;
            operation.completed_at.get_or_insert(now);
            if matches!(outcome, Outcome::Completed | Outcome::Partial) {
                // Only where everybody is there it is completed.
                operation.status = match outcome {
                    Outcome::Completed => OperationStatus::Completed,
                    _ => OperationStatus::Failed,
                };
                operation.progress = 100;
                operation.error_message = self.told_of_missing(state);
                operation.result_data = self.result(state);
            } else {
                operation.status = OperationStatus::Failed;
            }
            if let Some(left_behind) = left_behind {
                operation.result_data = left_behind.result();
                let end = match (left_behind.told(), outcome) {
                    (None, Outcome::RolledBack) => Some(TAKEN_BACK.to_owned()),
                    (Some(told), Outcome::RolledBack) => Some(format!("{told} {AGAIN}")),
                    (told, _) => told,
                };
                if let Some(end) = end {
                    operation.error_message = Some(match operation.error_message.take() {
                        Some(error) => format!("{} {end}", full(&error)),
                        None => end,
                    });
                }
            }
        }
    }

    /// What went wrong, and who has to do what where the operation doesn't go on by itself.
    fn trouble(&self, state: &State) -> Option<String> {
        if state.is_superseded() {
            return state.abandoned().map(str::to_owned);
        }
        let first = state.first_error().map(|(_, message)| message.to_owned());
        let Some(stuck) = state.waiting_for_operator() else {
            return first;
        };
        let before = match first {
            Some(first) if !stuck.contains(&first) => format!("{} ", full(&first)),
            _ => String::new(),
        };
        let id = self.order.operation;
        Some(format!(
            "{before}The operation waits for an operator, because {} When that is mended, go on with `openstack protector operation retry {id}`; `openstack protector operation resolve {id} --decision accept` goes on without it.",
            full(&stuck)
        ))
    }

    /// Who isn't there, where the others are.
    fn told_of_missing(&self, state: &State) -> Option<String> {
        let committed: Committed = recorded(state, step::COMMIT).ok()?;
        let reasons: Vec<String> = self
            .order
            .members
            .iter()
            .filter_map(|member| {
                let reason = committed.given_up.get(&member.id)?;
                Some(format!("{}: {reason}", member.instance_name))
            })
            .collect();
        (!reasons.is_empty()).then(|| {
            format!(
                "{} of {} servers could not be brought up. {}",
                reasons.len(),
                self.order.members.len(),
                reasons.join(" ")
            )
        })
    }

    fn result(&self, state: &State) -> serde_json::Value {
        let created: Vec<serde_json::Value> = self
            .order
            .members
            .iter()
            .filter_map(|member| {
                let record: ServerRecord = recorded(state, &step::boot(member)).ok()?;
                Some(json!({ "name": member.instance_name, "id": record.server_id }))
            })
            .collect();
        let mut result = json!({ "instances_created": created });
        if let Ok(choice) = recorded::<Choice>(state, step::CHOICE) {
            result["snapshot"] = data_of(&choice);
        }
        if let Ok(plan) = self.target_plan(state)
            && !plan.warnings.is_empty()
        {
            result["warnings"] = plan.warnings.iter().map(Finding::told).collect();
        }
        if let Ok(committed) = recorded::<Committed>(state, step::COMMIT)
            && !committed.given_up.is_empty()
        {
            result["members_failed"] = self
                .order
                .members
                .iter()
                .filter_map(|member| {
                    let reason = committed.given_up.get(&member.id)?;
                    Some(json!({ "id": member.id, "name": member.instance_name, "reason": reason }))
                })
                .collect();
        }
        if let Some(reverse) = state
            .output(step::REVERSE)
            .and_then(|output| output.get("reverse_replication"))
        {
            result["reverse_replication"] = reverse.clone();
        }
        result
    }
}

/// Of how many steps an operation tells: more than anybody reads, and less than a database takes for one value.
const TOLD: usize = 1_000;

/// All steps; where these are too many, first of all those that have failed or are at work.
fn told(state: &State) -> Vec<(&Node, &StepState)> {
    use StepPhase::{Done, Undone, Waiting};
    let all: Vec<(&Node, &StepState)> = state.steps().collect();
    if all.len() <= TOLD {
        return all;
    }
    let matters = |step: &StepState| step.error.is_some() || !matches!(step.phase, Waiting | Done | Undone);
    let mut room = TOLD.saturating_sub(all.iter().filter(|(_, step)| matters(step)).count());
    all.into_iter()
        .filter(|(_, step)| {
            let told = matters(step) || room > 0;
            room = room.saturating_sub(usize::from(told && !matters(step)));
            told
        })
        .take(TOLD)
        .collect()
}

/// How far a phase is.
#[derive(Default)]
struct Course {
    steps: usize,
    done: usize,
    failed: bool,
}

/// All phases in their order, from one look at the steps.
fn courses(state: &State) -> [(Phase, Course); Phase::ALL.len()] {
    let mut courses = Phase::ALL.map(|phase| (phase, Course::default()));
    for (node, step) in state.steps() {
        let Some((_, course)) = courses.iter_mut().find(|(phase, _)| phase.as_str() == node.label) else {
            continue;
        };
        course.steps += 1;
        // What was done stays told when it is taken back: so it shows how far the operation came.
        course.done += usize::from(step.output.is_some());
        course.failed |=
            step.error.is_some() && step.phase != StepPhase::Done && (step.given_up || state.is_unwinding());
    }
    courses
}

fn label_of(state: &State, step: &str) -> Option<&'static str> {
    state
        .steps()
        .find(|(node, _)| *node.name == *step)
        .map(|(node, _)| node.label)
}

fn report(state: &State, node: &Node, step: &StepState) -> StepReport {
    // For its member the step has failed, though the failover goes on.
    let given_up = given_up_at(state, &node.name);
    let phase = Phase::ALL
        .into_iter()
        .find(|phase| phase.as_str() == node.label)
        .unwrap_or(Phase::Prepare);
    let class = |class: &FailureClass| match class {
        FailureClass::Retryable => "retryable",
        FailureClass::Permanent => "permanent",
        FailureClass::Ambiguous => "ambiguous",
    };
    StepReport {
        name: node.name.to_string(),
        phase,
        state: match given_up {
            Some(_) => "failed".to_owned(),
            None => step.phase.as_str().to_owned(),
        },
        attempts: step.attempts,
        started_at: step.started_at,
        completed_at: step.ended_at,
        error: match given_up {
            Some(message) => Some(StepError {
                class: class(&FailureClass::Permanent).to_owned(),
                message,
            }),
            None => step.error.as_ref().map(|(kind, message)| StepError {
                class: class(kind).to_owned(),
                message: message.clone(),
            }),
        },
    }
}
