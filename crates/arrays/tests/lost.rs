//! Every change of every verb loses its answer once, in turn; the verb, asked for again, ends where it should.

use protector_ports::array::{Array, ArrayPair};
use protector_ports::{Class, PortResult};
use protector_sim::http::{Action, CallFilter, Rule};

use super::{GROUP, Lab, mark, names, spec};

#[derive(Debug, Clone, Copy)]
enum Verb {
    Ensure,
    Add,
    Snapshot,
    Fence,
    Clone,
    DestroyClone,
    DropSnapshot,
    Remove,
    RemoveGroup,
}

const VERBS: [Verb; 9] = [
    Verb::Ensure,
    Verb::Add,
    Verb::Snapshot,
    Verb::Fence,
    Verb::Clone,
    Verb::DestroyClone,
    Verb::DropSnapshot,
    Verb::Remove,
    Verb::RemoveGroup,
];

async fn act(verb: Verb, driver: &dyn Array, pair: &ArrayPair) -> PortResult<()> {
    let volumes = names(&["v-1", "v-2"]);
    match verb {
        Verb::Ensure => driver.ensure_group(pair, &spec(), &volumes).await.map(drop),
        Verb::Add => driver.add_volumes(&pair.source, GROUP, &volumes).await,
        Verb::Snapshot => driver.snapshot(pair, GROUP, "dr-1").await,
        Verb::Fence => {
            driver.set_schedule(&pair.source, GROUP, false).await?;
            driver.set_allowed(&pair.target, "fa-a", GROUP, false).await
        }
        Verb::Clone => driver
            .clone_volume(pair, GROUP, "dr-1", "v-1", "dr-op1-0", &mark("v-1"))
            .await
            .map(drop),
        Verb::DestroyClone => driver.destroy_volume(&pair.target, "dr-op1-0").await,
        Verb::DropSnapshot => driver.remove_snapshot(pair, GROUP, "dr-1").await,
        Verb::Remove => driver.remove_volumes(&pair.source, GROUP, &volumes).await,
        Verb::RemoveGroup => driver.remove_group(pair, GROUP, true).await,
    }
}

/// What counts of the arrays' state in the end.
fn outcome(lab: &Lab) -> Vec<(String, bool, usize)> {
    let mut outcome = Vec::new();
    for array in ["fa-a", "fa-b"] {
        let state = lab.fabric.state(array).unwrap();
        for table in ["volumes", "groups", "group_snapshots"] {
            for item in state[table].as_array().unwrap() {
                let destroyed = item["destroyed"] == true;
                let members = item["volume_count"].as_u64().unwrap_or(0);
                outcome.push((
                    format!("{array} {table} {}", item["name"]),
                    destroyed,
                    members as usize,
                ));
            }
        }
    }
    outcome.sort();
    outcome
}

/// All verbs in their order; the `nth` change of `verb` is carried out without an answer. Says how many changes
/// the verb made, and how it ended.
async fn run(disturbed: Verb, nth: Option<u64>) -> (usize, Vec<(String, bool, usize)>) {
    let lab = Lab::start().await;
    for volume in ["v-1", "v-2"] {
        lab.make_volume("fa-a", volume).await;
    }
    let mut changes = 0;
    for verb in VERBS {
        let this = format!("{verb:?}") == format!("{disturbed:?}");
        let before = changed(&lab);
        if let Some(nth) = nth.filter(|_| this) {
            let mut seen = 0;
            // Both arrays count for themselves; the change is on one of them.
            for array in ["fa-a", "fa-b"] {
                for method in ["POST", "PATCH", "PUT", "DELETE"] {
                    seen += 1;
                    let rule = Rule::on(method, "/2\\.[0-9]+/(protection|volume)")
                        .nth(nth)
                        .times(1)
                        .act(Action::LostAnswer);
                    lab.fabric.faults(array).unwrap().add(rule).unwrap();
                }
            }
            assert!(seen > 0);
            let mut tries = 0;
            while let Err(error) = act(verb, lab.driver.as_ref(), &lab.pair).await {
                assert_eq!(error.class, Class::Ambiguous, "{verb:?} {nth}: {error}");
                tries += 1;
                assert!(tries < 20, "{verb:?} {nth}: {error}");
            }
            for array in ["fa-a", "fa-b"] {
                lab.fabric.faults(array).unwrap().clear();
            }
        } else {
            act(verb, lab.driver.as_ref(), &lab.pair)
                .await
                .unwrap_or_else(|error| panic!("{verb:?}: {error}"));
        }
        if matches!(verb, Verb::Snapshot) {
            lab.arrived("dr-1").await;
        }
        if this {
            changes = changed(&lab) - before;
        }
    }
    (changes, outcome(&lab))
}

fn changed(lab: &Lab) -> usize {
    let calls = lab.fabric.calls().calls(&CallFilter::default());
    calls
        .iter()
        .filter(|call| call.method != "GET" && !call.path.ends_with("login"))
        .count()
}

#[tokio::test]
async fn c6_no_lost_answer_changes_the_end() {
    let (_, wanted) = run(Verb::Ensure, None).await;
    for verb in VERBS {
        let (changes, undisturbed) = run(verb, None).await;
        assert!(changes > 0, "{verb:?}");
        assert_eq!(undisturbed, wanted);
        for nth in 1..=3_u64.min(changes as u64) {
            let (_, end) = run(verb, Some(nth)).await;
            assert_eq!(end, wanted, "{verb:?}, change {nth}");
        }
    }
}
