//! Any plan, any failures, crashes anywhere: the saga comes to one of its ends, and the world agrees.

use std::sync::Arc;

use proptest::prelude::*;

use super::world::{Fault, Scene};
use crate::testing::{Trouble, node};
use crate::*;

#[derive(Debug, Clone)]
struct Plan {
    nodes: Vec<Node>,
}

/// Before the pivot, the pivot, after it; or one of the two sides alone.
fn plans() -> impl Strategy<Value = Plan> {
    let edges = proptest::collection::vec(any::<u64>(), 12);
    (0usize..6, 0usize..5, any::<bool>(), edges, any::<bool>()).prop_map(
        |(before, after, pivot, edges, laned)| {
            let mut nodes: Vec<Node> = Vec::new();
            let choose = |names: &[Arc<str>], bits: u64| -> Vec<Arc<str>> {
                names
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| bits >> i & 1 == 1)
                    .map(|(_, name)| name.clone())
                    .collect()
            };
            let lane = laned.then_some(("lane", 2));
            let mut names = Vec::new();
            for bits in edges.iter().take(before) {
                let name = format!("b{}", names.len());
                let after = choose(&names, *bits);
                nodes.push(Node {
                    after,
                    lane,
                    ..node(&name, StepKind::Compensatable, &[])
                });
                names.push(name.into());
            }
            if pivot || before > 0 && after > 0 {
                nodes.push(Node {
                    after: names,
                    ..node("pivot", StepKind::Pivot, &[])
                });
            }
            let first: Vec<Arc<str>> = nodes
                .iter()
                .filter(|node| node.kind == StepKind::Pivot)
                .map(|n| n.name.clone())
                .collect();
            let mut names = Vec::new();
            for bits in edges.iter().rev().take(after) {
                let name = format!("f{}", names.len());
                let after = [first.clone(), choose(&names, *bits)].concat();
                nodes.push(Node {
                    after,
                    lane,
                    ..node(&name, StepKind::Retriable, &[])
                });
                names.push(name.into());
            }
            Plan { nodes }
        },
    )
}

fn faults() -> impl Strategy<Value = Vec<Option<Fault>>> {
    let fault = prop_oneof![
        4 => Just(None),
        2 => Just(Some(Fault::Retryable)),
        1 => Just(Some(Fault::Permanent)),
        1 => Just(Some(Fault::HalfWay)),
        2 => Just(Some(Fault::AnswerLost)),
        2 => Just(Some(Fault::RequestLost)),
        1 => Just(Some(Fault::Hang)),
    ];
    proptest::collection::vec(fault, 0..7)
}

fn troubles() -> impl Strategy<Value = Vec<Trouble>> {
    let trouble = (0usize..8, 0u8..4).prop_map(|(n, kind)| match kind {
        0 => Trouble::FenceBefore(n),
        1 => Trouble::FenceAfter(n),
        2 => Trouble::Refuse(n),
        _ => Trouble::LoseAnswer(n),
    });
    proptest::collection::vec(trouble, 0..5)
}

async fn check(scene: &Scene, troubles: Vec<Trouble>, cancel_after: Option<u64>, faulty: &[Arc<str>]) {
    let work = async {
        for trouble in troubles {
            scene.journal.expect(trouble);
            match scene.live().await {
                Some(RunEnd::Ended(outcome)) => return Some(outcome),
                Some(RunEnd::Lost) => {}
                Some(end) => panic!("unexpected end: {end:?}"),
                None => return None,
            }
        }
        scene.run().await
    };
    let cancel = async {
        if let Some(after) = cancel_after {
            tokio::time::sleep(std::time::Duration::from_millis(after)).await;
            scene.ask(Event::Cancelled).await;
        }
    };
    let (end, ()) = tokio::join!(work, cancel);
    let state = scene.state();
    let all: Vec<&str> = state.steps().map(|(node, _)| &*node.name).collect();
    let things = scene.world.things();
    let made = scene.world.made();
    assert_eq!(state.ended(), end);
    match end {
        Some(SagaOutcome::Completed) => {
            assert_eq!(things.len(), all.len());
            assert_eq!(made.len(), all.len(), "something was made twice");
            assert!(state.first_error().is_none());
        }
        Some(SagaOutcome::RolledBack) => {
            assert_eq!(things, [""; 0]);
            assert!(!state.pivot_passed());
            assert!(
                !made.iter().any(|name| name.starts_with('f')),
                "it went beyond the pivot"
            );
            match state.first_error() {
                Some((step, _)) => assert!(
                    faulty.iter().any(|name| **name == *step),
                    "{step} was no injected failure"
                ),
                None => assert!(state.is_cancelled()),
            }
        }
        Some(SagaOutcome::Abandoned) => panic!("nobody abandoned it"),
        None => {
            let reason = state
                .waiting_for_operator()
                .expect("it ended or waits for the operator");
            assert!(
                faulty.iter().any(|name| reason.contains(&format!("'{name}'"))),
                "{reason}"
            );
            assert!(state.pivot_passed() || state.pivot_in_doubt() || state.is_unwinding());
        }
    }
    // Nothing was made before what it stands on.
    for (place, name) in made.iter().enumerate() {
        for before in state.dag().ancestors(name) {
            assert!(
                made[..place].iter().any(|earlier| earlier == before),
                "{name} came before {before}"
            );
        }
    }
    // Nothing was removed before what stood on it.
    let removed = scene.world.removed();
    for (place, name) in removed.iter().enumerate() {
        for before in state.dag().ancestors(name) {
            assert!(
                !removed[..place].iter().any(|earlier| earlier == before),
                "{before} went before {name}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_saga_comes_to_an_end_that_the_world_agrees_with(
        plan in plans(),
        run_faults in proptest::collection::vec(faults(), 12),
        undo_faults in proptest::collection::vec(faults(), 12),
        spoil in any::<u16>(),
        troubles in troubles(),
        cancel_after in proptest::option::weighted(0.3, 0u64..3_000),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let scene = Scene::new(plan.nodes.clone());
            let mut faulty = Vec::new();
            for (i, node) in plan.nodes.iter().enumerate().filter(|(i, _)| spoil >> i & 1 == 1) {
                scene.world.faults.lock().unwrap().insert(node.name.to_string(), run_faults[i].clone());
                scene.world.undo_faults.lock().unwrap().insert(node.name.to_string(), undo_faults[i].clone());
                faulty.push(node.name.clone());
            }
            check(&scene, troubles, cancel_after, &faulty).await;
        });
    }
}
