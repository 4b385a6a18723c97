//! What keeps a site from running a group again that was taken from it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{GroupId, ServerId, SiteId};

/// A task for a group and an epoch: the servers of the site that lost the group are stopped and locked, and its
/// array sends nothing more. It is tried until it is done, however long that site is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    pub group_id: GroupId,
    /// The site that lost the group.
    pub site_id: SiteId,
    /// That the group began on the other site.
    pub epoch: u64,
    /// What ran there.
    pub servers: Vec<ServerId>,
    /// The array group that sent from there.
    pub array_group: Option<String>,
    /// What an earlier failover left in the survivor's own array group, and the new volumes replace.
    pub replaced: Vec<String>,
    pub since: DateTime<Utc>,
    /// When all of it was done.
    pub fenced_at: Option<DateTime<Utc>>,
    /// When the group began to be replicated back to that site; only the site that took it over does that.
    pub replicated_back_at: Option<DateTime<Utc>>,
    /// Why the last try didn't do it.
    pub trouble: Option<String>,
}

impl Fence {
    pub fn is_closed(&self) -> bool {
        self.fenced_at.is_some()
    }
}
