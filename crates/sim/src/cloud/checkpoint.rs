//! A whole simulation as it was at one moment, to begin from there again and again.
//!
//! What isn't part of it: the clouds' own time, which goes on (tokens and stamps don't travel back), the log of calls,
//! and faults. The arrays' time does go back: their schedules belong to their state.

use super::compute::Compute;
use super::identity::Identity;
use super::key_manager::KeyManager;
use super::network::Network;
use super::policy::Policies;
use super::site::Cloud;
use super::table::Table;
use super::volume::Volumes;
use super::world::{Delays, Job, World};
use crate::array::{Fabric, FabricCheckpoint};
use serde_json::Value;

/// Two clouds and their arrays at one moment.
pub(super) struct Checkpoint {
    clouds: Vec<CloudThen>,
    fabric: FabricCheckpoint,
}

struct CloudThen {
    delays: Delays,
    policies: Policies,
    identity: Identity,
    compute: Compute,
    volume: Volumes,
    network: Network,
    images: Table<Value>,
    key_manager: KeyManager,
    jobs: Vec<(u64, Job)>,
}

impl Checkpoint {
    pub fn take(clouds: &[Cloud], fabric: &Fabric) -> Self {
        Self {
            clouds: clouds
                .iter()
                .map(|cloud| CloudThen::take(&mut cloud.world()))
                .collect(),
            fabric: fabric.checkpoint(),
        }
    }

    /// Everything is as it was then.
    pub fn restore(&self, clouds: &[Cloud], fabric: &Fabric) {
        for (cloud, then) in clouds.iter().zip(&self.clouds) {
            then.restore(&mut cloud.world());
        }
        fabric.restore(&self.fabric);
    }
}

impl CloudThen {
    fn take(world: &mut World) -> Self {
        world.tick();
        Self {
            delays: world.delays.clone(),
            policies: world.policies.clone(),
            identity: world.identity.clone(),
            compute: world.compute.clone(),
            volume: world.volume.clone(),
            network: world.network.clone(),
            images: world.images.clone(),
            key_manager: world.key_manager.clone(),
            jobs: world.jobs.clone(),
        }
    }

    fn restore(&self, world: &mut World) {
        world.delays = self.delays.clone();
        world.policies = self.policies.clone();
        world.identity = self.identity.clone();
        world.compute = self.compute.clone();
        world.volume = self.volume.clone();
        world.network = self.network.clone();
        world.images = self.images.clone();
        world.key_manager = self.key_manager.clone();
        world.jobs = self.jobs.clone();
    }
}
