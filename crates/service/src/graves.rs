//! Groups that were deleted here. They stay deleted, and the other site hears of it whoever comes.

use protector_domain::{Grave, GroupId, Stamp, Tombstone};

use crate::error::{Error, Result};
use crate::{Caller, Service};

impl Service {
    /// Clients may carry what was said long ago. Only a takeover after the end outranks it: of what, is answered.
    pub(crate) async fn check_not_deleted(&self, id: GroupId, stamp: Stamp) -> Result<Option<Grave>> {
        match self.store.grave(id).await? {
            Some(grave) if stamp <= grave.stamp => Err(Error::conflict(format!(
                "The protection group was deleted on this site, and version {} doesn't bring it back. If the other site still \
                 holds it, run `openstack protector protection-group delete {id}`.",
                stamp.version
            ))),
            grave => Ok(grave),
        }
    }

    /// The word of a deletion that is over here, for a client that comes after the one that ordered it was lost.
    pub(crate) async fn tombstone_of_gone(&self, caller: &Caller, id: GroupId) -> Result<Option<Tombstone>> {
        let here = self.local_site();
        let Some(grave) = self.store.grave(id).await? else {
            return Ok(None);
        };
        if grave.primary_site_id != here || grave.project_id != caller.project_id {
            return Ok(None);
        }
        let tombstone = self.signed(Tombstone {
            group_id: id,
            stamp: grave.stamp,
            origin_site_id: here,
            signature: None,
        })?;
        Ok(Some(tombstone))
    }
}
