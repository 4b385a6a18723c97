//! Every change of every verb loses its answer once, in turn; the verb, asked for again, ends where it should.

use std::collections::BTreeMap;

use protector_ports::array::{Adopted, Array, ArrayPair};
use protector_ports::{Class, PortResult};
use protector_sim::http::{Action, Rule};
use serde_json::Value;

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

const METHODS: [&str; 4] = ["POST", "PATCH", "PUT", "DELETE"];

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

/// What counts of the arrays' state: no ids and times, no snapshots that the schedule makes.
fn outcome(lab: &Lab) -> BTreeMap<String, Value> {
    let mut outcome = BTreeMap::new();
    for array in ["fa-a", "fa-b"] {
        let state = lab.fabric.state(array).unwrap();
        for (table, fields) in [
            ("volumes", &["destroyed", "tags", "markers"][..]),
            ("groups", &["destroyed", "volumes", "targets", "allowed"]),
            ("group_snapshots", &["destroyed", "members", "ages"]),
        ] {
            for item in state[table].as_array().unwrap() {
                let name = item["name"].as_str().unwrap();
                let by_schedule = name
                    .rsplit_once('.')
                    .is_some_and(|(_, suffix)| suffix.parse::<u64>().is_ok());
                if by_schedule {
                    continue;
                }
                let mut kept: Vec<Value> = fields.iter().map(|field| item[*field].clone()).collect();
                kept.push(item["replication_schedule"]["enabled"].clone());
                outcome.insert(format!("{array} {table} {name}"), Value::Array(kept));
            }
        }
    }
    outcome
}

/// All verbs in their order, and the state after each. The `nth` change by one method, within the verb at `at`,
/// is carried out without an answer; says how often that happened.
async fn run(disturbed: Option<(usize, u64)>) -> (usize, Vec<BTreeMap<String, Value>>) {
    let lab = Lab::start().await;
    for volume in ["v-1", "v-2"] {
        lab.make_volume("fa-a", volume).await;
        lab.fabric.write("fa-a", volume, "truth").unwrap();
    }
    let (mut lost, mut outcomes) = (0, Vec::new());
    for (at, verb) in VERBS.into_iter().enumerate() {
        if let Some((_, nth)) = disturbed.filter(|(which, _)| *which == at) {
            for (array, method) in ["fa-a", "fa-b"]
                .into_iter()
                .flat_map(|array| METHODS.map(|method| (array, method)))
            {
                let rule = Rule::on(method, "/(protection-|volumes)")
                    .nth(nth)
                    .times(1)
                    .act(Action::LostAnswer);
                lab.fabric.faults(array).unwrap().add(rule).unwrap();
            }
            while let Err(error) = act(verb, lab.driver.as_ref(), &lab.pair).await {
                assert_eq!(error.class, Class::Ambiguous, "{verb:?} {nth}: {error}");
                lost += 1;
                assert!(lost < 20, "{verb:?} {nth}: {error}");
            }
            for array in ["fa-a", "fa-b"] {
                lab.fabric.faults(array).unwrap().clear();
            }
        } else {
            let done = act(verb, lab.driver.as_ref(), &lab.pair).await;
            done.unwrap_or_else(|error| panic!("{verb:?}: {error}"));
        }
        if matches!(verb, Verb::Snapshot) {
            lab.arrived("dr-1").await;
        }
        outcomes.push(outcome(&lab));
    }
    (lost, outcomes)
}

#[tokio::test]
async fn no_lost_answer_changes_the_end() {
    let (_, wanted) = run(None).await;
    for (at, verb) in VERBS.into_iter().enumerate() {
        for nth in 1..=3 {
            let (lost, outcomes) = run(Some((at, nth))).await;
            assert_eq!(outcomes, wanted, "{verb:?}, change {nth}");
            assert!(lost > 0 || nth > 1, "{verb:?} lost nothing");
            if lost == 0 {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_group_whose_making_got_no_answer_is_known_as_ours() {
    for (method, lost) in [
        ("POST", Action::LostAnswer),
        ("PATCH", Action::LostAnswer),
        ("PATCH", Action::Drop),
    ] {
        let lab = Lab::start().await;
        let rule = Rule::on(method, "/protection-groups$").times(1).act(lost);
        let faults = lab.fabric.faults("fa-a").unwrap();
        let rule = faults.add(rule).unwrap();
        for _ in 0..2 {
            assert_eq!(
                lab.driver.ensure_group(&lab.pair, &spec(), &[]).await.unwrap(),
                Adopted::Made
            );
        }
        assert_eq!(faults.fired(rule), 1);
    }
}
