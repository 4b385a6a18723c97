//! Simulated OpenStack control planes: Keystone, Barbican, Nova, Cinder, Neutron and Glance over real HTTP.
//!
//! A [`Cloud`] is one of them: one port, one world, one array of a [`crate::array::Fabric`] for its volumes. Two
//! clouds share nothing, and their ids differ as those of two real clouds do; unless they are regions of one Keystone,
//! which has a port of its own then. What makes it worth its name:
//!
//! * work takes time ([`Delays`]) and shows the states that the real services show on the way;
//! * refusals are those of the real services, in words and status: policies, quotas, states, conflicts;
//! * tokens and trusts follow Keystone's rules, expiry and lost roles included;
//! * Cinder does to the array what Pure's driver does: names, protection groups, connections;
//! * everything can go wrong on demand: see [`crate::http::Faults`] and [`Settings`].
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use protector_sim::cloud::Sites;
//!
//! let sites = Sites::start_default().await?;
//! let site = sites.cloud("site-a").ok_or("no such site")?;
//! let server = site.boot("web-0", 2)?;
//! println!("{} has {server}", site.auth_url());
//! # Ok(()) }
//! ```
//!
//! The same as a process is [`run`]; other processes use the control interface (module `control`).

mod ask;
mod backend;
mod checkpoint;
mod compute;
mod control;
mod door;
mod fault;
mod fixtures;
mod identity;
mod image;
mod key_manager;
mod network;
mod policy;
mod region;
mod run;
mod seed;
mod settings;
mod site;
mod sites;
mod table;
mod volume;
mod world;

pub use backend::{FabricBackend, VolumeBackend};
pub use fixtures::{DiskPlace, FixtureError};
pub use policy::Policies;
pub use run::{RunError, SitesOptions, run};
pub use seed::{Account, SiteSpec};
pub use settings::Settings;
pub use site::Cloud;
pub use sites::{Sites, StartError};
pub use world::Delays;

/// Which release of the services is simulated, where releases differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Release {
    /// Cinder's major version: 17 is Victoria, 26 is 2025.1.
    pub cinder: u32,
}

impl Default for Release {
    fn default() -> Self {
        Self { cinder: 26 }
    }
}
