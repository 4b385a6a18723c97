//! The rules by which two sites keep one truth about a group: what may be changed where, and what is believed.
//!
//! Only the current primary changes a group, only when the peer's last receipt is in, and only with the peer's
//! fresh word that it holds the very version that is about to be changed. So the two sites differ by at most
//! one version, wherever a client dies. The one change that asks nobody, when the other site is lost, begins a new
//! epoch, and the higher epoch wins when the sites meet again.
//!
//! Nothing here asks anybody: the service obeys these functions, and whoever explores the protocol calls the same.

use chrono::{DateTime, Utc};

use crate::bundle::Checksum;
use crate::document::{Document, Intent, SiteRef, Stamp};
use crate::group::{Group, GroupStatus, IllegalTransition};
use crate::ids::SiteId;
use crate::sync::{Receipt, Statement, SyncState, SyncStatus};

/// Why a site changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The group runs on the other site, and is changed there.
    Elsewhere(SiteRef),
    /// An announced operation isn't over.
    Announced(Intent),
    /// Work on the group goes on here.
    InTransit(GroupStatus),
    /// Our version hasn't reached the peer yet.
    Unconfirmed(Stamp),
    /// What came is about another group, or by another site than the peer.
    Foreign,
    /// The peer holds another version than we do, or none.
    Differs { peer: Option<Stamp>, ours: Stamp },
    /// A receipt for another version or another content than ours.
    OtherVersion { receipt: Stamp, ours: Stamp },
    /// A bundle of what is over.
    Older { bundle: Stamp, held: Stamp },
    /// One version, two contents.
    Diverged(Stamp),
    /// A change by the site where the group doesn't run.
    NotThePrimarys,
}

/// What a bundle is to the site that holds the group already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// What it holds.
    None,
    /// The next version.
    Next,
    /// The other site took the group over. Our own last version is lost, if it never got across.
    TakenOver { lost: Option<Stamp> },
}

/// Whether a site may change the group at all, whatever its peer says.
pub fn may_modify(group: &Group, here: SiteId) -> Result<(), Refusal> {
    let document = &group.document;
    if document.current_primary_site_id != here {
        return Err(Refusal::Elsewhere(document.current_primary().clone()));
    }
    if let Some(intent) = document.open_intent() {
        return Err(Refusal::Announced(intent.clone()));
    }
    if group.status.is_in_transit() {
        return Err(Refusal::InTransit(group.status));
    }
    if group.sync.status != SyncStatus::Synced {
        return Err(Refusal::Unconfirmed(document.stamp));
    }
    Ok(())
}

/// Whether the peer says that it holds what we hold.
pub fn agrees(group: &Group, here: SiteId, statement: &Statement) -> Result<(), Refusal> {
    let document = &group.document;
    if statement.group_id != document.group_id || statement.site_id != document.peer_of(here).id {
        return Err(Refusal::Foreign);
    }
    if statement.stamp != Some(document.stamp) || statement.open_intent.is_some() {
        return Err(Refusal::Differs {
            peer: statement.stamp,
            ours: document.stamp,
        });
    }
    Ok(())
}

/// Whether the peer confirms what we hold.
pub fn confirms(group: &Group, here: SiteId, checksum: &Checksum, receipt: &Receipt) -> Result<(), Refusal> {
    let document = &group.document;
    if receipt.group_id != document.group_id || receipt.site_id != document.peer_of(here).id {
        return Err(Refusal::Foreign);
    }
    if receipt.stamp != document.stamp || receipt.checksum != *checksum {
        return Err(Refusal::OtherVersion {
            receipt: receipt.stamp,
            ours: document.stamp,
        });
    }
    Ok(())
}

/// What a document of the other site is to this one.
pub fn judge(held: &Group, document: &Document, origin: SiteId) -> Result<News, Refusal> {
    let ours = &held.document;
    if document.stamp < ours.stamp {
        return Err(Refusal::Older {
            bundle: document.stamp,
            held: ours.stamp,
        });
    }
    if document.stamp == ours.stamp {
        return match document == ours {
            true => Ok(News::None),
            false => Err(Refusal::Diverged(ours.stamp)),
        };
    }
    if origin == ours.current_primary_site_id {
        return Ok(News::Next);
    }
    // The other site brings the group over without asking when this one is lost: its epoch is higher then.
    if document.stamp.epoch > ours.stamp.epoch && document.current_primary_site_id == origin {
        let lost = (held.sync.status != SyncStatus::Synced).then_some(ours.stamp);
        return Ok(News::TakenOver { lost });
    }
    Err(Refusal::NotThePrimarys)
}

/// The epoch that a site begins which takes the group over: behind every one that it knows to be used or reserved.
pub fn next_epoch(document: &Document) -> u64 {
    let reserved = document.intents.iter().map(|intent| intent.reserved_epoch);
    reserved.max().unwrap_or(0).max(document.stamp.epoch) + 1
}

/// Counts a change. Until the peer has confirmed it there is no other.
pub fn commit(group: &mut Group, now: DateTime<Utc>) {
    group.document.touch(now);
    group.sync.status = SyncStatus::Pending;
    group.updated_at = now;
}

/// The peer's receipt is in: the change is over.
pub fn confirm(group: &mut Group, receipt: &Receipt, now: DateTime<Utc>) {
    group.sync = SyncState {
        status: SyncStatus::Synced,
        peer: Some(receipt.stamp),
        last_sync_at: Some(now),
    };
    group.updated_at = now;
}

/// Takes the other site's document in the place of ours: it has been judged.
pub fn adopt(group: &mut Group, document: Document, now: DateTime<Utc>) -> Result<(), IllegalTransition> {
    let moved = document.current_primary_site_id != group.document.current_primary_site_id;
    group.sync = received(document.stamp, now);
    group.document = document;
    group.updated_at = now;
    if group.document.open_intent().is_some() {
        return group.set_status(GroupStatus::FailingOver, None);
    }
    if moved || matches!(group.status, GroupStatus::FailingOver | GroupStatus::FailingBack) {
        group.status = group.resting_status();
        group.status_reason = None;
    }
    Ok(())
}

/// What is known of the peer's copy when its document came in.
pub fn received(stamp: Stamp, now: DateTime<Utc>) -> SyncState {
    SyncState {
        status: SyncStatus::Synced,
        peer: Some(stamp),
        last_sync_at: Some(now),
    }
}

/// The group runs on that site from now on, in the epoch that was reserved for it. Saying so again moves nothing.
pub fn relocate(document: &mut Document, to: SiteId, epoch: u64) {
    if document.current_primary_site_id != to {
        document.stamp.epoch = epoch;
        document.current_primary_site_id = to;
        document.failover_count += 1;
    }
}
