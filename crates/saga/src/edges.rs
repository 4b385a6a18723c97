//! Which steps lead to which. A plan may have hundreds of thousands of edges, so they lie side by side in one list.

use std::iter::Map;
use std::slice::Iter;

/// For every step those that edges lead to from it, by their places in the plan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edges {
    /// The ends of all edges, step after step.
    ends: Box<[u32]>,
    /// For every step where its own begin; behind the last step, where all end.
    starts: Box<[u32]>,
}

pub(crate) type Ends<'a> = Map<Iter<'a, u32>, fn(&u32) -> usize>;

impl Edges {
    /// `None` where there are more than anybody can count.
    pub fn new<E: IntoIterator<Item = usize>>(of_each: impl IntoIterator<Item = E>) -> Option<Edges> {
        let mut ends = Vec::new();
        let mut starts = vec![0];
        for of_one in of_each {
            for end in of_one {
                ends.push(u32::try_from(end).ok()?);
            }
            starts.push(u32::try_from(ends.len()).ok()?);
        }
        Some(Edges {
            ends: ends.into(),
            starts: starts.into(),
        })
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.starts.len() - 1
    }

    /// Those that edges lead to from this step.
    pub fn of(&self, step: usize) -> Ends<'_> {
        let (from, to) = (self.starts[step] as usize, self.starts[step + 1] as usize);
        self.ends[from..to].iter().map(|end| *end as usize)
    }

    /// The same edges, each the other way round.
    pub fn turned(&self) -> Edges {
        // How many come before each step's own is where these begin.
        let mut starts = vec![0_u32; self.starts.len()];
        for end in &self.ends {
            starts[*end as usize + 1] += 1;
        }
        for step in 1..starts.len() {
            starts[step] += starts[step - 1];
        }
        let mut next = starts.clone();
        let mut ends = vec![0; self.ends.len()];
        for (step, bounds) in self.starts.windows(2).enumerate() {
            for end in &self.ends[bounds[0] as usize..bounds[1] as usize] {
                let place = &mut next[*end as usize];
                ends[*place as usize] = step as u32;
                *place += 1;
            }
        }
        Edges {
            ends: ends.into(),
            starts: starts.into(),
        }
    }

    /// Everything that edges lead to from a step, and the step.
    pub fn reach(&self, from: usize) -> Vec<bool> {
        let mut reached = vec![false; self.steps()];
        reached[from] = true;
        let mut open = vec![from];
        while let Some(one) = open.pop() {
            for next in self.of(one) {
                if !std::mem::replace(&mut reached[next], true) {
                    open.push(next);
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(edges: &Edges) -> Vec<Vec<usize>> {
        (0..edges.steps()).map(|step| edges.of(step).collect()).collect()
    }

    #[test]
    fn edges_are_kept_and_turned_round() {
        let before = [vec![], vec![0], vec![0, 1], vec![], vec![2, 3]];
        let edges = Edges::new(before.clone()).unwrap();
        assert_eq!(lists(&edges), before);
        let turned = edges.turned();
        assert_eq!(lists(&turned), [vec![1, 2], vec![2], vec![4], vec![4], vec![]]);
        assert_eq!(turned.turned(), edges);
        assert_eq!(edges.reach(2), [true, true, true, false, false]);
        assert_eq!(turned.reach(0), [true, true, true, false, true]);
    }

    #[test]
    fn a_plan_without_steps_has_no_edges() {
        let none = Edges::new(Vec::<Vec<usize>>::new()).unwrap();
        assert_eq!((none.steps(), none.turned().steps()), (0, 0));
    }
}
