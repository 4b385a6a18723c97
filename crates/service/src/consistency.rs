//! The pair of Cinder groups, as users see it.

use protector_domain::{ConsistencyGroup, Group, GroupId};

use crate::error::Result;
use crate::{Caller, Service};

impl Service {
    pub async fn consistency_group(&self, caller: &Caller, id: GroupId) -> Result<(Group, ConsistencyGroup)> {
        let group = self.own_group(caller, id).await?;
        let consistency_group = group.consistency_group.clone();
        Ok((group, consistency_group))
    }
}
