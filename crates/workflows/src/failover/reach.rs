//! As whom clouds and arrays are reached, looked up once for all steps of a moment.
//!
//! Every step would look up the same: whose trust, which token. What is kept is no older than a second, so a trust
//! that was renewed helps the next try. A group of a thousand servers is a large thing to load, and nobody changes it
//! while it fails over: it is kept for longer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use protector_domain::{Group, SiteId};
use protector_ports::array::ArrayPair;
use protector_ports::cloud::Access;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Failover;
use crate::failure::{OrFail, StepResult};

const MOMENT: Duration = Duration::from_secs(1);
const GROUP_MOMENT: Duration = Duration::from_secs(30);

/// What was looked up, by what it was looked up for.
pub(super) struct Kept<K, T> {
    moment: Duration,
    known: Mutex<HashMap<K, (Instant, T)>>,
}

impl<K: Eq + Hash, T: Clone> Kept<K, T> {
    fn new(moment: Duration) -> Self {
        Self {
            moment,
            known: Mutex::default(),
        }
    }

    async fn get<F>(&self, key: K, look: impl FnOnce() -> F) -> StepResult<T>
    where
        F: Future<Output = StepResult<T>>,
    {
        let mut kept = self.known.lock().await;
        if let Some((at, known)) = kept.get(&key)
            && at.elapsed() < self.moment
        {
            return Ok(known.clone());
        }
        let begun = Instant::now();
        let known = look().await?;
        kept.insert(key, (begun, known.clone()));
        Ok(known)
    }
}

/// What a failover keeps of whom it reaches.
pub(super) struct Reach {
    group: Kept<(), Arc<Group>>,
    tenants: Kept<SiteId, Access>,
    services: Kept<SiteId, Access>,
    pair: Kept<(), ArrayPair>,
}

impl Reach {
    pub(super) fn new() -> Self {
        Self {
            group: Kept::new(GROUP_MOMENT),
            tenants: Kept::new(MOMENT),
            services: Kept::new(MOMENT),
            pair: Kept::new(MOMENT),
        }
    }
}

impl Failover {
    /// The group as it was a moment ago: for what doesn't change while it fails over.
    pub(super) async fn group(&self) -> StepResult<Arc<Group>> {
        let look = async || self.world.group(self.order.group).await.map(Arc::new);
        self.reach.group.get((), look).await
    }

    /// The tenant at a site, by the trust that was given there.
    pub(super) async fn tenant(&self, site: SiteId) -> StepResult<Access> {
        let look = async || {
            let group = self.group().await?;
            self.world.directory.tenant(site, &group).await.or_fail()
        };
        self.reach.tenants.get(site, look).await
    }

    /// A site's own protector user.
    pub(super) async fn service(&self, site: SiteId) -> StepResult<Access> {
        let look = async || self.world.directory.service(site).await.or_fail();
        self.reach.services.get(site, look).await
    }

    /// The arrays, from where the group runs to where it goes.
    pub(super) async fn pair(&self) -> StepResult<ArrayPair> {
        self.reach.pair.get((), || self.look_up_pair()).await
    }
}
