//! How well this site knows the servers that it may have to make anew.

use chrono::{DateTime, Utc};
use protector_domain::Group;

use crate::Service;
use crate::error::Result;

/// What was read of a group's servers, while their cloud could be asked.
pub struct Known {
    pub read_at: Option<DateTime<Utc>>,
    /// Of all members, as they are now.
    pub complete: bool,
}

impl Service {
    pub async fn facts(&self, group: &Group) -> Result<Known> {
        let kept = self.store.facts_about(group.id()).await?;
        Ok(Known {
            read_at: kept.as_ref().map(|kept| kept.read_at),
            complete: kept.is_some_and(|kept| kept.are_complete(group)),
        })
    }
}
