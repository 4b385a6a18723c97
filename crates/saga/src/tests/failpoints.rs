//! Failpoints hit what they name, where they say, as often as they say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;

use super::behaviour::diamond;
use super::world::{Making, Scene};
use crate::*;

struct Plans(Arc<Making>);

#[async_trait]
impl Planner for Plans {
    fn plan(&self, _header: &SagaHeader) -> Result<Arc<dyn Steps>, String> {
        Ok(self.0.clone())
    }
}

static STOPS: AtomicU32 = AtomicU32::new(0);

fn stop() {
    STOPS.fetch_add(1, Ordering::SeqCst);
}

/// The saga of the diamond with these failpoints; its scene afterwards.
async fn run(list: &str) -> (Scene, SagaOutcome) {
    let scene = Scene::new(diamond());
    let failpoints = Failpoints::parse(list, stop).unwrap();
    let journal = failpoints.around_journal(scene.journal.clone());
    let planner = failpoints.around_planner(Arc::new(Plans(scene.steps.clone())));
    let driver = Driver::new(journal.clone(), Owner("engine".to_owned()), scene.options.clone());
    let claimed = journal.claim(&driver.owner, scene.options.lease, 1).await;
    let (header, claim) = claimed.unwrap().pop().unwrap();
    let steps = planner.plan(&header).unwrap();
    match driver.run_saga(claim, header, steps).await {
        RunEnd::Ended(outcome) => (scene, outcome),
        end => panic!("{list}: {end:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_failure_befalls_its_step_and_no_other() {
    use SagaOutcome::{Completed, RolledBack};
    for (list, outcome, attempts, failures) in [
        ("b@before-intent=error", Completed, 1, 0),
        ("b@before-intent=lost", Completed, 1, 0),
        ("b@before-call=error", RolledBack, 1, 1),
        ("b@before-call=lost", Completed, 2, 1),
        ("b@before-call=retryable*2", Completed, 3, 2),
        ("b@before-call=twice", Completed, 1, 0),
        ("b@after-call=error", RolledBack, 1, 1),
        ("b@after-call=lost", Completed, 2, 1),
        ("b@after-call=twice", Completed, 1, 0),
        ("b@after-outcome=error", Completed, 1, 0),
        ("b@after-outcome=lost", Completed, 1, 0),
    ] {
        let (scene, ended) = run(list).await;
        assert_eq!(ended, outcome, "{list}");
        let things = if ended == Completed { 7 } else { 0 };
        assert_eq!(scene.world.things().len(), things, "{list}");
        assert_eq!(scene.state().step("b").unwrap().attempts, attempts, "{list}");
        let records = scene.journal.records(scene.saga);
        let failed = records.iter().filter(|record| match &record.event {
            Event::Failed { step, .. } => {
                assert_eq!(step, "b", "{list}");
                true
            }
            _ => false,
        });
        assert_eq!(failed.count(), failures, "{list}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_way_back_is_hit_too() {
    for list in [
        "pivot@before-call=error; undo:b@before-intent=error",
        "pivot@before-call=error; undo:b@before-call=error*2",
        "pivot@before-call=error; undo:b@after-call=lost",
        "pivot@before-call=error; undo:b@before-call=twice",
        "pivot@before-call=error; undo:b@after-outcome=lost",
    ] {
        let (scene, ended) = run(list).await;
        assert_eq!(ended, SagaOutcome::RolledBack, "{list}");
        assert_eq!(scene.world.things(), [""; 0], "{list}");
        let tries = scene.state().step("b").unwrap().undo_attempts;
        let wanted = if list.contains("error*2") {
            3
        } else {
            u32::from(list.contains("after-call")) + 1
        };
        assert_eq!(tries, wanted, "{list}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_stops_at_its_point_once() {
    let before = STOPS.load(Ordering::SeqCst);
    let list = "a@before-intent=stop; b@before-call=stop; c@after-call=stop; x@after-outcome=stop; never@before-call=stop";
    let (_, ended) = run(list).await;
    assert_eq!(ended, SagaOutcome::Completed);
    assert_eq!(STOPS.load(Ordering::SeqCst) - before, 4);
}
