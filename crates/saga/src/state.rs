use crate::event::{FailureClass, Record};
use chrono::{DateTime, Utc};
use serde_json::Value;
#[derive(Debug, Clone, PartialEq)]
pub enum StepPhase { Waiting, Running, Done, Failed, Undoing, Undone, UndoFailed }
#[derive(Debug, Clone, PartialEq)]
pub struct StepState { pub phase: StepPhase, pub attempts: u32, pub undo_attempts: u32, pub started_at: Option<DateTime<Utc>>, pub ended_at: Option<DateTime<Utc>>, pub output: Option<Value>, pub error: Option<(FailureClass, String)> }
pub struct State { }
impl State { pub fn replay(_dag: &crate::Dag, _records: &[Record]) -> State { State {} } pub fn output(&self, _step: &str) -> Option<&Value> { None } }
