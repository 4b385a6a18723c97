//! Two clouds and their arrays, as far as disaster recovery touches them.
//!
//! What the real services would do twice is done twice here, and what they refuse is refused: a volume serves one
//! server, a port has one address, a managed volume has left its old name. What takes time there takes virtual time here.
//!
//! Changes that come later wait in a queue. They are made before anything is looked at, one by one, so nobody sees
//! a world that is behind its clock.

pub mod array;
pub mod cloud;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use protector_domain::{ServerId, SiteId, VolumeGroupId, VolumeId};
use uuid::Uuid;

use self::array::ArrayState;
use self::cloud::CloudState;
use crate::chance::Chance;

/// Since the beginning of the run.
pub type Time = Duration;

/// A day like any other, so that a run doesn't depend on when it is run.
pub fn date(at: Time) -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000, 0).unwrap_or_default() + at
}

/// The first site or the second.
pub type Side = usize;

pub const NAMES: [&str; 2] = ["site-a", "site-b"];
pub const ARRAYS: [&str; 2] = ["fa-a", "fa-b"];

pub fn site_id(side: Side) -> SiteId {
    SiteId(Uuid::from_u128(
        0xa000_0000_0000_4000_8000_0000_0000_0001 + side as u128,
    ))
}

pub fn side_of(site: SiteId) -> Side {
    usize::from(site == site_id(1))
}

/// What happens later by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Built(Side, ServerId),
    Stopped(Side, ServerId),
    Started(Side, ServerId),
    Deleted(Side, ServerId),
    Managed(Side, VolumeId, String),
    Unmanaged(Side, VolumeId),
    VolumeDeleted(Side, VolumeId),
    GroupReady(Side, VolumeGroupId),
    GroupGone(Side, VolumeGroupId),
    /// The array's schedule comes round.
    Scheduled(Side, String),
    /// A snapshot of this side's group has come over.
    Arrived(Side, String, String),
}

/// How long the clouds take, in milliseconds.
#[derive(Debug, Clone)]
pub struct Pace {
    pub build: u64,
    pub stop: u64,
    pub manage: u64,
    pub group: u64,
    pub replicate: u64,
}

pub struct World {
    pub clouds: [CloudState; 2],
    pub arrays: [ArrayState; 2],
    /// Given up for dead, and never heard of again.
    pub dead: [bool; 2],
    pub pace: Pace,
    /// So often in a million a build or an import ends in status error.
    pub breakage: u64,
    /// How many did.
    pub broken: u64,
    pending: BTreeMap<(Time, u64), Change>,
    number: u64,
    pub now: Time,
}

impl World {
    pub fn new(pace: Pace) -> Self {
        Self {
            clouds: [CloudState::new(0), CloudState::new(1)],
            arrays: [ArrayState::new(0), ArrayState::new(1)],
            dead: [false; 2],
            pace,
            breakage: 0,
            broken: 0,
            pending: BTreeMap::new(),
            number: 0,
            now: Time::ZERO,
        }
    }

    pub fn later(&mut self, chance: &mut Chance, about: u64, change: Change) {
        let delay = chance.millis(about / 2..about + about / 2 + 1);
        self.at(self.now + delay, change);
    }

    pub fn at(&mut self, when: Time, change: Change) {
        self.number += 1;
        self.pending.insert((when, self.number), change);
    }

    /// The next change that is due by then, made.
    pub fn step(&mut self, until: Time, chance: &mut Chance) -> Option<Change> {
        let (&(when, number), _) = self.pending.first_key_value()?;
        if when > until {
            return None;
        }
        let change = self.pending.remove(&(when, number))?;
        self.now = self.now.max(when);
        self.make(&change, chance);
        Some(change)
    }

    fn make(&mut self, change: &Change, chance: &mut Chance) {
        match change {
            Change::Built(side, id) => self.built(*side, id, chance),
            Change::Stopped(side, id) => self.rest(*side, id, "SHUTOFF"),
            Change::Started(side, id) => self.rest(*side, id, "ACTIVE"),
            Change::Deleted(side, id) => self.server_gone(*side, id),
            Change::Managed(side, id, name) => self.managed(*side, id, name, chance),
            Change::Unmanaged(side, id) => self.unmanaged(*side, id),
            Change::VolumeDeleted(side, id) => {
                self.clouds[*side].volumes.remove(id);
            }
            Change::GroupReady(side, id) => {
                if let Some(group) = self.clouds[*side].groups.get_mut(id) {
                    group.status = "available".to_owned();
                }
            }
            Change::GroupGone(side, id) => {
                self.clouds[*side].groups.remove(id);
            }
            Change::Scheduled(side, group) => self.scheduled(*side, group, chance),
            Change::Arrived(side, group, suffix) => self.arrived(*side, group, suffix),
        }
    }
}
