//! The whole state of one simulated cloud, and what happens in it by itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::backend::VolumeBackend;
use super::compute::{self, Compute};
use super::identity::Identity;
use super::key_manager::KeyManager;
use super::network::Network;
use super::policy::Policies;
use super::volume::{self, Volumes};
use super::{Release, table::Table};

/// How long a cloud takes for its work, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delays {
    /// Building a server.
    pub build: u64,
    /// Stopping a server; guests shut down in good order.
    pub stop: u64,
    /// Starting or rebooting a server.
    pub start: u64,
    /// Deleting a server.
    pub delete: u64,
    /// Anything Cinder does with a volume.
    pub volume: u64,
    /// Anything Cinder does with a group.
    pub group: u64,
    /// How many servers are built at a time, the others waiting; all of them if 0.
    pub builds_at_once: usize,
    /// How many volumes are taken over at a time.
    pub manages_at_once: usize,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            build: 300,
            stop: 200,
            start: 150,
            delete: 150,
            volume: 150,
            group: 100,
            builds_at_once: 0,
            manages_at_once: 0,
        }
    }
}

/// Workers that do one thing each at a time, whoever comes first being served first.
#[derive(Clone, Debug, Default)]
pub(super) struct Workers {
    /// When each of them is free again.
    free_at: BinaryHeap<Reverse<u64>>,
}

impl Workers {
    /// When something is done that takes so long.
    fn done_at(&mut self, now: u64, delay: u64, workers: usize) -> u64 {
        if workers == 0 {
            return now + delay;
        }
        let mut begin = now;
        while self.free_at.len() >= workers {
            let Some(Reverse(free)) = self.free_at.pop() else {
                break;
            };
            begin = begin.max(free);
        }
        self.free_at.push(Reverse(begin + delay));
        begin + delay
    }
}

/// What is to happen later.
#[derive(Clone, Debug, Serialize)]
pub(super) enum Job {
    Server(String, compute::Work),
    Volume(String, volume::Work),
    Group(String, volume::GroupWork),
}

pub(super) struct World {
    /// Milliseconds since 1970, by the cloud's own clock.
    pub now: u64,
    ahead: u64,
    pub name: String,
    pub region: String,
    pub release: Release,
    pub delays: Delays,
    pub policies: Policies,
    pub backend: Box<dyn VolumeBackend>,
    pub identity: Identity,
    pub compute: Compute,
    pub volume: Volumes,
    pub network: Network,
    pub images: Table<Value>,
    pub key_manager: KeyManager,
    pub jobs: Vec<(u64, Job)>,
    pub builders: Workers,
    pub managers: Workers,
}

impl World {
    pub fn new(name: &str, region: &str, release: Release, backend: Box<dyn VolumeBackend>) -> Self {
        let mut world = Self {
            now: 0,
            ahead: 0,
            name: name.to_owned(),
            region: region.to_owned(),
            release,
            delays: Delays::default(),
            policies: Policies::default(),
            backend,
            identity: Identity::default(),
            compute: Compute::default(),
            volume: Volumes::default(),
            network: Network::default(),
            images: Table::default(),
            key_manager: KeyManager::default(),
            jobs: Vec::new(),
            builders: Workers::default(),
            managers: Workers::default(),
        };
        world.tick();
        world
    }

    /// Let everything happen that is due by now.
    pub fn tick(&mut self) {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now = u64::try_from(real.as_millis()).unwrap_or(u64::MAX) + self.ahead;
        self.backend.settle();
        loop {
            let due = self
                .jobs
                .iter()
                .enumerate()
                .filter(|(_, (at, _))| *at <= self.now)
                .min_by_key(|(place, (at, _))| (*at, *place))
                .map(|(place, _)| place);
            let Some(place) = due else { break };
            match self.jobs.remove(place).1 {
                Job::Server(id, work) => compute::work(self, &id, work),
                Job::Volume(id, work) => volume::work(self, &id, work),
                Job::Group(id, work) => volume::group_work(self, &id, work),
            }
        }
    }

    pub fn advance(&mut self, by: Duration) {
        self.ahead += u64::try_from(by.as_millis()).unwrap_or_default();
        self.tick();
    }

    pub fn later(&mut self, delay: u64, job: Job) {
        self.jobs.push((self.now + delay, job));
    }

    /// A server that waits for a free hypervisor, and is built then.
    pub fn build_later(&mut self, job: Job) {
        let Delays {
            build,
            builds_at_once,
            ..
        } = self.delays;
        let at = self.builders.done_at(self.now, build, builds_at_once);
        self.jobs.push((at, job));
    }

    /// A volume that waits for a free worker of Cinder, and is taken over then.
    pub fn manage_later(&mut self, job: Job) {
        let Delays {
            volume,
            manages_at_once,
            ..
        } = self.delays;
        let at = self.managers.done_at(self.now, volume, manages_at_once);
        self.jobs.push((at, job));
    }

    fn date(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(i64::try_from(self.now).unwrap_or_default()).unwrap_or_default()
    }

    /// Now, as Nova and Neutron write it.
    pub fn stamp(&self) -> String {
        self.date().format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Now, as Cinder writes it.
    pub fn stamp_micros(&self) -> String {
        self.date().format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
    }

    /// A moment as Keystone writes it.
    pub fn keystone_time(millis: u64) -> String {
        DateTime::from_timestamp_millis(i64::try_from(millis).unwrap_or_default())
            .unwrap_or_default()
            .format("%Y-%m-%dT%H:%M:%S%.6fZ")
            .to_string()
    }
}

/// A new id as most services make them.
pub(super) fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A new id as Keystone makes them.
pub(super) fn hex() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
