//! One array: volumes, protection groups, what it sends and what it has received.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protector_domain::ServerId;
use protector_ports::array::Mark;

use super::{Change, NAMES, Side, Time, World};
use crate::chance::Chance;

/// What is on a disk: whose it is, and up to when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data {
    pub disk: u32,
    pub written: Time,
}

#[derive(Debug, Clone)]
pub struct Volume {
    pub serial: String,
    pub destroyed: bool,
    pub data: Data,
    /// It writes all the time.
    pub writer: Option<ServerId>,
    /// What it was made with, if it is a clone.
    pub base: Option<Data>,
    pub mark: Option<Mark>,
}

impl Volume {
    pub fn content(&self, now: Time) -> Data {
        match self.writer {
            Some(_) => Data {
                written: now,
                ..self.data
            },
            None => self.data,
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct Group {
    pub volumes: BTreeSet<String>,
    pub interval: Duration,
    pub scheduled: bool,
    pub replicates: bool,
    pub destroyed: bool,
    pub ours: bool,
    pub snapshots: BTreeMap<String, Snapshot>,
}

#[derive(Debug, Clone)]
pub struct Snapshot {
    pub created: Time,
    pub content: BTreeMap<String, Data>,
    /// When the last of it came over; on the receiving side only.
    pub completed: Option<Time>,
    pub destroyed: bool,
}

/// What the other array sends of one group.
#[derive(Debug, Clone, Default)]
pub struct Incoming {
    pub allowed: bool,
    pub snapshots: BTreeMap<String, Snapshot>,
}

pub struct ArrayState {
    pub side: Side,
    pub volumes: BTreeMap<String, Volume>,
    pub groups: BTreeMap<String, Group>,
    /// By the group's name on the other array.
    pub incoming: BTreeMap<String, Incoming>,
    pub flags: BTreeSet<String>,
    serials: u32,
}

impl ArrayState {
    pub fn new(side: Side) -> Self {
        Self {
            side,
            volumes: BTreeMap::new(),
            groups: BTreeMap::new(),
            incoming: BTreeMap::new(),
            flags: BTreeSet::new(),
            serials: 0,
        }
    }

    pub fn add(&mut self, name: &str, data: Data, base: Option<Data>) {
        self.serials += 1;
        let volume = Volume {
            serial: format!("{}{:06}", NAMES[self.side], self.serials),
            destroyed: false,
            data,
            writer: None,
            base,
            mark: None,
        };
        self.volumes.insert(name.to_owned(), volume);
    }

    /// A live group.
    pub fn live(&self, name: &str) -> Option<&Group> {
        self.groups.get(name).filter(|group| !group.destroyed)
    }
}

impl World {
    /// All volumes of the group as they are in one moment, on their way to the other array.
    pub fn take_snapshot(&mut self, side: Side, group: &str, suffix: &str, chance: &mut Chance) {
        let now = self.now;
        let source = &mut self.arrays[side];
        let volumes = &source.volumes;
        let Some(found) = source.groups.get_mut(group) else {
            return;
        };
        let content: BTreeMap<String, Data> = found
            .volumes
            .iter()
            .filter_map(|name| Some((name.clone(), volumes.get(name)?.content(now))))
            .collect();
        let snapshot = Snapshot {
            created: now,
            content,
            completed: None,
            destroyed: false,
        };
        found.snapshots.insert(suffix.to_owned(), snapshot.clone());
        let allowed = self.arrays[1 - side]
            .incoming
            .entry(group.to_owned())
            .or_default();
        if allowed.allowed {
            allowed.snapshots.insert(suffix.to_owned(), snapshot);
            let about = self.pace.replicate;
            self.later(
                chance,
                about,
                Change::Arrived(side, group.to_owned(), suffix.to_owned()),
            );
        }
    }

    pub(super) fn scheduled(&mut self, side: Side, group: &str, chance: &mut Chance) {
        let Some(found) = self.arrays[side].live(group) else {
            return;
        };
        let (interval, goes) = (found.interval, found.scheduled && found.replicates);
        if goes && !self.dead[side] {
            let suffix = format!("{:06}", self.now.as_secs());
            self.take_snapshot(side, group, &suffix, chance);
        }
        if !self.dead[side] {
            let when = self.now + interval;
            self.at(when, Change::Scheduled(side, group.to_owned()));
        }
    }

    pub(super) fn arrived(&mut self, side: Side, group: &str, suffix: &str) {
        // What a dead array hadn't sent never comes; what isn't taken any more doesn't either.
        if self.dead[side] {
            return;
        }
        let now = self.now;
        if let Some(incoming) = self.arrays[1 - side].incoming.get_mut(group)
            && let Some(snapshot) = incoming.snapshots.get_mut(suffix)
        {
            if incoming.allowed || snapshot.destroyed {
                snapshot.completed = Some(now);
            } else {
                let again = now + Duration::from_secs(10);
                self.at(again, Change::Arrived(side, group.to_owned(), suffix.to_owned()));
            }
        }
    }
}
