//! The loop around the driver: claims, wake-ups, takeovers, sagas that can't be planned.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use protector_domain::SagaId;
use tokio_util::sync::CancellationToken;

use super::behaviour::diamond;
use super::world::{Making, Scene};
use crate::*;

struct OneKind {
    steps: Arc<Making>,
    knows: Mutex<bool>,
    refusals: Mutex<Vec<String>>,
}

#[async_trait]
impl Planner for OneKind {
    fn plan(&self, header: &SagaHeader) -> Result<Arc<dyn Steps>, String> {
        match *self.knows.lock().unwrap() {
            true => Ok(self.steps.clone()),
            false => Err(format!(
                "this release can't run version {} of {}",
                header.version, header.kind
            )),
        }
    }

    async fn refused(&self, _header: &SagaHeader, _claim: &Claim, reason: &str) {
        self.refusals.lock().unwrap().push(reason.to_owned());
    }
}

fn planner(scene: &Scene, knows: bool) -> Arc<OneKind> {
    Arc::new(OneKind {
        steps: scene.steps.clone(),
        knows: Mutex::new(knows),
        refusals: Mutex::default(),
    })
}

fn short_leases(scene: &mut Scene) {
    scene.options.lease = Duration::from_secs(30);
}

async fn until(scene: &Scene, wanted: impl Fn(&State) -> bool) {
    for _ in 0..10_000 {
        if wanted(&scene.state()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came");
}

#[tokio::test(start_paused = true)]
async fn an_engine_finds_the_saga_and_keeps_its_claim_over_many_leases() {
    let mut scene = Scene::new(diamond());
    short_leases(&mut scene);
    // Nine steps' worth of waiting: far longer than one lease.
    scene.world.fail("x", &[super::world::Fault::Hang; 4]);
    let stop = CancellationToken::new();
    let engine = Engine::new(scene.driver(), planner(&scene, true));
    let running = tokio::spawn(engine.run(stop.clone()));
    until(&scene, |state| state.ended().is_some()).await;
    assert_eq!(scene.state().ended(), Some(SagaOutcome::Completed));
    assert_eq!(
        scene.state().step("x").unwrap().attempts,
        5,
        "one engine did it all"
    );
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_engine_takes_over_when_the_first_one_dies() {
    let mut scene = Scene::new(diamond());
    short_leases(&mut scene);
    scene.world.fail("b", &[super::world::Fault::Hang]);
    let stop = CancellationToken::new();
    let first = tokio::spawn(Engine::new(scene.driver(), planner(&scene, true)).run(stop.clone()));
    until(&scene, |state| state.step("b").unwrap().attempts == 1).await;
    first.abort();
    let second = tokio::spawn(Engine::new(scene.driver(), planner(&scene, true)).run(stop.clone()));
    until(&scene, |state| state.ended().is_some()).await;
    assert_eq!(scene.world.made().len(), 7);
    stop.cancel();
    second.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stopped_engine_gives_its_work_back_at_once() {
    let scene = Scene::new(diamond());
    scene.world.fail("b", &[super::world::Fault::Retryable]);
    let stop = CancellationToken::new();
    let first = tokio::spawn(Engine::new(scene.driver(), planner(&scene, true)).run(stop.clone()));
    until(&scene, |state| state.step("b").unwrap().attempts == 1).await;
    stop.cancel();
    first.await.unwrap();
    // Its lease would have run for years.
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_was_lost_is_not_kept_for_nobody() {
    let mut scene = Scene::new(diamond());
    short_leases(&mut scene);
    scene.journal.expect(crate::testing::Trouble::LoseClaim);
    let stop = CancellationToken::new();
    let running = tokio::spawn(Engine::new(scene.driver(), planner(&scene, true)).run(stop.clone()));
    until(&scene, |state| state.ended() == Some(SagaOutcome::Completed)).await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_saga_that_cannot_be_planned_waits_with_the_reason_and_goes_on_later() {
    let mut scene = Scene::new(diamond());
    short_leases(&mut scene);
    let planner = planner(&scene, false);
    let stop = CancellationToken::new();
    let engine = Engine::new(scene.driver(), planner.clone());
    let waker = engine.waker();
    let running = tokio::spawn(engine.run(stop.clone()));
    let reason = "this release can't run version 1 of making";
    until(&scene, |state| state.awaited() == Some(reason)).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(
        planner.refusals.lock().unwrap().first().map(String::as_str),
        Some(reason)
    );
    assert_eq!(
        scene.journal.records(scene.saga).len(),
        2,
        "said once, and nothing else was done"
    );
    *planner.knows.lock().unwrap() = true;
    waker.wake();
    until(&scene, |state| state.ended() == Some(SagaOutcome::Completed)).await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_saga_that_cannot_be_planned_can_be_given_up() {
    let mut scene = Scene::new(diamond());
    short_leases(&mut scene);
    let stop = CancellationToken::new();
    let running = tokio::spawn(Engine::new(scene.driver(), planner(&scene, false)).run(stop.clone()));
    until(&scene, |state| state.awaited().is_some()).await;
    scene
        .ask(Event::Abandoned {
            reason: "of another age".to_owned(),
            superseded: false,
        })
        .await;
    until(&scene, |state| state.ended() == Some(SagaOutcome::Abandoned)).await;
    stop.cancel();
    running.await.unwrap();
}

/// A database that takes connections and doesn't answer.
struct Hanging(
    Arc<crate::testing::MemoryJournal>,
    Arc<std::sync::atomic::AtomicBool>,
);

#[async_trait]
impl Journal for Hanging {
    async fn claim(
        &self,
        owner: &Owner,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<(SagaHeader, Claim)>, JournalError> {
        self.0.claim(owner, lease, limit).await
    }
    async fn renew(&self, owner: &Owner, lease: Duration) -> Result<Vec<SagaId>, JournalError> {
        if self.1.load(std::sync::atomic::Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.0.renew(owner, lease).await
    }
    async fn release(&self, owner: &Owner) -> Result<(), JournalError> {
        self.0.release(owner).await
    }
    async fn check(&self, claim: &Claim) -> Result<(), JournalError> {
        self.0.check(claim).await
    }
    async fn append(&self, claim: &Claim, events: &[Event]) -> Result<Vec<Record>, JournalError> {
        self.0.append(claim, events).await
    }
    async fn events(&self, saga: SagaId) -> Result<Vec<Record>, JournalError> {
        self.0.events(saga).await
    }
    async fn request(&self, saga: SagaId, event: Event) -> Result<(), JournalError> {
        self.0.request(saga, event).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_pulse_beats_with_the_renewals_and_stops_with_them() {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    let mut scene = Scene::new(diamond());
    short_leases(&mut scene);
    let hangs = Arc::new(AtomicBool::new(false));
    let journal = Arc::new(Hanging(scene.journal.clone(), hangs.clone()));
    let driver = Driver::new(journal, Owner("beating".to_owned()), scene.options.clone());
    let beats = Arc::new(AtomicU32::new(0));
    let counted = beats.clone();
    let engine = Engine::new(driver, planner(&scene, true)).with_pulse(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let stop = CancellationToken::new();
    let running = tokio::spawn(engine.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(95)).await;
    let beaten = beats.load(Ordering::SeqCst);
    assert!(
        (9..=11).contains(&beaten),
        "{beaten} beats in nine thirds of a lease"
    );
    hangs.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let after = beats.load(Ordering::SeqCst);
    assert!(after <= beaten + 1, "it beats on: {after}");
    running.abort();
}
