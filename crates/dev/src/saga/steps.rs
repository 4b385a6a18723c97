//! The three steps of the demo.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use protector_saga::{
    Dag, FailureClass, Node, Planner, RetryPolicy, SagaHeader, SagaOutcome, State, StepContext, StepFailure,
    StepKind, Steps,
};
use serde_json::{Value, json};

pub(super) const KIND: &str = "demo";
const WAIT: &str = "wait-for-release";
const LAST: &str = "finish";
const LOOK: Duration = Duration::from_millis(100);

/// The file whose being there lets the waiting step go on.
pub(super) fn released(dir: &Path) -> PathBuf {
    dir.join("released")
}

pub(super) struct DemoPlanner {
    dag: Dag,
    dir: PathBuf,
}

impl DemoPlanner {
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let node = |name: &str, after: &[&str]| Node {
            name: name.into(),
            kind: StepKind::Compensatable,
            after: after.iter().map(|one| (*one).into()).collect(),
            undone_after: None,
            retry: RetryPolicy {
                max_attempts: 3,
                first_delay: Duration::from_secs(1),
                max_delay: Duration::from_secs(5),
            },
            timeout: Duration::from_secs(24 * 3600),
            label: "",
            lane: None,
        };
        let dag = Dag::new(vec![
            node("prepare", &[]),
            node(WAIT, &["prepare"]),
            node(LAST, &[WAIT]),
        ])?;
        let dir = dir.to_owned();
        Ok(Self { dag, dir })
    }
}

#[async_trait]
impl Planner for DemoPlanner {
    fn plan(&self, header: &SagaHeader) -> Result<Arc<dyn Steps>, String> {
        Ok(Arc::new(Demo {
            dag: self.dag.clone(),
            released: released(&self.dir),
            fails: wants_to_fail(&header.params),
        }))
    }
}

/// Whether the saga was begun with `--fail`.
fn wants_to_fail(params: &str) -> bool {
    serde_json::from_str::<Value>(params).is_ok_and(|params| params["fail"] == true)
}

struct Demo {
    dag: Dag,
    released: PathBuf,
    fails: bool,
}

#[async_trait]
impl Steps for Demo {
    fn dag(&self) -> &Dag {
        &self.dag
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        while context.step == WAIT && !self.released.exists() {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = context.stop.cancelled() => {
                    return Err(StepFailure { class: FailureClass::Retryable, message: "the engine stops".to_owned() });
                }
            }
        }
        if context.step == LAST && self.fails {
            return Err(StepFailure {
                class: FailureClass::Permanent,
                message: "it was to fail".to_owned(),
            });
        }
        let by = context.state.claim().map(|claim| claim.owner.to_string());
        Ok(json!({ "by": by }))
    }

    async fn undo(&self, _context: StepContext<'_>) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn progressed(&self, _state: &State) {}

    async fn settle(&self, _state: &State, _outcome: SagaOutcome) -> Result<(), StepFailure> {
        Ok(())
    }
}
