//! Bugs planted on purpose, one at a time: the proof that the invariants can be broken, and would be seen to be.
//!
//! Most stand in the simulation's own parts, behind the ports or around the plans. Where a bug belongs into the
//! saga core itself, a switch in `protector_saga::planted` is thrown, which only builds for the simulation have.

use std::sync::Arc;

use protector_saga::{Dag, FailureClass, Node, State, StepFailure};
use serde_json::Value;

use crate::sim::Sim;

macro_rules! bugs {
    ($($(#[doc = $doc:literal])* $bug:ident = $name:literal,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug { $($(#[doc = $doc])* $bug,)* }

        impl Bug {
            pub const ALL: &[Bug] = &[$(Bug::$bug),*];

            pub fn name(self) -> &'static str {
                match self { $(Bug::$bug => $name,)* }
            }
        }
    };
}

bugs! {
    /// A write of the journal is answered, and never made.
    LostWrite = "journal-loses-a-write",
    /// Of a group of lines only the first is kept.
    HalfWrite = "journal-keeps-half-a-transaction",
    /// A write is made twice.
    DoubleWrite = "journal-writes-twice",
    /// Whoever writes is believed.
    AppendWithoutFence = "append-without-fence",
    /// A lease that ran out still counts.
    ExpiredLeaseHolds = "expired-lease-holds",
    /// The look before the effect always says yes.
    CheckAlwaysYes = "check-always-says-yes",
    ClaimIgnoresLease = "claim-ignores-the-lease",
    ClaimKeepsFence = "claim-without-raising-the-fence",
    RenewAfterLoss = "renew-after-loss",
    ReleaseOfOthers = "release-of-others-work",
    EndedTwice = "ended-saga-is-claimed-again",
    /// What the operator asks for is not written down.
    LostRequest = "request-is-lost",
    StoreWithoutFence = "group-written-without-claim",
    StaleGroupWritten = "stale-group-overwrites",
    TwoAtOnce = "two-operations-of-one-group",
    /// The clones don't wait for the fence.
    CloneBeforeFence = "edge-removed-fence-to-clone",
    SnapshotBeforeStop = "edge-removed-stop-to-snapshot",
    ImportBeforeClone = "edge-removed-clone-to-import",
    BootBeforeHandOver = "edge-removed-hand-over-to-boot",
    CommitBeforeBoot = "edge-removed-boot-to-commit",
    /// Old servers start again before their twins are gone.
    StartBeforeTwinGone = "undo-order-start-before-delete",
    /// What was made first is taken back first.
    UndoInOrder = "undo-order-swapped",
    /// Everything can be taken back, whatever it is.
    PivotMoved = "pivot-removed",
    NoUndoOfClone = "undo-skipped-clone",
    NoUndoOfImport = "undo-skipped-import",
    NoUndoOfPorts = "undo-skipped-ports",
    NoUndoOfBoot = "undo-skipped-boot",
    NoUndoOfStop = "undo-skipped-stop",
    NoUndoOfFence = "undo-skipped-fence",
    NoUndoOfSnapshot = "undo-skipped-snapshot",
    NoUndoOfVolumeGroup = "undo-skipped-volume-group",
    UndoTooMuch = "undo-removes-too-much",
    StopNotDone = "stop-recorded-and-not-done",
    FenceNotDone = "fence-recorded-and-not-done",
    BlindToServers = "boot-does-not-look-first",
    BlindToPorts = "ports-are-not-looked-for",
    BlindToVolumes = "imports-are-not-looked-for",
    SettleSkipped = "settle-skipped",
    SettleSwapped = "settle-with-another-outcome",
    AmbiguousIsPermanent = "ambiguous-taken-as-permanent",
    AmbiguousIsDone = "ambiguous-taken-as-done",
    RetryableIsPermanent = "retryable-taken-as-permanent",
    OutputOfAnother = "output-of-another-volume",
    SnapshotNotAwaited = "snapshot-not-awaited",
    IncompleteChosen = "incomplete-snapshot-chosen",
    FenceSkipped = "array-fence-skipped",
    ScheduleNotStopped = "schedule-not-stopped",
    DeadlineIgnored = "deadline-ignored",
    /// In the core.
    CancelAfterPivot = "core-cancel-after-the-pivot",
    UndoOnlyDone = "core-undo-only-what-is-done",
    UnwindInFlight = "core-unwinds-while-steps-are-at-work",
    InterruptedForgotten = "core-interrupted-step-is-forgotten",
    DoubtIsFailure = "core-pivot-in-doubt-taken-as-failed",
    NoCheckBeforeEffect = "core-no-check-before-the-effect",
    LookFromBefore = "core-look-from-before-is-shared",
    WriteAgainUnseen = "core-writes-again-without-looking",
    OutcomeBeforeIntent = "core-launches-before-the-intent",
}

/// Throws the switch in the saga core, or turns it back.
pub fn throw(bug: Option<Bug>) {
    use protector_saga::planted::{Planted, set};
    set(match bug {
        Some(Bug::CancelAfterPivot) => Some(Planted::CancelAfterPivot),
        Some(Bug::UndoOnlyDone) => Some(Planted::UndoOnlyDone),
        Some(Bug::UnwindInFlight) => Some(Planted::UnwindInFlight),
        Some(Bug::InterruptedForgotten) => Some(Planted::InterruptedForgotten),
        Some(Bug::DoubtIsFailure) => Some(Planted::DoubtIsFailure),
        Some(Bug::NoCheckBeforeEffect) => Some(Planted::NoCheckBeforeEffect),
        Some(Bug::LookFromBefore) => Some(Planted::LookFromBefore),
        Some(Bug::WriteAgainUnseen) => Some(Planted::WriteAgainUnseen),
        Some(Bug::OutcomeBeforeIntent) => Some(Planted::LaunchBeforeIntent),
        _ => None,
    });
}

/// A plan with something wrong in it.
pub fn plan(bug: Bug, dag: &Dag) -> Dag {
    use protector_saga::StepKind;
    let mut nodes: Vec<Node> = dag.nodes().to_vec();
    let drop_edges = |nodes: &mut Vec<Node>, of: &str, to: &str, instead: &[&str]| {
        for node in nodes.iter_mut().filter(|node| node.name.starts_with(of)) {
            let before = node.after.len();
            node.after.retain(|name| !name.starts_with(to));
            if node.after.len() < before {
                node.after.extend(instead.iter().map(|name| (*name).into()));
            }
        }
    };
    match bug {
        Bug::CloneBeforeFence => drop_edges(
            &mut nodes,
            "clone-volume",
            "fence-replication",
            &["final-snapshot"],
        ),
        Bug::SnapshotBeforeStop => {
            drop_edges(&mut nodes, "final-snapshot", "stop-server", &["preflight"]);
            for node in nodes
                .iter_mut()
                .filter(|node| node.name.starts_with("stop-server"))
            {
                node.undone_after = None;
            }
        }
        Bug::ImportBeforeClone => drop_edges(
            &mut nodes,
            "import-volume",
            "clone-volume",
            &["fence-replication"],
        ),
        Bug::BootBeforeHandOver => {
            drop_edges(
                &mut nodes,
                "create-ports",
                "hand-over-volume",
                &["create-keypairs"],
            );
        }
        Bug::CommitBeforeBoot => {
            let kinds = ["create-ports", "create-keypairs"];
            let made = nodes.iter().map(|node| node.name.clone());
            let made: Vec<Arc<str>> = made
                .filter(|name| kinds.iter().any(|kind| name.starts_with(kind)))
                .collect();
            let made: Vec<&str> = made.iter().map(|name| &**name).collect();
            drop_edges(&mut nodes, "join-consistency-group", "boot-server", &made);
        }
        Bug::StartBeforeTwinGone => {
            for node in nodes
                .iter_mut()
                .filter(|node| node.name.starts_with("stop-server"))
            {
                node.undone_after = Some(Vec::new());
            }
        }
        Bug::UndoInOrder => {
            for node in &mut nodes {
                node.undone_after = Some(Vec::new());
            }
        }
        Bug::PivotMoved => {
            for node in &mut nodes {
                node.kind = StepKind::Compensatable;
            }
        }
        Bug::DeadlineIgnored => {
            for node in &mut nodes {
                node.timeout *= 10_000;
            }
        }
        _ => return dag.clone(),
    }
    // Steps left without anything behind them hang on to the pivot, as a sound plan has it.
    let pivot = nodes.iter().position(|node| node.kind == StepKind::Pivot);
    if let Some(pivot) = pivot {
        let followed: Vec<Arc<str>> = nodes.iter().flat_map(|node| node.after.clone()).collect();
        let loose: Vec<Arc<str>> = nodes
            .iter()
            .filter(|node| node.kind == StepKind::Compensatable && !followed.contains(&node.name))
            .map(|node| node.name.clone())
            .collect();
        if bug != Bug::CommitBeforeBoot {
            nodes[pivot].after.extend(loose);
        } else {
            for node in nodes.iter_mut().filter(|node| loose.contains(&node.name)) {
                node.kind = StepKind::Retriable;
                node.after.push("commit".into());
            }
        }
    }
    Dag::new(nodes).unwrap_or_else(|_| dag.clone())
}

pub fn skips_undo(bug: Bug, step: &str) -> bool {
    let kind = match bug {
        Bug::NoUndoOfClone => "clone-volume",
        Bug::NoUndoOfImport => "import-volume",
        Bug::NoUndoOfPorts => "create-ports",
        Bug::NoUndoOfBoot => "boot-server",
        Bug::NoUndoOfStop => "stop-server",
        Bug::NoUndoOfFence => "fence-replication",
        Bug::NoUndoOfSnapshot => "final-snapshot",
        Bug::NoUndoOfVolumeGroup => "join-consistency-group",
        _ => return false,
    };
    step.starts_with(kind)
}

pub fn instead_of_run(bug: Bug, step: &str) -> Option<Value> {
    let kind = match bug {
        Bug::StopNotDone => "stop-server",
        Bug::FenceNotDone => "fence-replication",
        _ => return None,
    };
    step.starts_with(kind).then_some(Value::Null)
}

/// What the step is told of the journal.
pub fn state(bug: Option<Bug>, state: &State) -> Option<State> {
    if bug != Some(Bug::OutputOfAnother) {
        return None;
    }
    let (first, second) = ("import-volume/0", "import-volume/1");
    let (one, two) = (state.output(first)?.clone(), state.output(second)?.clone());
    let mut other = state.clone();
    protector_saga::planted::replace_output(&mut other, first, two);
    protector_saga::planted::replace_output(&mut other, second, one);
    Some(other)
}

pub fn result(bug: Option<Bug>, result: Result<Value, StepFailure>) -> Result<Value, StepFailure> {
    match (bug, result) {
        (Some(Bug::AmbiguousIsDone), Err(failure)) if failure.class == FailureClass::Ambiguous => {
            Ok(Value::Null)
        }
        (Some(Bug::RetryableIsPermanent), Err(failure)) if failure.class == FailureClass::Retryable => {
            Err(StepFailure {
                class: FailureClass::Permanent,
                ..failure
            })
        }
        (_, result) => result,
    }
}

/// Everybody's ports at the target, and not only ours.
pub fn undo_too_much(sim: &mut Sim) {
    for cloud in &mut sim.world.clouds {
        cloud
            .ports
            .retain(|_, port| port.description != crate::setup::BYSTANDER);
    }
}
