//! What can be changed while a simulated cloud runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::world::World;
use super::{Delays, Release};

/// Changes; what is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long work takes.
    pub delays: Option<Delays>,
    /// Policy rules refused to everybody.
    pub forbidden: Option<BTreeSet<String>>,
    /// Policy rules granted to every member.
    pub granted: Option<BTreeSet<String>>,
    /// The releases whose ways are followed.
    pub release: Option<Release>,
    /// How long tokens live.
    pub token_seconds: Option<u64>,
    /// Nova's limits; `instances`, `cores`, `ram`.
    pub compute_quotas: BTreeMap<String, i64>,
    /// Cinder's limits; `volumes`, `gigabytes`, `gigabytes_<type>`.
    pub volume_quotas: BTreeMap<String, i64>,
    /// Neutron's limits; `port`, `floatingip`.
    pub network_quotas: BTreeMap<String, i64>,
    /// Servers whose name contains the first text end in `ERROR` with the second as their fault.
    pub build_fails: Option<Vec<(String, String)>>,
    /// The reason why the driver takes over no volume; an empty one ends that.
    pub manage_fails: Option<String>,
    /// Whether Cinder's volume service is down.
    pub volume_service_down: Option<bool>,
    /// Names of volume types that only some projects see, with the ids of those projects.
    pub private_types: BTreeMap<String, BTreeSet<String>>,
}

impl Settings {
    pub(super) fn apply(self, world: &mut World) {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        set(&mut world.delays, self.delays);
        set(&mut world.policies.forbidden, self.forbidden);
        set(&mut world.policies.granted, self.granted);
        set(&mut world.release, self.release);
        set(&mut world.identity.token_seconds, self.token_seconds);
        world.compute.quotas.extend(self.compute_quotas);
        world.volume.quotas.extend(self.volume_quotas);
        world.network.quotas.extend(self.network_quotas);
        set(&mut world.compute.build_fails, self.build_fails);
        if let Some(reason) = self.manage_fails {
            world.volume.manage_fails = Some(reason).filter(|reason| !reason.is_empty());
        }
        set(&mut world.volume.service_down, self.volume_service_down);
        for (name, projects) in self.private_types {
            let kind = world
                .volume
                .types
                .iter_mut()
                .find(|kind| kind["name"] == name.as_str());
            if let Some(kind) = kind {
                kind["is_public"] = false.into();
                let id = kind["id"].as_str().unwrap_or_default().to_owned();
                world.volume.type_access.insert(id, projects);
            }
        }
    }
}
