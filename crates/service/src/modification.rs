//! What every change of a group has to pass (`protector_domain::protocol` has the rules), and what goes along with it.

use chrono::{DateTime, Utc};
use protector_domain::{Group, GroupId, Nonce, SiteRef, Stamp, Statement, SyncEntry, protocol};
use protector_ports::store::Along;

use crate::error::{Error, Result};
use crate::refusal::{foreign, refused};
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
        let here = self.local_site();
        protocol::may_modify(group, here).map_err(|refusal| refused(group, here, refusal))
    }

    /// Whether the peer said, freshly and to us, that it holds what we hold.
    async fn check_statement(&self, group: &Group, statement: &Statement) -> Result<()> {
        let peer = group.document.peer_of(self.local_site());
        self.check_answer(group.id(), peer, statement).await?;
        let here = self.local_site();
        protocol::agrees(group, here, statement).map_err(|refusal| refused(group, here, refusal))
    }

    /// Whether the statement is the peer's, about this group. Its nonce is used up by the transaction.
    pub(crate) async fn check_answer(
        &self,
        group: GroupId,
        peer: &SiteRef,
        statement: &Statement,
    ) -> Result<()> {
        if statement.group_id != group || statement.site_id != peer.id {
            return Err(foreign("statement", &peer.name));
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
        protocol::commit(group, now);
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
            lost: None,
        }
    }
}
