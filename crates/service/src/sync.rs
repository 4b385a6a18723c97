//! Nonce, statement, receipt: what clients carry between the sites, and what each site makes of it.

use protector_domain::{
    Checksum, Group, GroupId, Nonce, Receipt, Statement, SyncEntry, SyncStatus, protocol,
};
use protector_ports::store::Along;
use secrecy::SecretString;

use crate::error::{Error, Result, on_top};
use crate::refusal::{foreign, refused};
use crate::{Caller, Service};

impl Service {
    /// Begins a modification, if this site may make one. A group that isn't there yet may be about to be made.
    pub async fn nonce(&self, caller: &Caller, id: GroupId) -> Result<Nonce> {
        match self.own_group(caller, id).await {
            Ok(group) => self.check_may_modify(&group)?,
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let nonce = Nonce {
            value: uuid::Uuid::new_v4().to_string(),
            group_id: id,
            site_id: self.local_site(),
            expires_at: self.clock.now() + Nonce::LIFETIME,
        };
        self.store.insert_nonce(&nonce).await?;
        Ok(nonce)
    }

    /// What this site holds, as an answer to the other site's nonce.
    pub async fn statement(&self, caller: &Caller, id: GroupId, nonce: String) -> Result<Statement> {
        if nonce.is_empty() || nonce.len() > 128 {
            return Err(Error::Invalid("The nonce must have 1 to 128 characters.".into()));
        }
        let group = match self.own_group(caller, id).await {
            Ok(group) => Some(group),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        self.signed(protocol::state(
            id,
            group.as_ref(),
            nonce,
            self.local_site(),
            self.clock.now(),
        ))
    }

    /// The peer's word that it stores our version: the modification is over.
    pub async fn receipt(&self, caller: &Caller, id: GroupId, receipt: Receipt) -> Result<Group> {
        let group = on_top(|| self.stored_receipt(caller, id, &receipt)).await?;
        self.wake.wake();
        Ok(group)
    }

    async fn stored_receipt(&self, caller: &Caller, id: GroupId, receipt: &Receipt) -> Result<Group> {
        let mut trusts = self.renewed_by_the_way(caller, id).await?;
        let mut group = self.own_group(caller, id).await?;
        let peer = group.document.peer_of(self.local_site()).clone();
        if receipt.group_id != id || receipt.site_id != peer.id {
            return Err(foreign("receipt", &peer.name));
        }
        self.check_signed(peer.id, receipt).await?;
        let here = self.local_site();
        protocol::confirms(&group, here, &checksum(&group)?, receipt)
            .map_err(|refusal| refused(&group, here, refusal))?;
        let now = self.clock.now();
        protocol::confirm(&mut group, receipt, now);
        let trust = receipt.trust_id.clone().map(SecretString::from);
        trusts.extend(trust.map(|trust| (peer.id, trust)));
        let along = Along {
            entry: Some(self.entry(
                id,
                "receipt",
                Some(receipt.stamp),
                format!("site '{}' stores this version", peer.name),
            )),
            trusts,
            ..Along::default()
        };
        Ok(self.store.update_group(&group, along).await?)
    }

    /// A client's report that it could not bring our version to the peer.
    pub async fn push_failed(&self, caller: &Caller, id: GroupId, reason: &str) -> Result<Group> {
        on_top(|| self.noted_failure(caller, id, reason)).await
    }

    async fn noted_failure(&self, caller: &Caller, id: GroupId, reason: &str) -> Result<Group> {
        let mut group = self.own_group(caller, id).await?;
        if group.sync.status == SyncStatus::Synced {
            return Ok(group);
        }
        group.sync.status = SyncStatus::Failed;
        group.updated_at = self.clock.now();
        let reason: String = reason.chars().take(500).collect();
        let along = Along {
            entry: Some(self.entry(id, "refused", Some(group.document.stamp), reason)),
            ..Along::default()
        };
        Ok(self.store.update_group(&group, along).await?)
    }

    pub async fn sync_state(&self, caller: &Caller, id: GroupId) -> Result<(Group, Checksum)> {
        let group = self.own_group(caller, id).await?;
        let checksum = checksum(&group)?;
        Ok((group, checksum))
    }

    /// The history, and the group as it is now, by which lost edits are judged.
    pub async fn sync_log(
        &self,
        caller: &Caller,
        id: GroupId,
        event: Option<&str>,
        limit: usize,
    ) -> Result<(Group, Vec<SyncEntry>)> {
        let group = self.own_group(caller, id).await?;
        let entries = self.store.sync_log(id, event, limit).await?;
        Ok((group, entries))
    }
}

fn checksum(group: &Group) -> Result<Checksum> {
    let value = serde_json::to_value(&group.document).map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(Checksum::of(&value))
}
