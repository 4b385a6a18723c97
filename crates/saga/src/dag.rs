//! The plan of a saga: named steps and what comes before what.
//!
//! A [`Dag`] that exists is sound: names are unique, nothing waits for itself, and the point of no return
//! divides the steps in two. Every step before the pivot can be taken back, every step after it only goes
//! forward, and no step stands beside it, because of such a step nobody could say which it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Before the point of no return: is undone when the saga fails.
    Compensatable,
    /// The point of no return.
    Pivot,
    /// Is repeated until it succeeds; where it can't, the operator is asked.
    Retriable,
}

/// How often a step is tried, and how long to wait in between: twice as long every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    pub max_attempts: u32,
    pub first_delay: Duration,
    pub max_delay: Duration,
}

impl RetryPolicy {
    /// The wait after so many failures in a row.
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first_delay
            .saturating_mul(1 << doublings)
            .min(self.max_delay)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub kind: StepKind,
    /// The steps that must be done first.
    pub after: Vec<String>,
    /// The steps that must be taken back before this one is, where not all that come after it need to be: what
    /// matters most to people isn't held up by a remnant that can't be removed.
    pub undone_after: Option<Vec<String>>,
    pub retry: RetryPolicy,
    /// An attempt that takes longer is given up, its outcome being unknown.
    pub timeout: Duration,
    /// For progress, e.g. the phase.
    pub label: String,
    /// Steps of one lane run at most `limit` at a time.
    pub lane: Option<(&'static str, usize)>,
}

/// A sound plan, its steps in an order in which they could run one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dag(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    nodes: Vec<Node>,
    index: BTreeMap<String, usize>,
    /// For every step those that are taken back before it.
    undone_before: Vec<Vec<usize>>,
    pivot: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan is not a saga: {0}")]
pub struct DagError(pub String);

impl Dag {
    pub fn new(nodes: Vec<Node>) -> Result<Dag, DagError> {
        check_names(&nodes)?;
        let nodes = sort(nodes)?;
        let index: BTreeMap<String, usize> = nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (node.name.clone(), i))
            .collect();
        let mut undone_before = vec![Vec::new(); nodes.len()];
        for (i, node) in nodes.iter().enumerate() {
            for before in &node.after {
                undone_before[index[before]].push(i);
            }
        }
        for (i, node) in nodes.iter().enumerate() {
            if let Some(few) = &node.undone_after {
                undone_before[i] = few.iter().map(|name| index[name]).collect();
            }
        }
        let pivot = only_pivot(&nodes)?;
        let dag = Dag(Arc::new(Inner {
            nodes,
            index,
            undone_before,
            pivot,
        }));
        dag.check_kinds()?;
        dag.check_way_back()?;
        Ok(dag)
    }

    /// The steps in topological order; steps that don't wait for each other stay as they were written.
    pub fn nodes(&self) -> &[Node] {
        &self.0.nodes
    }

    pub fn node(&self, name: &str) -> Option<&Node> {
        self.position(name).map(|i| &self.0.nodes[i])
    }

    pub fn pivot(&self) -> Option<&Node> {
        self.0.pivot.map(|i| &self.0.nodes[i])
    }

    /// Everything that must be done before the step, in topological order.
    pub fn ancestors(&self, name: &str) -> Vec<&str> {
        let mut wanted: BTreeSet<&str> = BTreeSet::from([name]);
        for node in self
            .0
            .nodes
            .iter()
            .rev()
            .filter(|node| node.name == name || !node.after.is_empty())
        {
            if wanted.contains(node.name.as_str()) {
                wanted.extend(node.after.iter().map(String::as_str));
            }
        }
        self.0
            .nodes
            .iter()
            .map(|node| node.name.as_str())
            .filter(|n| *n != name && wanted.contains(n))
            .collect()
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.0.index.get(name).copied()
    }

    pub(crate) fn pivot_position(&self) -> Option<usize> {
        self.0.pivot
    }

    pub(crate) fn undone_before(&self, position: usize) -> &[usize] {
        &self.0.undone_before[position]
    }

    /// Nothing is taken back before something that had to be done before it, or the way back could be a circle.
    fn check_way_back(&self) -> Result<(), DagError> {
        for node in self.nodes() {
            for later in node.undone_after.iter().flatten() {
                if !self.ancestors(later).contains(&node.name.as_str()) {
                    let text = format!(
                        "'{}' can't wait for '{later}' to be undone: that one doesn't come after it",
                        node.name
                    );
                    return Err(DagError(text));
                }
            }
        }
        Ok(())
    }

    fn check_kinds(&self) -> Result<(), DagError> {
        let Some(pivot) = self.pivot() else {
            return self.check_without_pivot();
        };
        let before: BTreeSet<&str> = self.ancestors(&pivot.name).into_iter().collect();
        for node in self.nodes() {
            match node.kind {
                StepKind::Pivot => {}
                StepKind::Compensatable if before.contains(node.name.as_str()) => {}
                StepKind::Compensatable => {
                    let text = format!(
                        "'{}' can be undone, so the pivot '{}' must come after it",
                        node.name, pivot.name
                    );
                    return Err(DagError(text));
                }
                StepKind::Retriable if self.ancestors(&node.name).contains(&pivot.name.as_str()) => {}
                StepKind::Retriable => {
                    let text = format!(
                        "'{}' only goes forward, so it must come after the pivot '{}'",
                        node.name, pivot.name
                    );
                    return Err(DagError(text));
                }
            }
        }
        Ok(())
    }

    /// Without a pivot the first step that only goes forward is the point of no return.
    fn check_without_pivot(&self) -> Result<(), DagError> {
        for node in self
            .nodes()
            .iter()
            .filter(|node| node.kind == StepKind::Compensatable)
        {
            for before in self.ancestors(&node.name) {
                if self
                    .node(before)
                    .is_some_and(|before| before.kind == StepKind::Retriable)
                {
                    let text = format!(
                        "'{}' can be undone, but comes after '{before}', which can't",
                        node.name
                    );
                    return Err(DagError(text));
                }
            }
        }
        Ok(())
    }
}

fn check_names(nodes: &[Node]) -> Result<(), DagError> {
    let mut names = BTreeSet::new();
    for node in nodes {
        if node.name.is_empty() {
            return Err(DagError("a step has no name".to_owned()));
        }
        if !names.insert(node.name.as_str()) {
            return Err(DagError(format!("two steps are called '{}'", node.name)));
        }
        if node.retry.max_attempts == 0 {
            return Err(DagError(format!("'{}' may never be tried", node.name)));
        }
        if node.lane.is_some_and(|(_, limit)| limit == 0) {
            return Err(DagError(format!(
                "the lane of '{}' lets nothing through",
                node.name
            )));
        }
    }
    for node in nodes {
        if let Some(unknown) = node.after.iter().find(|before| !names.contains(before.as_str())) {
            return Err(DagError(format!(
                "'{}' comes after '{unknown}', which doesn't exist",
                node.name
            )));
        }
        let mut back = node.undone_after.iter().flatten();
        if let Some(unknown) = back.find(|later| !names.contains(later.as_str())) {
            return Err(DagError(format!(
                "'{}' is undone after '{unknown}', which doesn't exist",
                node.name
            )));
        }
    }
    Ok(())
}

fn only_pivot(nodes: &[Node]) -> Result<Option<usize>, DagError> {
    let mut pivots = nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.kind == StepKind::Pivot);
    match (pivots.next(), pivots.next()) {
        (Some((_, first)), Some((_, second))) => Err(DagError(format!(
            "'{}' and '{}' are both the pivot",
            first.name, second.name
        ))),
        (first, _) => Ok(first.map(|(i, _)| i)),
    }
}

/// Always takes the earliest written step whose predecessors have been taken.
fn sort(nodes: Vec<Node>) -> Result<Vec<Node>, DagError> {
    let mut waiting: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut sorted = Vec::with_capacity(waiting.len());
    while sorted.len() < waiting.len() {
        let ready = waiting
            .iter_mut()
            .find(|slot| {
                slot.as_ref()
                    .is_some_and(|node| node.after.iter().all(|before| taken.contains(before)))
            })
            .and_then(Option::take);
        let Some(node) = ready else {
            let circle: Vec<String> = waiting.into_iter().flatten().map(|node| node.name).collect();
            return Err(DagError(format!(
                "these steps wait for each other: {}",
                circle.join(", ")
            )));
        };
        taken.insert(node.name.clone());
        sorted.push(node);
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;

    fn refusal(nodes: Vec<Node>) -> String {
        Dag::new(nodes).unwrap_err().to_string()
    }

    #[test]
    fn unsound_plans_are_refused_with_the_steps_that_make_them_so() {
        use StepKind::*;
        assert!(
            refusal(vec![node("a", Compensatable, &[]), node("a", Compensatable, &[])])
                .contains("two steps are called 'a'")
        );
        assert!(refusal(vec![node("a", Compensatable, &["b"])]).contains("'b', which doesn't exist"));
        assert!(
            refusal(vec![
                node("a", Compensatable, &["b"]),
                node("b", Compensatable, &["a"])
            ])
            .contains("each other: a, b")
        );
        assert!(refusal(vec![node("a", Compensatable, &["a"])]).contains("each other: a"));
        let undone_after = |step: &str| Node {
            undone_after: Some(vec![step.to_owned()]),
            ..node("b", Compensatable, &["a"])
        };
        let a = node("a", Compensatable, &[]);
        assert!(refusal(vec![a.clone(), undone_after("x")]).contains("'x', which doesn't exist"));
        assert!(refusal(vec![a, undone_after("a")]).contains("doesn't come after it"));
        assert!(refusal(vec![node("a", Pivot, &[]), node("b", Pivot, &["a"])]).contains("both the pivot"));
        assert!(
            refusal(vec![node("p", Pivot, &[]), node("a", Compensatable, &["p"])])
                .contains("must come after it")
        );
        assert!(
            refusal(vec![node("a", Retriable, &[]), node("p", Pivot, &["a"])])
                .contains("'a' only goes forward")
        );
        assert!(
            refusal(vec![node("p", Pivot, &[]), node("a", Compensatable, &[])]).contains("'a' can be undone")
        );
        assert!(
            refusal(vec![node("a", Retriable, &[]), node("b", Compensatable, &["a"])])
                .contains("which can't")
        );
    }

    #[test]
    fn the_order_is_topological_and_otherwise_as_written() {
        use StepKind::*;
        let dag = Dag::new(vec![
            node("c", Compensatable, &["a"]),
            node("a", Compensatable, &[]),
            node("b", Compensatable, &[]),
            node("p", Pivot, &["b", "c"]),
            node("end", Retriable, &["p"]),
        ])
        .unwrap();
        let order: Vec<&str> = dag.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(order, ["a", "c", "b", "p", "end"]);
        assert_eq!(dag.ancestors("p"), ["a", "c", "b"]);
        assert_eq!(dag.ancestors("c"), ["a"]);
        assert!(dag.ancestors("a").is_empty());
    }

    #[test]
    fn the_delay_doubles_up_to_its_bound() {
        let retry = RetryPolicy {
            max_attempts: 9,
            first_delay: Duration::from_secs(2),
            max_delay: Duration::from_secs(60),
        };
        let delays: Vec<u64> = [1, 2, 3, 6, 40]
            .into_iter()
            .map(|n| retry.delay(n).as_secs())
            .collect();
        assert_eq!(delays, [2, 4, 8, 60, 60]);
    }
}
