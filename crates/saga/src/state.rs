//! What the journal says, read line by line.
//!
//! The state is a function of the plan and the journal. Only one thing is not in the journal: whether a
//! step that has begun is still at work in this process. [`State::replay`] reads the past, where nothing is
//! at work any more, so it marks such steps as interrupted; [`State::apply`] adds what happens now.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use imbl::Vector;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::dag::{Dag, Node, StepKind};
use crate::decide::{Action, decide};
use crate::event::{Event, FailureClass, Record, SagaOutcome};
use crate::journal::Claim;

/// What an operator may decide.
pub mod decision {
    /// Try again what was given up.
    pub const RETRY: &str = "retry";
    /// Go on without what was given up.
    pub const ACCEPT: &str = "accept";
    /// The pivot, whose outcome nobody knows, hasn't happened: take everything back.
    pub const ROLL_BACK: &str = "roll_back";
    /// Written by the engine: why a decision is needed where no step can say it.
    pub const AWAITED: &str = "awaited";
}

/// So often a step may be cut off by the end of its engine before it counts as the cause of it.
const MAX_INTERRUPTIONS: u32 = 20;
/// An undo is tried at least so often, however few tries the step itself had.
const MIN_UNDO_ATTEMPTS: u32 = 3;

/// The journal contradicts itself or belongs to another plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Corrupt(pub String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepPhase {
    Waiting,
    Running,
    Done,
    Failed,
    Undoing,
    Undone,
    UndoFailed,
}

impl StepPhase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::UndoFailed => "undo_failed",
        }
    }
}

/// What a step left for those that come after it. Kept as text: of ten thousand servers there are many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output(Arc<str>);

impl Output {
    fn of(value: &Value) -> Output {
        Output(value.to_string().into())
    }

    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(&self.0)
    }

    /// One field of it, where it has fields and this one among them.
    pub fn get(&self, field: &str) -> Option<Value> {
        // Most steps left nothing of the kind, and that is seen without reading it all.
        if !self.0.contains(field) {
            return None;
        }
        let mut fields: serde_json::Map<String, Value> = self.parse().ok()?;
        fields.remove(field)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct StepState {
    pub phase: StepPhase,
    /// Attempts begun, ever.
    pub attempts: u32,
    pub undo_attempts: u32,
    /// When the first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When the last attempt, or its undo, ended.
    pub ended_at: Option<DateTime<Utc>>,
    pub output: Option<Output>,
    /// The last failure; stays after a later success.
    pub error: Option<(FailureClass, String)>,
    /// The operator decided to go on without it.
    pub given_up: bool,
    /// Failed in a row, since the operator's last word.
    failures: u32,
    /// Cut off in a row.
    interruptions: u32,
    /// Begun, but not at work in this process.
    interrupted: bool,
    /// The operator asked for another try.
    asked: bool,
}

impl StepState {
    const NEW: StepState = StepState {
        phase: StepPhase::Waiting,
        attempts: 0,
        undo_attempts: 0,
        started_at: None,
        ended_at: None,
        output: None,
        error: None,
        given_up: false,
        failures: 0,
        interruptions: 0,
        interrupted: false,
        asked: false,
    };

    /// At work in this process.
    pub fn is_in_flight(&self) -> bool {
        matches!(self.phase, StepPhase::Running | StepPhase::Undoing) && !self.interrupted
    }

    /// Tries that failed in a row, since the operator's last word. One that its engine's end cut off is none of them.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// No more tries without an operator's word.
    pub fn is_exhausted(&self, node: &Node) -> bool {
        if self.asked {
            return false;
        }
        match self.phase {
            StepPhase::Failed => {
                matches!(self.error, Some((FailureClass::Permanent, _)))
                    || self.failures >= node.retry.max_attempts
            }
            StepPhase::UndoFailed => self.failures >= node.retry.max_attempts.max(MIN_UNDO_ATTEMPTS),
            StepPhase::Running | StepPhase::Undoing => {
                self.interrupted && self.interruptions >= MAX_INTERRUPTIONS
            }
            _ => false,
        }
    }

    /// From when on the next try may begin.
    pub(crate) fn due(&self, node: &Node) -> DateTime<Utc> {
        match self.ended_at {
            Some(ended) if !self.asked && self.failures > 0 => ended + node.retry.delay(self.failures),
            _ => DateTime::<Utc>::MIN_UTC,
        }
    }

    fn begin(&mut self, phase: StepPhase) {
        self.interruptions = if self.phase == phase {
            self.interruptions + 1
        } else {
            0
        };
        self.phase = phase;
        self.interrupted = false;
        self.asked = false;
    }

    fn end(&mut self, phase: StepPhase, at: DateTime<Utc>) {
        self.phase = phase;
        self.ended_at = Some(at);
        self.interruptions = 0;
        self.failures = if matches!(phase, StepPhase::Failed | StepPhase::UndoFailed) {
            self.failures + 1
        } else {
            0
        };
    }
}

/// How many steps are of a kind that concerns all: kept up to date line by line, not counted each time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    /// At work in this process, forward and backward.
    running: usize,
    undoing: usize,
    /// The pivot, done, and those after it that have begun.
    beyond_pivot: usize,
    /// Cut off so often that they are taken for the cause of it.
    worn_out: usize,
}

impl Tally {
    fn of(node: &Node, step: &StepState) -> Tally {
        let beyond_pivot = match node.kind {
            StepKind::Compensatable => false,
            StepKind::Pivot => step.phase == StepPhase::Done,
            StepKind::Retriable => step.phase != StepPhase::Waiting,
        };
        let worn_out = node.kind == StepKind::Compensatable
            && step.phase == StepPhase::Running
            && step.is_exhausted(node);
        Tally {
            running: usize::from(step.is_in_flight() && step.phase == StepPhase::Running),
            undoing: usize::from(step.is_in_flight() && step.phase == StepPhase::Undoing),
            beyond_pivot: usize::from(beyond_pivot),
            worn_out: usize::from(worn_out),
        }
    }

    fn note(&mut self, node: &Node, step: &StepState) {
        let one = Tally::of(node, step);
        self.running += one.running;
        self.undoing += one.undoing;
        self.beyond_pivot += one.beyond_pivot;
        self.worn_out += one.worn_out;
    }

    fn forget(&mut self, node: &Node, step: &StepState) {
        let one = Tally::of(node, step);
        self.running -= one.running;
        self.undoing -= one.undoing;
        self.beyond_pivot -= one.beyond_pivot;
        self.worn_out -= one.worn_out;
    }
}

/// A copy costs next to nothing, however many steps there are: every step at work holds one.
#[derive(Debug, Clone)]
pub struct State {
    dag: Dag,
    steps: Vector<StepState>,
    tally: Tally,
    planned: Option<(String, u32)>,
    next_seq: i64,
    claim: Option<Claim>,
    fatal: bool,
    cancelled: bool,
    rolled_back_by_operator: bool,
    undoing: bool,
    paused: bool,
    abandoned: Option<String>,
    superseded: bool,
    awaited: Option<String>,
    first_error: Option<(String, String)>,
    ended: Option<SagaOutcome>,
}

impl State {
    pub fn new(dag: &Dag) -> State {
        State {
            dag: dag.clone(),
            steps: dag.nodes().iter().map(|_| StepState::NEW).collect(),
            tally: Tally::default(),
            planned: None,
            next_seq: 1,
            claim: None,
            fatal: false,
            cancelled: false,
            rolled_back_by_operator: false,
            undoing: false,
            paused: false,
            abandoned: None,
            superseded: false,
            awaited: None,
            first_error: None,
            ended: None,
        }
    }

    /// Reads a whole journal. Whoever wrote it is gone: what had begun and not ended was interrupted.
    pub fn replay(dag: &Dag, records: &[Record]) -> Result<State, Corrupt> {
        let mut state = State::new(dag);
        for record in records {
            state.apply(record)?;
        }
        for step in &mut state.steps {
            step.interrupted = matches!(step.phase, StepPhase::Running | StepPhase::Undoing)
                && !planted!(InterruptedForgotten);
        }
        state.count();
        Ok(state)
    }

    /// Adds the next line.
    pub fn apply(&mut self, record: &Record) -> Result<(), Corrupt> {
        if record.seq != self.next_seq {
            return Err(Corrupt(format!(
                "line {} is missing, line {} follows",
                self.next_seq, record.seq
            )));
        }
        if self.planned.is_none() != matches!(record.event, Event::Planned { .. }) {
            return Err(Corrupt(format!(
                "line {}: a journal begins with its plan and has one only",
                record.seq
            )));
        }
        if self.ended.is_some() {
            return Err(Corrupt(format!("line {} follows the end", record.seq)));
        }
        match &record.event {
            Event::Planned { kind, version, .. } => self.planned = Some((kind.clone(), *version)),
            Event::Paused => self.paused = true,
            Event::Resumed => self.paused = false,
            Event::Cancelled => self.cancelled = true,
            Event::OperatorDecision { decision, note } => self.decided(decision, note),
            Event::Abandoned { reason, superseded } => {
                self.abandoned = Some(reason.clone());
                self.superseded |= superseded;
            }
            Event::Ended { outcome } => self.ended = Some(*outcome),
            Event::Intent { step, .. }
            | Event::Done { step, .. }
            | Event::Failed { step, .. }
            | Event::UndoIntent { step, .. }
            | Event::Undone { step }
            | Event::UndoFailed { step, .. } => self.apply_to_step(step, record)?,
        }
        self.next_seq += 1;
        Ok(())
    }

    fn apply_to_step(&mut self, name: &str, record: &Record) -> Result<(), Corrupt> {
        use StepPhase::*;
        let Some(position) = self.dag.position(name) else {
            let (kind, version) = self.planned.clone().unwrap_or_default();
            let text = format!(
                "line {}: version {version} of {kind} has no step '{name}'",
                record.seq
            );
            return Err(Corrupt(text));
        };
        let node = &self.dag.nodes()[position];
        let Some(step) = self.steps.get_mut(position) else {
            return Err(Corrupt(format!("step '{name}' has no state")));
        };
        let legal = match record.event {
            Event::Intent { .. } => matches!(step.phase, Waiting | Running | Failed),
            Event::Done { .. } | Event::Failed { .. } => step.phase == Running,
            Event::UndoIntent { .. } => !matches!(step.phase, Waiting | Undone),
            _ => step.phase == Undoing,
        };
        if !legal {
            let text = format!(
                "line {}: this can't happen to step '{name}', which is {}",
                record.seq,
                step.phase.as_str()
            );
            return Err(Corrupt(text));
        }
        self.tally.forget(node, step);
        match &record.event {
            Event::Intent { attempt, .. } => {
                step.begin(Running);
                step.attempts = *attempt;
                step.started_at.get_or_insert(record.at);
                step.ended_at = None;
            }
            Event::Done { output, .. } => {
                step.end(Done, record.at);
                step.output = Some(Output::of(output));
            }
            Event::Failed { class, message, .. } => {
                step.error = Some((*class, message.clone()));
                step.end(Failed, record.at);
                if step.is_exhausted(node) {
                    // Whether the pivot happened is unknown: then neither direction is safe.
                    let in_doubt = node.kind == StepKind::Pivot
                        && *class == FailureClass::Ambiguous
                        && !planted!(DoubtIsFailure);
                    self.fatal |= node.kind != StepKind::Retriable && !in_doubt;
                    self.first_error
                        .get_or_insert_with(|| (name.to_owned(), message.clone()));
                }
            }
            Event::UndoIntent { attempt, .. } => {
                if !matches!(step.phase, Undoing | UndoFailed) {
                    step.failures = 0;
                }
                step.begin(Undoing);
                step.undo_attempts = *attempt;
                self.undoing = true;
            }
            Event::Undone { .. } => step.end(Undone, record.at),
            Event::UndoFailed { message, .. } => {
                step.error = Some((FailureClass::Retryable, message.clone()));
                step.end(UndoFailed, record.at);
            }
            _ => {}
        }
        self.tally.note(node, step);
        Ok(())
    }

    /// Counts anew what is told of all steps together.
    fn count(&mut self) {
        let mut tally = Tally::default();
        for (node, step) in self.steps() {
            tally.note(node, step);
        }
        self.tally = tally;
    }

    fn decided(&mut self, decision: &str, note: &str) {
        match decision {
            decision::RETRY => {
                for (node, step) in self.dag.nodes().iter().zip(&mut self.steps) {
                    if step.is_exhausted(node) {
                        step.asked = true;
                        step.failures = 0;
                        step.interruptions = 0;
                    }
                }
            }
            decision::ACCEPT => {
                for (node, step) in self.dag.nodes().iter().zip(&mut self.steps) {
                    let undo = matches!(step.phase, StepPhase::Undoing | StepPhase::UndoFailed);
                    if step.is_exhausted(node) && (undo || node.kind == StepKind::Retriable) {
                        step.given_up = true;
                    }
                }
            }
            decision::ROLL_BACK => self.rolled_back_by_operator = true,
            decision::AWAITED => self.awaited = Some(note.to_owned()),
            // A word of a later release; it is on record, and means nothing here.
            _ => {}
        }
        self.count();
    }

    pub fn dag(&self) -> &Dag {
        &self.dag
    }

    /// Kind and version that the journal was planned as.
    pub fn planned(&self) -> Option<(&str, u32)> {
        self.planned
            .as_ref()
            .map(|(kind, version)| (kind.as_str(), *version))
    }

    /// The number of the line that comes next.
    pub fn next_seq(&self) -> i64 {
        self.next_seq
    }

    /// The right by which this engine acts; writes outside the journal take it along.
    pub fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    pub(crate) fn act_for(&mut self, claim: Claim) {
        self.claim = Some(claim);
    }

    /// What the step gave, if it is done.
    pub fn output(&self, step: &str) -> Option<&Output> {
        self.step(step)?.output.as_ref()
    }

    pub fn step(&self, name: &str) -> Option<&StepState> {
        self.dag.position(name).map(|position| &self.steps[position])
    }

    #[cfg(feature = "planted")]
    pub(crate) fn replace_output(&mut self, step: &str, output: Output) {
        if let Some(position) = self.dag.position(step) {
            self.steps[position].output = Some(output);
        }
    }

    pub(crate) fn at(&self, position: usize) -> &StepState {
        &self.steps[position]
    }

    /// All steps, in the order of the plan.
    pub fn steps(&self) -> impl Iterator<Item = (&Node, &StepState)> {
        self.dag.nodes().iter().zip(&self.steps)
    }

    /// The point of no return lies behind.
    pub fn pivot_passed(&self) -> bool {
        self.tally.beyond_pivot > 0
    }

    /// The pivot has begun and nobody knows whether it happened.
    pub fn pivot_in_doubt(&self) -> bool {
        if planted!(DoubtIsFailure) {
            return false;
        }
        self.dag.pivot_position().is_some_and(|position| {
            let step = &self.steps[position];
            match step.phase {
                StepPhase::Running => true,
                StepPhase::Failed => matches!(step.error, Some((FailureClass::Ambiguous, _))),
                _ => false,
            }
        })
    }

    /// Everything is being taken back.
    pub fn is_unwinding(&self) -> bool {
        if self.undoing {
            return true;
        }
        if self.pivot_passed() && !planted!(CancelAfterPivot) {
            return false;
        }
        let doubt_removed = self.rolled_back_by_operator && !self.is_pivot_in_flight();
        doubt_removed || (!self.pivot_in_doubt() && (self.fatal || self.cancelled || self.tally.worn_out > 0))
    }

    fn is_pivot_in_flight(&self) -> bool {
        self.dag
            .pivot_position()
            .is_some_and(|position| self.steps[position].is_in_flight())
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Why the operator gave the saga up.
    pub fn abandoned(&self) -> Option<&str> {
        self.abandoned.as_deref()
    }

    /// Whether another saga goes on with what this one made.
    pub fn is_superseded(&self) -> bool {
        self.superseded
    }

    /// The first failure that no retry was left for: the step and what it said.
    pub fn first_error(&self) -> Option<(&str, &str)> {
        self.first_error
            .as_ref()
            .map(|(step, message)| (step.as_str(), message.as_str()))
    }

    pub fn ended(&self) -> Option<SagaOutcome> {
        self.ended
    }

    pub fn is_idle(&self) -> bool {
        self.tally.running == 0 && self.tally.undoing == 0
    }

    /// Something is still going forward.
    pub(crate) fn is_running(&self) -> bool {
        self.tally.running > 0
    }

    /// Why nothing goes on without an operator, if so.
    pub fn waiting_for_operator(&self) -> Option<String> {
        decide(&self.dag, self, DateTime::<Utc>::MAX_UTC)
            .into_iter()
            .find_map(|action| match action {
                Action::WaitForOperator(reason) => Some(reason),
                _ => None,
            })
    }

    /// What the engine wrote last about a decision that is needed.
    pub fn awaited(&self) -> Option<&str> {
        self.awaited.as_deref()
    }
}
