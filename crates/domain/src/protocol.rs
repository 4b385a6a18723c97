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
use crate::document::{Document, Intent, IntentState, SiteRef, Stamp};
use crate::fence::Fence;
use crate::group::{Group, GroupStatus, IllegalTransition};
use crate::ids::{GroupId, OperationId, ServerId, SiteId};
use crate::operation::{OperationKind, Outcome};
use crate::policy::Policy;
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
    /// The group runs here already.
    Here,
}

/// Where the group runs from now on, in the epoch that was reserved for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub to: SiteId,
    pub epoch: u64,
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
    let known = group.document == document;
    group.sync = received(document.stamp, now);
    group.document = document;
    group.updated_at = now;
    // What this site does with the group meanwhile is in no document.
    if known {
        return Ok(());
    }
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

/// The epoch that a planned operation reserves.
pub fn planned_epoch(document: &Document) -> u64 {
    document.stamp.epoch + 1
}

/// Announces an operation: a change like any other, that reserves an epoch for where the group will run then.
pub fn announce(
    group: &mut Group,
    operation: OperationId,
    kind: OperationKind,
    epoch: u64,
    now: DateTime<Utc>,
) {
    group.document.open(Intent {
        operation_id: operation,
        kind,
        reserved_epoch: epoch,
        state: IntentState::Open,
        adopts: None,
    });
    commit(group, now);
}

/// Whether the peer knows of what was announced: before that nothing moves.
pub fn is_known(group: &Group) -> bool {
    group.sync.status == SyncStatus::Synced && group.sync.peer == Some(group.document.stamp)
}

/// Writes down how an announced operation ended, and where the group runs if it moved. False where that was done before.
pub fn conclude(
    group: &mut Group,
    operation: OperationId,
    outcome: Outcome,
    moved: Option<Move>,
    now: DateTime<Utc>,
) -> bool {
    let announced = group.document.open_intent();
    if announced.is_none_or(|intent| intent.operation_id != operation) {
        return false;
    }
    group.document.close(operation, outcome);
    commit(group, now);
    if let Some(moved) = moved {
        relocate(&mut group.document, moved);
    }
    true
}

/// Whether this site may take the group over without asking. Where the other one has announced that it moves the group
/// here, the answer is its operation: half done, or done with its news not yet carried, that has made things here, which
/// are to be adopted.
pub fn may_take_over(group: &Group, here: SiteId) -> Result<Option<OperationId>, Refusal> {
    let announced = group.document.open_intent();
    if group.document.current_primary_site_id == here {
        return Err(match announced {
            Some(intent) => Refusal::Announced(intent.clone()),
            None if group.status.is_in_transit() => Refusal::InTransit(group.status),
            None => Refusal::Here,
        });
    }
    match (announced, group.status) {
        (Some(intent), GroupStatus::FailingOver | GroupStatus::FailingBack) => Ok(Some(intent.operation_id)),
        (_, status) if status.is_in_transit() => Err(Refusal::InTransit(status)),
        (Some(intent), _) => Ok(Some(intent.operation_id)),
        (None, _) => Ok(None),
    }
}

/// The operation of the other site that the takeover which began an epoch has carried on, if it did.
pub fn carried_on(document: &Document, epoch: u64) -> Option<OperationId> {
    let mut moves = document.intents.iter();
    moves.find(|intent| intent.reserved_epoch == epoch)?.adopts
}

/// The epoch that a site begins which takes the group over: behind every one that it knows to be used or reserved. The
/// site where the group was made takes odd ones and the other one even ones, so two that each take it over from the
/// other never begin the same.
pub fn next_epoch(document: &Document, here: SiteId) -> u64 {
    let reserved = document.intents.iter().map(|intent| intent.reserved_epoch);
    let next = reserved.max().unwrap_or(0).max(document.stamp.epoch) + 1;
    let is_odd = document.primary_site.id == here;
    match (next % 2 == 1) == is_odd {
        true => next,
        false => next + 1,
    }
}

/// Writes down that a site has taken the group over. Nothing told of it before. What the other site had announced, and
/// this site has carried on, is over.
pub fn take_over(
    group: &mut Group,
    operation: OperationId,
    adopts: Option<OperationId>,
    outcome: Outcome,
    moved: Move,
    now: DateTime<Utc>,
) {
    if let Some(adopted) = adopts {
        group.document.close(adopted, Outcome::Abandoned);
    }
    group.document.open(Intent {
        operation_id: operation,
        kind: OperationKind::Failover,
        reserved_epoch: moved.epoch,
        state: IntentState::Closed(outcome),
        adopts,
    });
    commit(group, now);
    relocate(&mut group.document, moved);
}

/// What follows for a site that a group was taken from without its knowledge.
pub fn fence(
    group: GroupId,
    site: SiteId,
    epoch: u64,
    servers: Vec<ServerId>,
    policy: Option<&Policy>,
    now: DateTime<Utc>,
) -> Fence {
    Fence {
        group_id: group,
        site_id: site,
        epoch,
        servers,
        array_group: policy.map(|policy| policy.pure_pg_name.clone()),
        replaced: Vec::new(),
        since: now,
        fenced_at: None,
        replicated_back_at: None,
        trouble: None,
    }
}

/// Saying so again moves nothing.
fn relocate(document: &mut Document, moved: Move) {
    if document.current_primary_site_id != moved.to {
        document.stamp.epoch = moved.epoch;
        document.current_primary_site_id = moved.to;
        document.failover_count += 1;
    }
}

/// What this site holds, as an answer to the other one's nonce.
pub fn state(
    id: GroupId,
    group: Option<&Group>,
    nonce: String,
    here: SiteId,
    now: DateTime<Utc>,
) -> Statement {
    Statement {
        nonce,
        group_id: id,
        site_id: here,
        exists: group.is_some(),
        stamp: group.map(|group| group.document.stamp),
        open_intent: group.and_then(|group| group.document.open_intent().cloned()),
        stated_at: now,
        signature: None,
    }
}
