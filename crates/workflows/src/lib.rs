//! What the engine does, one file per piece of work.
//!
//! A workflow is a DAG of named steps over ports. Every step finds before it does, so it may be repeated after
//! any crash; every step that does something before the point of no return has an undo that finds before it
//! removes. What an effect leaves in the world carries the operation in a field that its creation sets.

mod arrays;
mod dissolve;
mod establish;
mod failover;
mod failure;
mod fencing;
#[cfg(test)]
mod golden;
mod members;
mod orphans;
mod plan;
mod polling;
mod recorder;
mod rounds;
mod volume_groups;
mod world;

use std::sync::Arc;
use std::time::Duration;

use protector_domain::Work;
use protector_ports::{Array, Clock, Cloud, Directory, Store};
use protector_saga::engine::Planner;
use protector_saga::{SagaHeader, Steps};

pub use crate::failover::{Looker, Remnant};
pub use crate::fencing::{Fencer, Lookout};
pub use crate::orphans::{Found, Left, Orphans};
use crate::polling::Ticks;
pub use crate::recorder::Recorder;
use crate::world::World;

/// As whom Cinder is told to take a volume over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImportAs {
    /// As the service user, who hands the volume to the tenant by a transfer: works with stock policy.
    #[default]
    Service,
    /// As the tenant, by his trust: needs `volume_extension:volume_manage` opened to members.
    Tenant,
}

impl ImportAs {
    /// The words of the configuration.
    pub const WORDS: &[&str] = &["service", "tenant"];

    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "service" => Some(Self::Service),
            "tenant" => Some(Self::Tenant),
            _ => None,
        }
    }
}

/// How the engine goes about its work.
#[derive(Debug, Clone)]
pub struct Options {
    /// The Cinder group type of the groups that users see.
    pub group_type: String,
    pub import_as: ImportAs,
    /// How often a slow thing is looked at.
    pub poll: Duration,
    /// How many volumes are imported at a time: the service project's quota counts them meanwhile.
    pub imports_at_once: usize,
    /// How many servers are stopped or booted at a time.
    pub servers_at_once: usize,
    /// How long a planned operation waits for the other site's receipt.
    pub receipt_patience: Duration,
    /// After what time what was read of a group's servers is read again.
    pub facts_age: Duration,
    /// How often it is tried to fence a site that a group was taken from; three times that lie between two looks whether
    /// that happened to this site.
    pub fencing_interval: Duration,
    /// How long the last replication may take.
    pub replication_patience: Duration,
    /// How long a server may take to stop or to boot.
    pub server_patience: Duration,
    /// Networks (names or ids) of others on which the service may make ports for tenants.
    pub privileged_networks: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            group_type: "protector-consistency-group".to_owned(),
            import_as: ImportAs::default(),
            poll: Duration::from_secs(1),
            imports_at_once: 4,
            servers_at_once: 16,
            receipt_patience: Duration::from_secs(120),
            facts_age: Duration::from_secs(600),
            fencing_interval: Duration::from_secs(10),
            replication_patience: Duration::from_secs(4 * 3600),
            server_patience: Duration::from_secs(600),
            privileged_networks: Vec::new(),
        }
    }
}

/// Makes the workflow of every work order.
pub struct Workflows {
    world: Arc<World>,
}

impl Workflows {
    pub fn new(
        store: Arc<dyn Store>,
        cloud: Arc<dyn Cloud>,
        array: Arc<dyn Array>,
        clock: Arc<dyn Clock>,
        directory: Directory,
        options: Options,
    ) -> Self {
        Self {
            world: Arc::new(World {
                store,
                cloud,
                array,
                clock,
                directory,
                ticks: Ticks::every(options.poll),
                options,
            }),
        }
    }
}

impl Planner for Workflows {
    fn plan(&self, header: &SagaHeader) -> Result<Arc<dyn Steps>, String> {
        let work = Work::from_parts(&header.kind, header.version, &header.params)?;
        let world = self.world.clone();
        let unsound = |error: protector_saga::DagError| error.to_string();
        Ok(match work {
            Work::EstablishGroup { group } => {
                Arc::new(establish::Establish::new(world, group).map_err(unsound)?)
            }
            Work::DissolveGroup { group } => {
                Arc::new(dissolve::Dissolve::new(world, group).map_err(unsound)?)
            }
            Work::BindArrays { group } => Arc::new(arrays::BindArrays::new(world, group).map_err(unsound)?),
            Work::AddMember { group, member } => {
                Arc::new(members::AddMember::new(world, group, member).map_err(unsound)?)
            }
            Work::RemoveMember { group, member } => {
                Arc::new(members::RemoveMember::new(world, group, member).map_err(unsound)?)
            }
            Work::PlannedFailover(order) => {
                Arc::new(failover::Failover::planned(world, order).map_err(unsound)?)
            }
            Work::UnplannedFailover(order) => {
                Arc::new(failover::Failover::unplanned(world, order).map_err(unsound)?)
            }
        })
    }
}
