//! What happens in a history, drawn from its seed before it begins. Only the time that things take isn't in it.

use std::time::Duration;

use crate::chance::Chance;
use crate::record::Side;

/// How a group is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Describe,
    /// Name and description at once.
    Rename,
    Map,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// As the command line client does it; `carry` to the other site too, and send the change `twice` with one statement.
    Edit {
        change: Change,
        carry: bool,
        twice: bool,
    },
    /// `sync-force`.
    Sync,
    /// What every command does that finds a change on its way.
    Mend,
    /// Bring once more what a site said earlier.
    Replay {
        paper: u64,
        astray: bool,
    },
    /// Bring what no site said.
    Forge {
        paper: u64,
        how: u64,
    },
    /// Change something with a statement that somebody got earlier.
    Stale {
        paper: u64,
        change: Change,
    },
    /// Say that a change could not be brought over.
    Complain,
    Failover,
    TakeOver,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    pub group: usize,
    pub what: What,
    /// The site that is asked first.
    pub first: Side,
    pub pause: Duration,
    /// The client is killed after so many calls.
    pub dies_after: Option<u64>,
    /// For the faults that its calls meet.
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    KillApi,
    KillEngine,
    /// No client gets to the site.
    Partition,
}

/// What happens to a site, when, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    pub after: Duration,
    pub side: Side,
    pub blow: Blow,
    pub lasts: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub groups: usize,
    /// The first group has a server, so that it can be moved.
    pub server: bool,
    /// The groups have just been made, and the other site hasn't heard of them yet.
    pub fresh: bool,
    pub clients: [Vec<Action>; 2],
    /// So many calls in a hundred meet a fault.
    pub faults: u64,
    pub weather: Vec<Weather>,
}

impl Plan {
    pub fn draw(seed: u64) -> Self {
        let mut chance = Chance::of(seed);
        let server = chance.percent(6);
        let fresh = !server && chance.percent(12);
        let groups = 1 + usize::from(!server && chance.percent(30));
        let end = chance.percent(12);
        let mut clients = [0, 1].map(|_| {
            let actions = chance.between(3, 8);
            (0..actions)
                .map(|_| action(&mut chance, groups, server))
                .collect::<Vec<_>>()
        });
        if server {
            // Without one of these the servers would be for nothing.
            let what = match chance.percent(50) {
                true => What::Failover,
                false => What::TakeOver,
            };
            let place = chance.place(clients[0].len());
            let action = &mut clients[0][place];
            action.what = what;
            action.first = Side::A;
            action.dies_after = None;
        } else if end {
            let place = chance.place(clients[0].len());
            clients[0][place].what = What::Delete;
        }
        // Where most calls meet one, few changes get through.
        let faults = [2, 6, 14][chance.place(3)];
        let weather = (0..chance.below(4)).map(|_| weather(&mut chance)).collect();
        Self {
            seed,
            groups,
            server,
            fresh,
            clients,
            faults,
            weather,
        }
    }
}

fn side(chance: &mut Chance, a: u64) -> Side {
    match chance.percent(a) {
        true => Side::A,
        false => Side::B,
    }
}

fn change(chance: &mut Chance, server: bool) -> Change {
    match chance.below(4) {
        0 => Change::Rename,
        // Networks that don't exist would stand in a failover's way.
        1 if !server => Change::Map,
        _ => Change::Describe,
    }
}

fn action(chance: &mut Chance, groups: usize, server: bool) -> Action {
    let what = match chance.below(100) {
        0..50 => What::Edit {
            change: change(chance, server),
            carry: chance.percent(85),
            twice: chance.percent(20),
        },
        50..60 => What::Sync,
        60..66 => What::Mend,
        66..78 => What::Replay {
            paper: chance.next(),
            astray: chance.percent(20),
        },
        78..88 => What::Forge {
            paper: chance.next(),
            how: chance.next(),
        },
        88..94 => What::Stale {
            paper: chance.next(),
            change: change(chance, server),
        },
        94..97 => What::Complain,
        _ => What::TakeOver,
    };
    // In a group with a server that is a forced failover: one of them is enough.
    let what = match what {
        What::TakeOver if server => What::Sync,
        other => other,
    };
    Action {
        group: chance.place(groups),
        what,
        first: side(chance, 70),
        pause: Duration::from_millis(chance.below(60)),
        dies_after: chance.percent(20).then(|| chance.between(1, 8)),
        seed: chance.next(),
    }
}

fn weather(chance: &mut Chance) -> Weather {
    let blow = match chance.below(10) {
        0..4 => Blow::KillApi,
        4..7 => Blow::KillEngine,
        _ => Blow::Partition,
    };
    Weather {
        after: Duration::from_millis(chance.below(500)),
        side: side(chance, 50),
        blow,
        lasts: Duration::from_millis(chance.between(50, 400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_one_history() {
        for seed in 0..50 {
            assert_eq!(Plan::draw(seed), Plan::draw(seed));
            assert_ne!(Plan::draw(seed).clients, Plan::draw(seed + 1).clients);
        }
    }

    #[test]
    fn all_that_can_happen_does_in_a_few_hundred_histories() {
        let plans: Vec<Plan> = (0..300).map(Plan::draw).collect();
        let some = |wanted: fn(&What) -> bool| {
            plans
                .iter()
                .flat_map(|plan| plan.clients.iter().flatten())
                .any(|action| wanted(&action.what))
        };
        assert!(some(|what| *what == What::Failover) && some(|what| *what == What::TakeOver));
        assert!(some(|what| *what == What::Delete) && some(|what| *what == What::Complain));
        assert!(plans.iter().any(|plan| plan.groups == 2) && plans.iter().any(|plan| plan.fresh));
        assert!(plans.iter().any(|plan| plan.weather.is_empty()));
    }
}
