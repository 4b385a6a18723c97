//! The clouds of the reference profile R1, and the time that no engine can beat on them.

use std::time::Duration;

/// How slow the clouds are, in seconds of their own time.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// One call of a cloud.
    pub cloud: f64,
    /// One call of an array.
    pub array: f64,
    /// Taking a volume over, and how many are taken over at a time.
    pub manage: f64,
    pub manages: usize,
    /// Booting a server, and how many boot at a time.
    pub boot: f64,
    pub boots: usize,
    /// How often slow things are looked at.
    pub poll: f64,
}

pub const R1: Profile = Profile {
    cloud: 0.05,
    array: 0.1,
    manage: 3.0,
    manages: 32,
    boot: 8.8,
    boots: 64,
    poll: 0.25,
};

/// Calls that have to follow one another, whatever is done side by side.
struct Chain {
    what: &'static str,
    cloud: u32,
    array: u32,
    polls: u32,
}

/// Before the first and after the last server: once for all of them.
const ONCE: [Chain; 9] = [
    Chain {
        what: "sign in: tenant and service at both clouds, both arrays",
        cloud: 4,
        array: 2,
        polls: 0,
    },
    Chain {
        what: "inspect: the trust's owner, all lists side by side, the keypair",
        cloud: 3,
        array: 0,
        polls: 0,
    },
    Chain {
        what: "preflight: arrays and their group; owner, lists, types (twice), pools, services, keypair, addresses, names, four quotas, owner",
        cloud: 14,
        array: 6,
        polls: 0,
    },
    Chain {
        what: "stop: list, stop, list of what changed",
        cloud: 3,
        array: 0,
        polls: 1,
    },
    Chain {
        what: "last snapshot: known? group, targets, send, its replica, its members",
        cloud: 0,
        array: 6,
        polls: 0,
    },
    Chain {
        what: "fence: name, schedule, acceptance",
        cloud: 0,
        array: 3,
        polls: 0,
    },
    Chain {
        what: "consistency group: show, change, show",
        cloud: 3,
        array: 0,
        polls: 1,
    },
    Chain {
        what: "last look, and a lock",
        cloud: 2,
        array: 0,
        polls: 0,
    },
    Chain {
        what: "replication the other way: both names, connection, group, target, acceptance, schedule, volumes",
        cloud: 0,
        array: 9,
        polls: 0,
    },
];

/// For one server: its volumes side by side, then its port and itself.
const EACH: [Chain; 4] = [
    Chain {
        what: "clone, tag",
        cloud: 0,
        array: 2,
        polls: 0,
    },
    Chain {
        what: "manage, and a list",
        cloud: 2,
        array: 0,
        polls: 1,
    },
    Chain {
        what: "transfer, accept, update, image properties",
        cloud: 4,
        array: 0,
        polls: 0,
    },
    Chain {
        what: "port, server, and a list",
        cloud: 3,
        array: 0,
        polls: 1,
    },
];

impl Profile {
    fn of(&self, chains: &[Chain]) -> f64 {
        let one = |chain: &Chain| {
            f64::from(chain.cloud) * self.cloud
                + f64::from(chain.array) * self.array
                + f64::from(chain.polls) * self.poll
        };
        chains.iter().map(one).sum()
    }

    /// The least that any engine needs for so many servers with so many volumes each: neither a volume nor a server
    /// is divisible, the server of the volume that is taken over last still has to boot, and none boots before its
    /// own volumes are taken over.
    pub fn bound(&self, servers: usize, volumes_each: usize) -> f64 {
        let volumes = servers * volumes_each;
        let managed = volumes.div_ceil(self.manages) as f64 * self.manage;
        let booted = servers.div_ceil(self.boots) as f64 * self.boot;
        let slow = (managed + self.boot).max(self.manage + booted);
        self.of(&ONCE) + self.of(&EACH) + slow
    }

    /// The formula with its numbers, for people.
    pub fn explained(&self) -> String {
        let mut text = format!(
            "bound = once + each + max({} x ceil(V/{}) + {}, {} + {} x ceil(N/{})) seconds for V volumes of N servers, \
             calls {} s (array {} s), polls {} s\n",
            self.manage,
            self.manages,
            self.boot,
            self.manage,
            self.boot,
            self.boots,
            self.cloud,
            self.array,
            self.poll
        );
        for (name, chains) in [("once", &ONCE[..]), ("each", &EACH[..])] {
            text.push_str(&format!("  {name} = {:.2} s\n", self.of(chains)));
            for chain in chains {
                text.push_str(&format!(
                    "    {} cloud, {} array, {} polls: {}\n",
                    chain.cloud, chain.array, chain.polls, chain.what
                ));
            }
        }
        text
    }
}

/// So many seconds of the clouds, run so many times faster.
pub fn scaled(seconds: f64, scale: f64) -> Duration {
    Duration::from_secs_f64(seconds / scale)
}

pub fn scaled_millis(seconds: f64, scale: f64) -> u64 {
    u64::try_from(scaled(seconds, scale).as_millis()).unwrap_or(u64::MAX)
}
