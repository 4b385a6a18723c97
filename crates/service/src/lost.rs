//! Edits that never crossed before the other site took their group over: kept, told, and applied again.
//!
//! They are applied again by ordinary modifications, where the group runs now; nothing here changes a group. What is
//! written down here is that it was done.

use protector_domain::sync::{REAPPLIED, SUPERSEDED};
use protector_domain::{Document, Grave, Group, GroupId, LostEdit, Stamp, SyncEntry};
use protector_ports::store::Along;

use crate::error::{Error, Result, on_top};
use crate::{Caller, Service};

/// No line of the log names more changes; the edit has them all.
const NAMED: usize = 10;

impl Service {
    /// What the site loses of the group as it holds it, when it takes the other one's document.
    pub(crate) async fn superseded(&self, held: &Group, winner: &Document) -> Result<SyncEntry> {
        let common = self.store.common_document(held.id()).await?;
        let lost = LostEdit::since(common.as_ref(), held.document.clone());
        let message = format!(
            "the other site took the group over (epoch {}), and this version, which never reached it, is no longer valid{}",
            winner.stamp.epoch,
            told(&lost, winner)
        );
        let entry = self.entry(held.id(), SUPERSEDED, Some(lost.stamp()), message);
        Ok(SyncEntry {
            lost: Some(lost),
            ..entry
        })
    }

    /// The other site took over what had been deleted here before it heard of that. Nothing but the deletion is lost.
    pub(crate) fn risen(&self, grave: &Grave, winner: &Document) -> SyncEntry {
        self.entry(
            winner.group_id,
            SUPERSEDED,
            Some(grave.stamp),
            format!(
                "the group had been deleted on this site, but the other one, which had not heard of that, took it over (epoch \
                 {}): it is here again. `openstack protector protection-group delete {}` deletes it on both",
                winner.stamp.epoch, winner.name
            ),
        )
    }

    /// Notes that what a lost edit had changed was changed again, if this site sees that it was. Saying so again adds
    /// nothing.
    pub async fn reapplied(&self, caller: &Caller, id: GroupId, edit: Stamp) -> Result<()> {
        on_top(|| self.noted_again(caller, id, edit)).await
    }

    async fn noted_again(&self, caller: &Caller, id: GroupId, edit: Stamp) -> Result<()> {
        let group = self.own_group(caller, id).await?;
        let kept = self.entries_of(id, SUPERSEDED, edit).await?;
        let lost = kept.and_then(|entry| entry.lost).ok_or_else(|| Error::NotFound {
            message: format!(
                "This site keeps no edit {}.{} of protection group '{}'.",
                edit.epoch, edit.version, group.document.name
            ),
        })?;
        if self.entries_of(id, REAPPLIED, edit).await?.is_some() {
            return Ok(());
        }
        let now = group.document.stamp;
        if !lost.is_in(&group.document) {
            return Err(Error::conflict(format!(
                "Version {} of the protection group, which this site holds, has not all that edit {}.{} changed.",
                now.version, edit.epoch, edit.version
            )));
        }
        let message = format!(
            "what this version changed is in the group again, as version {} (epoch {}) has it",
            now.version, now.epoch
        );
        let along = Along {
            entry: Some(self.entry(id, REAPPLIED, Some(edit), message)),
            ..Along::default()
        };
        self.store.update_group(&group, along).await?;
        Ok(())
    }

    async fn entries_of(&self, id: GroupId, event: &str, edit: Stamp) -> Result<Option<SyncEntry>> {
        let entries = self.store.sync_log(id, Some(event), usize::MAX).await?;
        Ok(entries.into_iter().find(|entry| entry.stamp == Some(edit)))
    }
}

/// What was lost, in few words, after the rest of the line.
fn told(lost: &LostEdit, winner: &Document) -> String {
    match &lost.changes {
        None => "; what it changed is not known, but all that was in it is kept".to_owned(),
        Some(changes) if changes.is_empty() => String::new(),
        Some(_) if lost.is_in(winner) => {
            "; all that it changed is in the other site's version too".to_owned()
        }
        Some(changes) => {
            let named: Vec<String> = changes.iter().take(NAMED).map(ToString::to_string).collect();
            let more = match changes.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("; it changed: {}{more}", named.join(", "))
        }
    }
}
