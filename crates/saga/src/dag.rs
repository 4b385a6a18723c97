//! The plan of a saga: named steps and what comes before what.
//!
//! A [`Dag`] that exists is sound: names are unique, nothing waits for itself, and the point of no return
//! divides the steps in two. Every step before the pivot can be taken back, every step after it only goes
//! forward, and no step stands beside it, because of such a step nobody could say which it is.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
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

/// Ten thousand servers make a plan of some hundred thousand steps, so everything here is linear in steps and edges.
#[derive(Debug, PartialEq, Eq)]
struct Inner {
    nodes: Vec<Node>,
    index: HashMap<String, usize>,
    /// For every step those that must be done before it.
    before: Vec<Vec<usize>>,
    /// For every step those that come right after it.
    after: Vec<Vec<usize>>,
    /// For every step with a way back of its own those that are taken back before it.
    undone_before: HashMap<usize, Vec<usize>>,
    /// For every step those with a way back of their own that wait for it to be taken back.
    holds_back: HashMap<usize, Vec<usize>>,
    pivot: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan is not a saga: {0}")]
pub struct DagError(pub String);

impl Dag {
    pub fn new(nodes: Vec<Node>) -> Result<Dag, DagError> {
        let written = check_names(&nodes)?;
        let nodes = sort(nodes, &written)?;
        let index: HashMap<String, usize> = nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (node.name.clone(), i))
            .collect();
        let positions = |names: &[String]| -> Vec<usize> {
            let found: BTreeSet<usize> = names.iter().map(|name| index[name]).collect();
            found.into_iter().collect()
        };
        let before: Vec<Vec<usize>> = nodes.iter().map(|node| positions(&node.after)).collect();
        let mut after = vec![Vec::new(); nodes.len()];
        for (i, befores) in before.iter().enumerate() {
            for &earlier in befores {
                after[earlier].push(i);
            }
        }
        let undone_before: HashMap<usize, Vec<usize>> = nodes
            .iter()
            .enumerate()
            .filter_map(|(i, node)| Some((i, positions(node.undone_after.as_ref()?))))
            .collect();
        let mut holds_back: HashMap<usize, Vec<usize>> = HashMap::new();
        for (&i, laters) in &undone_before {
            for &later in laters {
                holds_back.entry(later).or_default().push(i);
            }
        }
        let pivot = only_pivot(&nodes)?;
        let dag = Dag(Arc::new(Inner {
            nodes,
            index,
            before,
            after,
            undone_before,
            holds_back,
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
        let earlier = reach(position, self.0.nodes.len(), &self.0.before);
        self.names(|i| i != position && earlier[i])
    }

    fn names(&self, wanted: impl Fn(usize) -> bool) -> Vec<&str> {
        let nodes = self.0.nodes.iter().enumerate();
        nodes
            .filter(|(i, _)| wanted(*i))
            .map(|(_, node)| node.name.as_str())
            .collect()
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.0.index.get(name).copied()
    }

    pub(crate) fn pivot_position(&self) -> Option<usize> {
        self.0.pivot
    }

    /// Those that must be done before the step.
    pub(crate) fn before(&self, position: usize) -> &[usize] {
        &self.0.before[position]
    }

    /// Those that the step must be done before.
    pub(crate) fn after(&self, position: usize) -> &[usize] {
        &self.0.after[position]
    }

    /// Those that are taken back before the step is: all that come after it, or its own choice of them.
    pub(crate) fn undone_before(&self, position: usize) -> &[usize] {
        match self.0.undone_before.get(&position) {
            Some(chosen) => chosen,
            None => self.after(position),
        }
    }

    /// Those that wait for the step to be taken back.
    pub(crate) fn undone_after(&self, position: usize) -> impl Iterator<Item = usize> {
        let usual = self.before(position).iter().copied();
        let chosen = self.0.holds_back.get(&position).into_iter().flatten().copied();
        usual
            .filter(|earlier| !self.0.undone_before.contains_key(earlier))
            .chain(chosen)
    }

    /// Nothing is taken back before something that had to be done before it, or the way back could be a circle.
    fn check_way_back(&self) -> Result<(), DagError> {
        // In which round a step was passed last.
        let mut passed = vec![0; self.0.nodes.len()];
        let mut round = 0;
        for (&position, laters) in &self.0.undone_before {
            for &later in laters {
                round += 1;
                let mut open = vec![later];
                let mut comes_after = false;
                while let Some(one) = open.pop() {
                    for &earlier in self.before(one) {
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
        let count = self.0.nodes.len();
        let earlier = reach(pivot, count, &self.0.before);
        let later = reach(pivot, count, &self.0.after);
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
                .iter()
                .find_map(|&earlier| match self.0.nodes[earlier].kind {
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

/// Everything that edges lead to from a step, and the step.
fn reach(from: usize, count: usize, edges: &[Vec<usize>]) -> Vec<bool> {
    let mut reached = vec![false; count];
    reached[from] = true;
    let mut open = vec![from];
    while let Some(one) = open.pop() {
        for &next in &edges[one] {
            if !std::mem::replace(&mut reached[next], true) {
                open.push(next);
            }
        }
    }
    reached
}

/// The place of every name in the order of writing.
fn check_names(nodes: &[Node]) -> Result<HashMap<String, usize>, DagError> {
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
fn sort(nodes: Vec<Node>, written: &HashMap<String, usize>) -> Result<Vec<Node>, DagError> {
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
    let circle: Vec<String> = waiting.into_iter().flatten().map(|node| node.name).collect();
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
