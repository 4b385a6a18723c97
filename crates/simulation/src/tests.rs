use crate::{Bug, run};

const SEEDS: u64 = 100;

#[test]
fn nothing_that_must_not_be_is_seen_in_many_histories() {
    for seed in 0..SEEDS {
        let report = run(seed, None, false).unwrap();
        let told = report.history.join("\n");
        assert!(report.violation.is_none(), "seed {seed}\n{told}");
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..10 {
        let (once, again) = (run(seed, None, true).unwrap(), run(seed, None, true).unwrap());
        let differs = once.history.iter().zip(&again.history).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(
            (once.hash, once.events),
            (again.hash, again.events),
            "seed {seed}"
        );
    }
}

/// The checks see what they are there for: one bug of each family, found within a few seeds.
#[test]
fn planted_bugs_are_found() {
    for bug in [
        Bug::LostWrite,
        Bug::AppendWithoutFence,
        Bug::SnapshotBeforeStop,
        Bug::NoUndoOfPorts,
        Bug::SettleSkipped,
        Bug::FenceSkipped,
    ] {
        let found = (0..SEEDS).find(|seed| run(*seed, Some(bug), false).unwrap().violation.is_some());
        assert!(found.is_some(), "{}", bug.name());
    }
}
