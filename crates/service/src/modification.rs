//! The rules that every change of a group obeys.
//!
//! Only the current primary changes a group, only when the peer's last receipt is in, and only with the peer's
//! fresh word that it holds the very version that is about to be changed. So the two sites differ by at most
//! one version, wherever a client dies.

use chrono::{DateTime, Utc};
use protector_domain::{Group, GroupId, Nonce, SiteRef, Stamp, Statement, SyncEntry, SyncStatus};
use protector_ports::store::Along;

use crate::error::{Error, Result};
use crate::operations::not_over;
use crate::{Caller, Service};

impl Service {
    /// The group, if the statement allows to change it now.
    pub(crate) async fn modifiable(
        &self,
        caller: &Caller,
        id: GroupId,
        statement: &Statement,
    ) -> Result<Group> {
        let group = self.own_group(caller, id).await?;
        self.check_may_modify(&group)?;
        self.check_statement(&group, statement).await?;
        Ok(group)
    }

    /// Whether this site may change the group at all, whatever the peer says.
    pub(crate) fn check_may_modify(&self, group: &Group) -> Result<()> {
        let document = &group.document;
        if document.current_primary_site_id != self.local_site() {
            return Err(elsewhere(document.current_primary()));
        }
        if let Some(intent) = document.open_intent() {
            return Err(not_over(intent.operation_id, intent.kind));
        }
        if group.status.is_in_transit() {
            return Err(Error::conflict(format!(
                "The protection group is {}: wait until that is over.",
                group.status.as_str()
            )));
        }
        if group.sync.status != SyncStatus::Synced {
            return Err(pending(group));
        }
        Ok(())
    }

    /// Whether the peer said, freshly and to us, that it holds what we hold.
    async fn check_statement(&self, group: &Group, statement: &Statement) -> Result<()> {
        let peer = group.document.peer_of(self.local_site());
        self.check_answer(group.id(), peer, statement).await?;
        let ours = group.document.stamp;
        if statement.stamp != Some(ours) || statement.open_intent.is_some() {
            return Err(Error::conflict(format!(
                "Cannot modify the protection group: site '{}' holds version {}, this site version {}. Run `openstack protector protection-group sync-force {}`.",
                peer.name, statement.stamp.map_or_else(|| "none".to_owned(), |stamp| stamp.version.to_string()), ours.version, group.document.name
            ))
            .with("sync_status", "out_of_sync"));
        }
        Ok(())
    }

    /// Whether the statement is the peer's, about this group. Its nonce is used up by the transaction.
    pub(crate) async fn check_answer(
        &self,
        group: GroupId,
        peer: &SiteRef,
        statement: &Statement,
    ) -> Result<()> {
        if statement.group_id != group || statement.site_id != peer.id {
            return Err(Error::Invalid(format!(
                "The statement is not about this protection group or not by site '{}'.",
                peer.name
            )));
        }
        self.check_signed(peer.id, statement).await?;
        let age = self.clock.now() - statement.stated_at;
        if age > Nonce::LIFETIME {
            return Err(Error::conflict(
                "The peer's statement is older than 60 seconds: ask for a new one.",
            ));
        }
        Ok(())
    }

    /// Counts the change and marks the group as waiting for the peer's receipt.
    pub(crate) fn touch(&self, group: &mut Group) -> DateTime<Utc> {
        let now = self.clock.now();
        group.document.touch(now);
        group.sync.status = SyncStatus::Pending;
        group.updated_at = now;
        now
    }

    /// The usual company of a change: the used nonce and a line in the sync history.
    pub(crate) fn along<'a>(
        &self,
        group: &Group,
        statement: &'a Statement,
        message: impl Into<String>,
    ) -> Along<'a> {
        Along {
            nonce: Some(&statement.nonce),
            entry: Some(self.entry(group.id(), "committed", Some(group.document.stamp), message)),
            ..Along::default()
        }
    }

    pub(crate) fn entry(
        &self,
        group_id: GroupId,
        event: &str,
        stamp: Option<Stamp>,
        message: impl Into<String>,
    ) -> SyncEntry {
        SyncEntry {
            group_id,
            at: self.clock.now(),
            event: event.to_owned(),
            stamp,
            message: message.into(),
        }
    }
}

/// The answer of a site that isn't the one to ask.
pub(crate) fn elsewhere(primary: &SiteRef) -> Error {
    Error::conflict(format!(
        "The protection group runs on site '{}': changes are made there.",
        primary.name
    ))
    .with("current_primary_site_id", primary.id.to_string())
    .with("current_primary_site", primary.name.clone())
}

pub(crate) fn pending(group: &Group) -> Error {
    Error::conflict(format!(
        "Version {} of the protection group has not reached the other site yet: run `openstack protector protection-group sync-force {}`, then try again.",
        group.document.stamp.version, group.document.name
    ))
    .with("sync_status", group.sync.status.as_str())
}
