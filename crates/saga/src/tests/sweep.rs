//! An engine that comes too late sweeps up after itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::world::Scene;
use crate::testing::node;
use crate::*;
use StepKind::*;

/// Its first call of step `a` sleeps until it is let go on, and has its effect then.
struct Late {
    dag: Dag,
    calls: Mutex<u32>,
    let_go: Notify,
    things: Mutex<BTreeSet<String>>,
    swept: Mutex<Vec<(String, StepPhase)>>,
}

#[async_trait]
impl Steps for Late {
    fn dag(&self) -> &Dag {
        &self.dag
    }

    async fn run(&self, context: StepContext<'_>) -> Result<Value, StepFailure> {
        let call = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls
        };
        if call == 1 {
            self.let_go.notified().await;
        }
        let thing = format!("{} of call {call}", context.step);
        self.things.lock().unwrap().insert(thing.clone());
        Ok(json!(thing))
    }

    async fn undo(&self, _context: StepContext<'_>) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn sweep(&self, context: StepContext<'_>) -> Result<(), StepFailure> {
        let step = context.state.step(context.step).unwrap();
        self.swept
            .lock()
            .unwrap()
            .push((context.step.to_owned(), step.phase));
        let adopted = step
            .output
            .as_ref()
            .and_then(|output| output.parse::<String>().ok());
        let adopted = adopted.as_deref().unwrap_or_default();
        self.things
            .lock()
            .unwrap()
            .retain(|thing| !thing.starts_with(context.step) || thing == adopted);
        Ok(())
    }

    async fn progressed(&self, _state: &State) {}

    async fn settle(&self, _state: &State, _outcome: SagaOutcome) -> Result<(), StepFailure> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_late_call_made_is_removed_and_what_was_adopted_stays() {
    let nodes = || vec![node("a", Compensatable, &[]), node("b", Compensatable, &["a"])];
    let mut scene = Scene::new(nodes());
    scene.options.lease = Duration::from_secs(30);
    let late = Arc::new(Late {
        dag: Dag::new(nodes()).unwrap(),
        calls: Mutex::default(),
        let_go: Notify::new(),
        things: Mutex::default(),
        swept: Mutex::default(),
    });
    let claim = async |driver: &Driver| {
        let claimed = scene.journal.claim(&driver.owner, scene.options.lease, 1).await;
        claimed.unwrap().pop().unwrap()
    };
    let first = scene.driver();
    let (header, claimed) = claim(&first).await;
    let lost = CancellationToken::new();
    let (steps, told) = (late.clone(), lost.clone());
    let stalled = tokio::spawn(async move { first.run_until_lost(claimed, header, steps, told).await });
    tokio::time::sleep(Duration::from_secs(31)).await;

    let second = scene.driver();
    let (header, claimed) = claim(&second).await;
    lost.cancel();
    late.let_go.notify_one();
    let end = second.run_saga(claimed, header, late.clone()).await;
    assert_eq!(end, RunEnd::Ended(SagaOutcome::Completed));
    assert_eq!(stalled.await.unwrap(), RunEnd::Lost);
    assert_eq!(*late.swept.lock().unwrap(), [("a".to_owned(), StepPhase::Done)]);
    let things: Vec<String> = late.things.lock().unwrap().iter().cloned().collect();
    assert_eq!(things, ["a of call 2", "b of call 3"]);
}
