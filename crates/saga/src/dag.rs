use std::time::Duration;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind { Compensatable, Pivot, Retriable }
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy { pub max_attempts: u32, pub first_delay: Duration, pub max_delay: Duration }
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node { pub name: String, pub kind: StepKind, pub after: Vec<String>, pub retry: RetryPolicy, pub timeout: Duration, /** for progress, e.g. the phase */ pub label: String, /** steps of one lane run at most `limit` at a time */ pub lane: Option<(&'static str, usize)> }
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dag { nodes: Vec<Node> }
#[derive(Debug, thiserror::Error)]
#[error("the plan is not a saga: {0}")]
pub struct DagError(pub String);
impl Dag { pub fn new(nodes: Vec<Node>) -> Result<Dag, DagError> { Ok(Dag { nodes }) } pub fn nodes(&self) -> &[Node] { &self.nodes } }
