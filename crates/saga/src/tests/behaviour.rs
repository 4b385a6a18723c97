//! The rules, one by one.

use std::time::Duration;

use super::world::{Fault, Scene};
use crate::testing::{Trouble, node};
use crate::*;
use StepKind::*;

/// Two branches, the point of no return, two branches.
pub fn diamond() -> Vec<Node> {
    vec![
        node("a", Compensatable, &[]),
        node("b", Compensatable, &["a"]),
        node("c", Compensatable, &["a"]),
        node("pivot", Pivot, &["b", "c"]),
        node("x", Retriable, &["pivot"]),
        node("y", Retriable, &["pivot"]),
        node("end", Retriable, &["x", "y"]),
    ]
}

const ALL: [&str; 7] = ["a", "b", "c", "end", "pivot", "x", "y"];

#[tokio::test(start_paused = true)]
async fn a_saga_without_trouble_makes_everything_once_and_in_order() {
    let scene = Scene::new(diamond());
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
    assert_eq!(scene.world.things(), ALL);
    assert_eq!(scene.world.made().len(), ALL.len());
    assert_eq!(*scene.world.settled.lock().unwrap(), [SagaOutcome::Completed]);
    let state = scene.state();
    assert_eq!(state.ended(), Some(SagaOutcome::Completed));
    let made = state.output("x").and_then(|output| output.get("made"));
    assert_eq!(made, Some(serde_json::json!("x")));
    assert!(
        state
            .steps()
            .all(|(_, step)| step.attempts == 1 && step.started_at <= step.ended_at)
    );
}

#[tokio::test(start_paused = true)]
async fn a_final_failure_before_the_pivot_leaves_nothing_wherever_it_happens() {
    for step in ["a", "b", "c", "pivot"] {
        for fault in [Fault::Permanent, Fault::HalfWay, Fault::Panic] {
            let scene = Scene::new(diamond());
            scene.world.fail(step, &[fault]);
            assert_eq!(
                scene.run().await,
                Some(SagaOutcome::RolledBack),
                "{step} {fault:?}"
            );
            assert_eq!(scene.world.things(), [""; 0], "{step} {fault:?}");
            let state = scene.state();
            assert_eq!(state.first_error().unwrap().0, step, "it failed elsewhere");
            assert_eq!(state.step("x").unwrap().phase, StepPhase::Waiting);
            // What failed is undone too: it may have happened in part.
            assert_eq!(state.step(step).unwrap().phase, StepPhase::Undone);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn undoing_goes_backwards() {
    let scene = Scene::new(diamond());
    scene.world.fail("pivot", &[Fault::HalfWay]);
    scene.run().await;
    let removed = scene.world.removed();
    assert_eq!(removed.first().map(String::as_str), Some("pivot"));
    assert_eq!(removed.last().map(String::as_str), Some("a"));
    assert_eq!(removed.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_still_runs_ends_before_the_way_back_begins() {
    let scene = Scene::new(diamond());
    scene.world.fail("b", &[Fault::Permanent]);
    scene.world.fail("c", &[Fault::Hang]);
    assert_eq!(scene.run().await, Some(SagaOutcome::RolledBack));
    let records = scene.journal.records(scene.saga);
    let place = |wanted: fn(&Event) -> bool| records.iter().position(|record| wanted(&record.event)).unwrap();
    let c_failed = place(|event| matches!(event, Event::Failed { step, .. } if step == "c"));
    assert!(c_failed < place(|event| matches!(event, Event::UndoIntent { .. })));
    assert_eq!(
        scene.state().step("c").unwrap().attempts,
        1,
        "nothing is tried again on the way back"
    );
}

#[tokio::test(start_paused = true)]
async fn passing_failures_are_tried_again_after_a_growing_delay() {
    let scene = Scene::new(diamond());
    scene.world.fail(
        "b",
        &[
            Fault::Retryable,
            Fault::AnswerLost,
            Fault::RequestLost,
            Fault::Hang,
        ],
    );
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
    assert_eq!(scene.world.made().len(), ALL.len(), "nothing was made twice");
    let intents: Vec<_> = scene
        .journal
        .records(scene.saga)
        .into_iter()
        .filter(|record| matches!(&record.event, Event::Intent { step, .. } if step == "b"))
        .map(|record| record.at)
        .collect();
    assert_eq!(intents.len(), 5);
    let waits: Vec<i64> = intents
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).num_seconds())
        .collect();
    // The last one includes the timeout of the attempt that hung.
    assert_eq!(waits, [1, 2, 4, 68]);
    let state = scene.state();
    assert_eq!(state.step("b").unwrap().attempts, 5);
    assert_eq!(state.first_error(), None);
}

#[tokio::test(start_paused = true)]
async fn exhausted_attempts_before_the_pivot_roll_back() {
    let scene = Scene::new(diamond());
    scene.world.fail("c", &[Fault::Retryable; 5]);
    assert_eq!(scene.run().await, Some(SagaOutcome::RolledBack));
    assert_eq!(scene.world.things(), [""; 0]);
    assert_eq!(scene.state().first_error(), Some(("c", "busy")));
}

#[tokio::test(start_paused = true)]
async fn after_the_pivot_the_saga_waits_and_a_retry_completes_it() {
    for fault in [Fault::Permanent, Fault::Panic] {
        let scene = Scene::new(diamond());
        scene.world.fail("x", &[fault]);
        assert_eq!(scene.run().await, None);
        let state = scene.state();
        assert_eq!(state.first_error().unwrap().0, "x");
        assert!(
            state
                .waiting_for_operator()
                .unwrap()
                .starts_with("step 'x' failed: ")
        );
        // Everything else went as far as it could.
        assert_eq!(state.step("y").unwrap().phase, StepPhase::Done);
        assert!(!state.is_unwinding());
        scene.decide(decision::RETRY).await;
        assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
        assert_eq!(scene.world.things(), ALL);
    }
}

#[tokio::test(start_paused = true)]
async fn the_operator_may_go_on_without_a_step() {
    let scene = Scene::new(diamond());
    scene.world.fail("x", &[Fault::Retryable; 5]);
    assert_eq!(scene.run().await, None);
    scene.decide(decision::ACCEPT).await;
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
    assert!(scene.state().step("x").unwrap().given_up);
    assert_eq!(scene.world.things(), ["a", "b", "c", "end", "pivot", "y"]);
}

#[tokio::test(start_paused = true)]
async fn a_pivot_that_may_have_happened_is_never_undone_by_itself() {
    let scene = Scene::new(diamond());
    scene.world.fail("pivot", &[Fault::AnswerLost; 5]);
    scene.ask(Event::Cancelled).await;
    // Cancelled before it began: that is not in doubt.
    assert_eq!(scene.run().await, Some(SagaOutcome::RolledBack));

    let scene = Scene::new(diamond());
    scene.world.fail("pivot", &[Fault::AnswerLost; 5]);
    assert_eq!(scene.run().await, None);
    let state = scene.state();
    assert!(state.pivot_in_doubt() && !state.is_unwinding());
    assert!(state.waiting_for_operator().unwrap().contains("'pivot'"));
    // Cancelling doesn't make it any clearer.
    scene.ask(Event::Cancelled).await;
    assert_eq!(scene.run().await, None);
    scene.decide(decision::RETRY).await;
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_pivot_that_was_in_doubt_has_all_its_tries_again_after_the_operators_word() {
    let scene = Scene::new(diamond());
    let faults = [&[Fault::RequestLost; 5][..], &[Fault::Retryable; 4]].concat();
    scene.world.fail("pivot", &faults);
    assert_eq!(scene.run().await, None);
    scene.decide(decision::RETRY).await;
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
}

#[tokio::test(start_paused = true)]
async fn the_operator_may_say_that_the_pivot_has_not_happened() {
    let scene = Scene::new(diamond());
    scene.world.fail("pivot", &[Fault::RequestLost; 5]);
    assert_eq!(scene.run().await, None);
    scene.decide(decision::ROLL_BACK).await;
    assert_eq!(scene.run().await, Some(SagaOutcome::RolledBack));
    assert_eq!(scene.world.things(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_undo_is_tried_again_and_then_needs_the_operator() {
    let scene = Scene::new(diamond());
    scene.world.fail("pivot", &[Fault::Permanent]);
    scene
        .world
        .fail_undo("b", &[Fault::Retryable, Fault::Hang, Fault::AnswerLost]);
    assert_eq!(scene.run().await, Some(SagaOutcome::RolledBack));
    assert_eq!(scene.state().step("b").unwrap().undo_attempts, 4);

    let scene = Scene::new(diamond());
    scene.world.fail("pivot", &[Fault::Permanent]);
    scene.world.fail_undo("b", &[Fault::Permanent; 5]);
    assert_eq!(scene.run().await, None);
    assert_eq!(
        scene.state().waiting_for_operator().as_deref(),
        Some("undoing step 'b' failed: refused")
    );
    assert_eq!(
        scene.world.things(),
        ["a", "b"],
        "a stays, because b stands on it"
    );
    scene.decide(decision::RETRY).await;
    assert_eq!(scene.run().await, Some(SagaOutcome::RolledBack));
    assert_eq!(scene.world.things(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_matters_most_is_not_held_up_by_what_cannot_be_undone() {
    let scene = Scene::new(vec![
        Node {
            undone_after: Some(vec!["c".into()]),
            ..node("a", Compensatable, &[])
        },
        node("b", Compensatable, &["a"]),
        node("c", Compensatable, &["b"]),
        node("p", Pivot, &["c"]),
    ]);
    scene.world.fail("p", &[Fault::Permanent]);
    scene.world.fail_undo("b", &[Fault::Permanent; 5]);
    assert_eq!(scene.run().await, None);
    assert_eq!(scene.world.things(), ["b"], "a waits for c alone");
    scene.decide(decision::RETRY).await;
    assert_eq!(scene.run().await, Some(SagaOutcome::RolledBack));
    assert_eq!(scene.world.things(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_left_something_is_not_called_one() {
    let scene = Scene::new(diamond());
    scene.world.fail("c", &[Fault::HalfWay]);
    scene.world.fail_undo("c", &[Fault::Permanent; 5]);
    assert_eq!(scene.run().await, None);
    scene.decide(decision::ACCEPT).await;
    assert_eq!(scene.run().await, Some(SagaOutcome::Abandoned));
    assert_eq!(scene.world.things(), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_counts_before_the_pivot_only() {
    let scene = Scene::new(diamond());
    scene.world.fail("b", &[Fault::Retryable; 3]);
    let (end, ()) = tokio::join!(scene.run(), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        scene.ask(Event::Cancelled).await;
    });
    assert_eq!(end, Some(SagaOutcome::RolledBack));
    assert!(scene.state().is_cancelled());
    assert_eq!(scene.world.things(), [""; 0]);

    let scene = Scene::new(diamond());
    scene.world.fail("x", &[Fault::Retryable; 3]);
    let (end, ()) = tokio::join!(scene.run(), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        scene.ask(Event::Cancelled).await;
    });
    assert_eq!(end, Some(SagaOutcome::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_paused_saga_starts_nothing_until_it_is_resumed() {
    let scene = Scene::new(diamond());
    scene.ask(Event::Paused).await;
    assert_eq!(scene.run().await, None);
    assert_eq!(scene.world.made(), [""; 0]);
    scene.ask(Event::Resumed).await;
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_saga_ends_as_it_is() {
    let scene = Scene::new(diamond());
    scene.world.fail("x", &[Fault::Permanent]);
    assert_eq!(scene.run().await, None);
    scene
        .ask(Event::Abandoned {
            reason: "rebuilt by hand".to_owned(),
            superseded: false,
        })
        .await;
    assert_eq!(scene.run().await, Some(SagaOutcome::Abandoned));
    assert_eq!(*scene.world.settled.lock().unwrap(), [SagaOutcome::Abandoned]);
    assert_eq!(scene.state().abandoned(), Some("rebuilt by hand"));
}

#[tokio::test(start_paused = true)]
async fn a_lane_and_the_options_bound_what_runs_at_once() {
    let wide = |lane| {
        (0..12)
            .map(|n| Node {
                lane,
                ..node(&format!("s{n}"), Retriable, &[])
            })
            .collect::<Vec<Node>>()
    };
    let scene = Scene::new(wide(Some(("volumes", 3))));
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
    assert_eq!(scene.world.peak.lock().unwrap().1, 3);

    let mut scene = Scene::new(wide(None));
    scene.options.max_parallel = 5;
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
    assert_eq!(scene.world.peak.lock().unwrap().1, 5);

    let scene = Scene::new(wide(None));
    assert_eq!(scene.run().await, Some(SagaOutcome::Completed));
    // The plan, one transaction of intents and a few of outcomes, the end.
    assert!(
        scene.journal.appends() < 8,
        "{} transactions",
        scene.journal.appends()
    );
}

#[tokio::test(start_paused = true)]
async fn a_database_that_fails_never_makes_an_effect_happen_twice() {
    for n in 0..12 {
        for trouble in [Trouble::Refuse(n), Trouble::LoseAnswer(n)] {
            let scene = Scene::new(diamond());
            scene.journal.expect(trouble);
            assert_eq!(
                scene.live().await,
                Some(RunEnd::Ended(SagaOutcome::Completed)),
                "{trouble:?}"
            );
            let state = scene.state();
            assert!(state.steps().all(|(_, step)| step.attempts == 1), "{trouble:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_of_another_plan_is_refused_with_the_reason() {
    let scene = Scene::new(diamond());
    let driver = scene.driver();
    let (mut header, claim) = scene
        .journal
        .claim(&driver.owner, scene.options.lease, 1)
        .await
        .unwrap()
        .pop()
        .unwrap();
    header.version = 2;
    let end = driver.run_saga(claim, header, scene.steps.clone()).await;
    let RunEnd::Refused(reason) = end else {
        panic!("{end:?}")
    };
    assert!(
        reason.ends_with(
            "can't be read: it was written by version 1 of making, and is to be read as version 2 of making"
        ),
        "{reason}"
    );

    let scene = Scene::new(diamond());
    scene.run().await;
    let shorter = Dag::new(vec![node("a", Compensatable, &[])]).unwrap();
    let corrupt = State::replay(&shorter, &scene.journal.records(scene.saga))
        .unwrap_err()
        .to_string();
    assert!(
        corrupt.contains("version 1 of making has no step 'b'"),
        "{corrupt}"
    );
}

#[test]
fn a_journal_that_contradicts_itself_is_refused() {
    let dag = Dag::new(vec![node("a", Compensatable, &[])]).unwrap();
    let at = chrono::DateTime::UNIX_EPOCH;
    let planned = Event::Planned {
        kind: "k".to_owned(),
        version: 1,
    };
    let done = Event::Done {
        step: "a".to_owned(),
        output: serde_json::Value::Null,
    };
    let records = |events: Vec<(i64, Event)>| {
        let records: Vec<Record> = events
            .into_iter()
            .map(|(seq, event)| Record { seq, at, event })
            .collect();
        State::replay(&dag, &records).unwrap_err().to_string()
    };
    assert!(records(vec![(1, done.clone())]).contains("begins with its plan"));
    assert!(records(vec![(1, planned.clone()), (2, done)]).contains("step 'a', which is waiting"));
    assert!(records(vec![(1, planned.clone()), (3, Event::Paused)]).contains("line 2 is missing"));
    let ended = Event::Ended {
        outcome: SagaOutcome::Completed,
    };
    assert!(records(vec![(1, planned), (2, ended), (3, Event::Paused)]).contains("follows the end"));
}
