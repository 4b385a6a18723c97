//! How steps are written down.

use std::time::Duration;

use protector_saga::{Node, RetryPolicy, StepKind};

/// Enough for a service that restarts, not enough to hold a broken operation up for long.
const BEFORE_THE_PIVOT: RetryPolicy = RetryPolicy {
    max_attempts: 5,
    first_delay: Duration::from_millis(500),
    max_delay: Duration::from_secs(10),
};

/// After the pivot there is only forward: hours of trying before a person is asked.
const AFTER_THE_PIVOT: RetryPolicy = RetryPolicy {
    max_attempts: 60,
    first_delay: Duration::from_millis(500),
    max_delay: Duration::from_secs(120),
};

pub(crate) fn compensatable(name: impl AsRef<str>, after: &[&str], label: &'static str) -> Node {
    node(name, StepKind::Compensatable, after, label, BEFORE_THE_PIVOT)
}

pub(crate) fn pivot(name: impl AsRef<str>, after: &[&str], label: &'static str) -> Node {
    node(name, StepKind::Pivot, after, label, BEFORE_THE_PIVOT)
}

pub(crate) fn retriable(name: impl AsRef<str>, after: &[&str], label: &'static str) -> Node {
    node(name, StepKind::Retriable, after, label, AFTER_THE_PIVOT)
}

fn node(
    name: impl AsRef<str>,
    kind: StepKind,
    after: &[&str],
    label: &'static str,
    retry: RetryPolicy,
) -> Node {
    Node {
        name: name.as_ref().into(),
        kind,
        after: after.iter().map(|name| (*name).into()).collect(),
        undone_after: None,
        retry,
        timeout: Duration::from_secs(300),
        label,
        lane: None,
    }
}

pub(crate) trait Shape {
    /// An attempt may take this long.
    fn within(self, timeout: Duration) -> Node;
    /// It is taken back as soon as these are, whatever becomes of the others that come after it.
    fn undone_after(self, steps: &[&str]) -> Node;
    /// At most so many steps of this lane run at a time.
    fn in_lane(self, lane: &'static str, limit: usize) -> Node;
}

impl Shape for Node {
    fn within(self, timeout: Duration) -> Node {
        Node { timeout, ..self }
    }

    fn undone_after(self, steps: &[&str]) -> Node {
        Node {
            undone_after: Some(steps.iter().map(|name| (*name).into()).collect()),
            ..self
        }
    }

    fn in_lane(self, lane: &'static str, limit: usize) -> Node {
        Node {
            lane: Some((lane, limit.max(1))),
            ..self
        }
    }
}
