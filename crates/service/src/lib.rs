//! The use cases behind the API: look, validate, write one transaction, wake the engine.
//!
//! Nothing here waits for long work: what takes time is a work order in the same transaction as the change
//! that calls for it, and the engine finds it in the database.

pub mod caller;
pub mod consistency;
pub mod control;
pub mod error;
pub mod facts;
pub mod failover;
mod graves;
pub mod groups;
mod lost;
pub mod members;
pub mod metadata;
pub mod modification;
pub mod operations;
pub mod policies;
pub mod preflight;
mod refusal;
mod sealing;
mod signing;
pub mod sites;
pub mod sync;
pub mod takeover;
pub mod tenants;
mod trusts;
pub mod types;
pub mod validation;

use std::sync::Arc;

pub use caller::Caller;
pub use error::{Error, Result};
use protector_domain::{Group, GroupId, SiteId, Work};
use protector_ports::{Clock, Cloud, Directory, PeerKeys, Preflights, Store, Wakeup};
use protector_saga::NewSaga;

/// How this site does things.
#[derive(Debug, Clone)]
pub struct Options {
    /// Roles that a tenant's trust hands over, as far as the tenant has them.
    pub trust_roles: Vec<String>,
    /// The Cinder group type that both sites' groups are of.
    pub group_type: String,
    /// This site's region, where the configuration says it.
    pub region_name: Option<String>,
}

/// What the use cases ask of the outside.
#[derive(Clone)]
pub struct Ports {
    pub store: Arc<dyn Store>,
    pub cloud: Arc<dyn Cloud>,
    pub clock: Arc<dyn Clock>,
    pub wake: Arc<dyn Wakeup>,
    pub peers: Arc<dyn PeerKeys>,
    pub preflights: Arc<dyn Preflights>,
}

/// All use cases. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cloud: Arc<dyn Cloud>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Directory,
    pub(crate) options: Arc<Options>,
    pub(crate) wake: Arc<dyn Wakeup>,
    pub(crate) peers: Arc<dyn PeerKeys>,
    pub(crate) preflights: Arc<dyn Preflights>,
}

impl Service {
    pub fn new(ports: Ports, directory: Directory, options: Options) -> Self {
        Self {
            store: ports.store,
            cloud: ports.cloud,
            clock: ports.clock,
            directory,
            options: Arc::new(options),
            wake: ports.wake,
            peers: ports.peers,
            preflights: ports.preflights,
        }
    }

    pub fn local_site(&self) -> SiteId {
        self.directory.local()
    }

    /// Fails where the database is down.
    pub async fn ping(&self) -> Result<()> {
        Ok(self.store.ping().await?)
    }

    /// The caller's own group; another project's doesn't exist for him.
    pub(crate) async fn own_group(&self, caller: &Caller, id: GroupId) -> Result<Group> {
        let missing = || Error::not_found("protection group", id);
        let group = self.store.group(id).await?.ok_or_else(missing)?;
        if group.project(self.local_site()) == Some(&caller.project_id) {
            Ok(group)
        } else {
            Err(missing())
        }
    }
}

/// The journal's form of a work order.
pub(crate) fn saga(work: Work, id: uuid::Uuid) -> Result<NewSaga> {
    let subject = work.group().to_string();
    let (kind, version, params) = work
        .into_parts()
        .map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(NewSaga {
        id: protector_domain::SagaId(id),
        kind,
        version,
        subject,
        params: params.into(),
    })
}
