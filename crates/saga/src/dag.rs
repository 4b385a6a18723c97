//! The plan of a saga: named steps and what comes before what.
//!
//! A [`Dag`] that exists is sound: names are unique, nothing waits for itself, and the point of no return
//! divides the steps in two. Every step before the pivot can be taken back, every step after it only goes
//! forward, and no step stands beside it, because of such a step nobody could say which it is.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::edges::{Edges, Ends};

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

/// A step as it was planned. Ten thousand servers make a hundred thousand of them, so names are written once: those that
/// wait for a step, and everything that is journalled of it, share its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: Arc<str>,
    pub kind: StepKind,
    /// The steps that must be done first.
    pub after: Vec<Arc<str>>,
    /// The steps that must be taken back before this one is, where not all that come after it need to be: what
    /// matters most to people isn't held up by a remnant that can't be removed.
    pub undone_after: Option<Vec<Arc<str>>>,
    pub retry: RetryPolicy,
    /// An attempt that takes longer is given up, its outcome being unknown.
    pub timeout: Duration,
    /// For progress, e.g. the phase.
    pub label: &'static str,
    /// Steps of one lane run at most `limit` at a time.
    pub lane: Option<(&'static str, usize)>,
}

/// A sound plan, its steps in an order in which they could run one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dag(Arc<Inner>);

/// Ten thousand servers make a plan of some hundred thousand steps, so everything here is linear in steps and edges.
#[derive(Debug, PartialEq, Eq)]
struct Inner {
    nodes: Box<[Node]>,
    /// The places of all steps, in the order of their names.
    by_name: Box<[u32]>,
    /// For every step those that must be done before it.
    before: Edges,
    /// For every step those that come right after it.
    after: Edges,
    /// For every step those that are taken back before it.
    undone_before: Edges,
    /// For every step those that wait for it to be taken back.
    undone_after: Edges,
    pivot: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan is not a saga: {0}")]
pub struct DagError(pub String);

impl Dag {
    pub fn new(nodes: Vec<Node>) -> Result<Dag, DagError> {
        let written = check_names(&nodes)?;
        let mut nodes: Box<[Node]> = sort(nodes, &written)?.into();
        drop(written);
        let index: HashMap<Arc<str>, usize> = nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (node.name.clone(), i))
            .collect();
        for node in &mut nodes {
            share_names(node, &index);
        }
        let positions =
            |names: &[Arc<str>]| -> BTreeSet<usize> { names.iter().map(|name| index[name]).collect() };
        let too_many = || DagError("it has too many steps".to_owned());
        let before = Edges::new(nodes.iter().map(|node| positions(&node.after))).ok_or_else(too_many)?;
        let after = before.turned();
        let undone_before = nodes
            .iter()
            .enumerate()
            .map(|(i, node)| match &node.undone_after {
                Some(chosen) => positions(chosen),
                None => after.of(i).collect(),
            });
        let undone_before = Edges::new(undone_before).ok_or_else(too_many)?;
        let pivot = only_pivot(&nodes)?;
        let dag = Dag(Arc::new(Inner {
            by_name: by_name(&nodes),
            nodes,
            undone_after: undone_before.turned(),
            before,
            after,
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
        let Some(position) = self.position(name) else {
            return Vec::new();
        };
        let earlier = self.0.before.reach(position);
        self.names(|i| i != position && earlier[i])
    }

    fn names(&self, wanted: impl Fn(usize) -> bool) -> Vec<&str> {
        let nodes = self.0.nodes.iter().enumerate();
        nodes
            .filter(|(i, _)| wanted(*i))
            .map(|(_, node)| &*node.name)
            .collect()
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        let nodes = &self.0.nodes;
        let by_name = &self.0.by_name;
        let found = by_name.binary_search_by(|place| (*nodes[*place as usize].name).cmp(name));
        found.ok().map(|found| by_name[found] as usize)
    }

    pub(crate) fn pivot_position(&self) -> Option<usize> {
        self.0.pivot
    }

    /// Those that must be done before the step.
    pub(crate) fn before(&self, position: usize) -> Ends<'_> {
        self.0.before.of(position)
    }

    /// Those that the step must be done before.
    pub(crate) fn after(&self, position: usize) -> Ends<'_> {
        self.0.after.of(position)
    }

    /// Those that are taken back before the step is: all that come after it, or its own choice of them.
    pub(crate) fn undone_before(&self, position: usize) -> Ends<'_> {
        self.0.undone_before.of(position)
    }

    /// Those that wait for the step to be taken back.
    pub(crate) fn undone_after(&self, position: usize) -> Ends<'_> {
        self.0.undone_after.of(position)
    }

    /// Nothing is taken back before something that had to be done before it, or the way back could be a circle.
    fn check_way_back(&self) -> Result<(), DagError> {
        // In which round a step was passed last.
        let mut passed = vec![0; self.0.nodes.len()];
        let mut round = 0;
        let nodes = self.0.nodes.iter().enumerate();
        for (position, _) in nodes.filter(|(_, node)| node.undone_after.is_some()) {
            for later in self.undone_before(position) {
                round += 1;
                let mut open = vec![later];
                let mut comes_after = false;
                while let Some(one) = open.pop() {
                    for earlier in self.before(one) {
                        comes_after |= earlier == position;
                        // What stands before the step in the order doesn't come after it.
                        if earlier > position && passed[earlier] != round {
                            passed[earlier] = round;
                            open.push(earlier);
                        }
                    }
                }
                if !comes_after {
                    let text = format!(
                        "'{}' can't wait for '{}' to be undone: that one doesn't come after it",
                        self.0.nodes[position].name, self.0.nodes[later].name
                    );
                    return Err(DagError(text));
                }
            }
        }
        Ok(())
    }

    fn check_kinds(&self) -> Result<(), DagError> {
        let Some(pivot) = self.0.pivot else {
            return self.check_without_pivot();
        };
        let earlier = self.0.before.reach(pivot);
        let later = self.0.after.reach(pivot);
        let pivot = &self.0.nodes[pivot].name;
        for (i, node) in self.0.nodes.iter().enumerate() {
            let name = &node.name;
            match node.kind {
                StepKind::Compensatable if !earlier[i] => {
                    return Err(DagError(format!(
                        "'{name}' can be undone, so the pivot '{pivot}' must come after it"
                    )));
                }
                StepKind::Retriable if !later[i] => {
                    return Err(DagError(format!(
                        "'{name}' only goes forward, so it must come after the pivot '{pivot}'"
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Without a pivot the first step that only goes forward is the point of no return.
    fn check_without_pivot(&self) -> Result<(), DagError> {
        // For every step one before it that only goes forward.
        let mut beyond: Vec<Option<usize>> = vec![None; self.0.nodes.len()];
        for (i, node) in self.0.nodes.iter().enumerate() {
            let forward = self
                .before(i)
                .find_map(|earlier| match self.0.nodes[earlier].kind {
                    StepKind::Retriable => Some(earlier),
                    _ => beyond[earlier],
                });
            beyond[i] = forward;
            if let (Some(earlier), StepKind::Compensatable) = (forward, node.kind) {
                let text = format!(
                    "'{}' can be undone, but comes after '{}', which can't",
                    node.name, self.0.nodes[earlier].name
                );
                return Err(DagError(text));
            }
        }
        Ok(())
    }
}

/// The place of every name in the order of writing.
fn check_names(nodes: &[Node]) -> Result<HashMap<Arc<str>, usize>, DagError> {
    let mut names = HashMap::with_capacity(nodes.len());
    for (i, node) in nodes.iter().enumerate() {
        if node.name.is_empty() {
            return Err(DagError("a step has no name".to_owned()));
        }
        if names.insert(node.name.clone(), i).is_some() {
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
        if let Some(unknown) = node.after.iter().find(|before| !names.contains_key(*before)) {
            return Err(DagError(format!(
                "'{}' comes after '{unknown}', which doesn't exist",
                node.name
            )));
        }
        let mut back = node.undone_after.iter().flatten();
        if let Some(unknown) = back.find(|later| !names.contains_key(*later)) {
            return Err(DagError(format!(
                "'{}' is undone after '{unknown}', which doesn't exist",
                node.name
            )));
        }
    }
    Ok(names)
}

/// A name has one text, however many steps wait for the one that it names.
fn share_names(node: &mut Node, index: &HashMap<Arc<str>, usize>) {
    for name in node
        .after
        .iter_mut()
        .chain(node.undone_after.iter_mut().flatten())
    {
        if let Some((known, _)) = index.get_key_value(name) {
            *name = known.clone();
        }
    }
    node.after.shrink_to_fit();
}

/// The places of all steps, in the order of their names. They are as few as their edges, which have been counted.
fn by_name(nodes: &[Node]) -> Box<[u32]> {
    let mut places: Box<[u32]> = (0..nodes.len()).map(|place| place as u32).collect();
    places.sort_unstable_by_key(|place| &nodes[*place as usize].name);
    places
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
fn sort(nodes: Vec<Node>, written: &HashMap<Arc<str>, usize>) -> Result<Vec<Node>, DagError> {
    let mut waits: Vec<usize> = Vec::with_capacity(nodes.len());
    let mut after = vec![Vec::new(); nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        // Who is named twice is waited for once.
        let before: BTreeSet<usize> = node.after.iter().map(|name| written[name]).collect();
        waits.push(before.len());
        for earlier in before {
            after[earlier].push(i);
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..nodes.len()).filter(|i| waits[*i] == 0).map(Reverse).collect();
    let mut waiting: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let mut sorted = Vec::with_capacity(waiting.len());
    while let Some(Reverse(i)) = ready.pop() {
        sorted.extend(waiting[i].take());
        for &later in &after[i] {
            waits[later] -= 1;
            if waits[later] == 0 {
                ready.push(Reverse(later));
            }
        }
    }
    let circle: Vec<Arc<str>> = waiting.into_iter().flatten().map(|node| node.name).collect();
    match circle.is_empty() {
        true => Ok(sorted),
        false => Err(DagError(format!(
            "these steps wait for each other: {}",
            circle.join(", ")
        ))),
    }
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
            undone_after: Some(vec![step.into()]),
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
        let order: Vec<&str> = dag.nodes().iter().map(|node| &*node.name).collect();
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
