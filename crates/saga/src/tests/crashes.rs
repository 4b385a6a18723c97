//! The engine dies at every write; the next one goes on from the journal.

use super::behaviour::diamond;
use super::world::{Fault, Scene};
use crate::testing::Trouble;
use crate::*;

/// More writes than any of these sagas makes.
const WRITES: usize = 20;

async fn with_crashes(prepare: impl Fn(&Scene), check: impl Fn(&Scene, Option<SagaOutcome>, Trouble)) {
    for n in 0..WRITES {
        for trouble in [Trouble::FenceBefore(n), Trouble::FenceAfter(n)] {
            let scene = Scene::new(diamond());
            prepare(&scene);
            scene.journal.expect(trouble);
            let end = scene.run().await;
            check(&scene, end, trouble);
            every_prefix_is_readable(&scene);
        }
    }
}

fn every_prefix_is_readable(scene: &Scene) {
    let records = scene.journal.records(scene.saga);
    for length in 1..=records.len() {
        let state = State::replay(&scene.steps.dag, &records[..length]).unwrap();
        let now = records[length - 1].at;
        let actions = decide(&scene.steps.dag, &state, now);
        assert!(
            !actions.is_empty() || state.ended().is_some(),
            "line {length} leaves nothing to do"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_saga_completes_over_a_crash_at_any_write() {
    with_crashes(
        |_| {},
        |scene, end, trouble| {
            assert_eq!(end, Some(SagaOutcome::Completed), "{trouble:?}");
            assert_eq!(scene.world.made().len(), 7, "{trouble:?}");
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_saga_rolls_back_over_a_crash_at_any_write() {
    for step in ["a", "b", "pivot"] {
        with_crashes(
            // Whoever comes next finds the same refusal.
            |scene| scene.world.fail(step, &[Fault::HalfWay; 3]),
            |scene, end, trouble| {
                assert_eq!(end, Some(SagaOutcome::RolledBack), "{step} {trouble:?}");
                assert_eq!(scene.world.things(), [""; 0], "{step} {trouble:?}");
                assert_eq!(scene.state().first_error().unwrap().0, step);
            },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_saga_waits_over_a_crash_at_any_write() {
    with_crashes(
        |scene| scene.world.fail("x", &[Fault::Permanent; 3]),
        |scene, end, trouble| {
            assert_eq!(end, None, "{trouble:?}");
            let state = scene.state();
            assert!(
                state.waiting_for_operator().unwrap().starts_with("step 'x'"),
                "{trouble:?}"
            );
            assert!(state.pivot_passed() && !state.is_unwinding());
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn crashes_alone_do_not_exhaust_a_step_soon() {
    let scene = Scene::new(diamond());
    for _ in 0..12 {
        // The intent of "a" is written, and the engine dies before the effect.
        scene.journal.expect(Trouble::FenceAfter(0));
        assert_eq!(scene.live().await, Some(RunEnd::Lost));
    }
    assert_eq!(scene.state().step("a").unwrap().attempts, 12);
    assert_eq!(
        scene.world.made(),
        [""; 0],
        "the claim is looked at right before the effect"
    );
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));

    // But a step that takes its engine down every time doesn't do so for ever.
    let scene = Scene::new(diamond());
    for _ in 0..21 {
        scene.journal.expect(Trouble::FenceAfter(0));
        assert_eq!(scene.live().await, Some(RunEnd::Lost));
    }
    assert!(scene.state().is_unwinding());
    assert_eq!(scene.run().await, Some(SagaOutcome::RolledBack));
}

#[tokio::test(start_paused = true)]
async fn a_cancel_after_a_crash_at_the_pivot_goes_forward() {
    let mut met = false;
    for n in 0..WRITES {
        let scene = Scene::new(diamond());
        scene.journal.expect(Trouble::FenceBefore(n));
        scene.live().await;
        // The pivot happened, and nobody wrote it down.
        if !scene.state().pivot_in_doubt() {
            continue;
        }
        met = true;
        assert!(scene.world.things().contains(&"pivot".to_owned()));
        scene.ask(Event::Cancelled).await;
        assert!(!scene.state().is_unwinding());
        assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
        assert_eq!(scene.world.made().len(), 7);
    }
    assert!(met);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_comes_after_the_claim_is_lost_is_dropped() {
    let scene = Scene::new(diamond());
    let first = scene.driver();
    let (header, claim) = scene
        .journal
        .claim(&first.owner, scene.options.lease, 1)
        .await
        .unwrap()
        .pop()
        .unwrap();
    let run = first.run_saga(claim.clone(), header, scene.steps.clone());
    let thief = async {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        scene.journal.release(&claim.owner).await.unwrap();
        scene.run().await
    };
    let (first_end, second_end) = tokio::join!(run, thief);
    assert_eq!(first_end, RunEnd::Lost);
    assert_eq!(second_end, Some(SagaOutcome::Completed));
    assert_eq!(scene.world.made().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_clean_stop_writes_down_what_ended_and_starts_nothing() {
    let scene = Scene::new(diamond());
    let driver = scene.driver();
    let (header, claim) = scene
        .journal
        .claim(&driver.owner, scene.options.lease, 1)
        .await
        .unwrap()
        .pop()
        .unwrap();
    let stop = driver.stop_token();
    let (end, ()) = tokio::join!(driver.run_saga(claim, header, scene.steps.clone()), async {
        tokio::time::sleep(std::time::Duration::from_millis(15)).await;
        stop.cancel();
    });
    assert_eq!(end, RunEnd::Stopped);
    let state = scene.state();
    assert_eq!(state.step("a").unwrap().phase, StepPhase::Done);
    assert_eq!(
        state.step("b").unwrap().phase,
        StepPhase::Done,
        "it was at work and ended"
    );
    assert_eq!(state.step("pivot").unwrap().phase, StepPhase::Waiting);
    scene.journal.release(&driver.owner).await.unwrap();
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
}
