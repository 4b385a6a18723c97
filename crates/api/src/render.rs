//! How the domain's things look in answers. Times are RFC 3339 in UTC, names stand beside ids.

use std::collections::BTreeMap;

use protector_domain::{
    ConsistencyGroup, Document, Fence, Group, GroupId, LostEdit, Member, MemberId, Operation, Policy,
    Preflight, Site, SiteId, SyncEntry, TenantMapping,
};
use serde_json::{Value, json};

pub(crate) fn site(site: &Site, local: SiteId, has_credentials: bool) -> Value {
    json!({
        "id": site.id,
        "name": site.name,
        "description": site.description,
        "site_type": site.site_type,
        "auth_url": site.auth_url,
        "region_name": site.region_name,
        "status": site.status,
        "status_reason": site.status_reason,
        "is_local": site.id == local,
        "public_key": site.public_key,
        "has_service_credentials": has_credentials,
        "created_at": site.created_at,
        "updated_at": site.updated_at,
    })
}

pub(crate) fn tenant_mapping(mapping: &TenantMapping) -> Value {
    json!({
        "id": mapping.id,
        "local_tenant": mapping.local_tenant,
        "remote_site": mapping.remote_site,
        "remote_tenant": mapping.remote_tenant,
        "description": mapping.description,
        "created_at": mapping.created_at,
    })
}

/// How far a site that lost the group has come to stay away from it.
pub(crate) fn fence(fence: &Fence, group: &Group) -> Value {
    let site = group.document.site(fence.site_id);
    json!({
        "site_id": fence.site_id,
        "site": site.map(|site| &site.name),
        "epoch": fence.epoch,
        "status": if fence.is_closed() { "fenced" } else { "pending" },
        "since": fence.since,
        "fenced_at": fence.fenced_at,
        "replicated_back_at": fence.replicated_back_at,
        "reason": fence.trouble,
    })
}

pub(crate) fn group(group: &Group, local: SiteId) -> Value {
    let document = &group.document;
    let volume_type = document.volume_types.get(&local);
    json!({
        "id": document.group_id,
        "name": document.name,
        "description": document.description,
        "status": group.status,
        "status_reason": group.status_reason,
        "replication_type": document.replication_type,
        "primary_site_id": document.primary_site.id,
        "primary_site": document.primary_site.name,
        "secondary_site_id": document.secondary_site.id,
        "secondary_site": document.secondary_site.name,
        "current_primary_site_id": document.current_primary_site_id,
        "current_primary_site": document.current_primary().name,
        "volume_type_id": volume_type.map(|found| &found.id),
        "volume_type": volume_type.map(|found| &found.name),
        "consistency_group_id": group.consistency_group.id,
        "failover_count": document.failover_count,
        "member_count": document.members.len(),
        "has_policy": document.policy.is_some(),
        "epoch": document.stamp.epoch,
        "version": document.stamp.version,
        "sync_status": group.sync.status,
        "created_at": group.created_at,
        "updated_at": group.updated_at,
        "project_id": group.project(local),
    })
}

pub(crate) fn member(group: &Group, member: &Member) -> Value {
    let state = group.member_states.get(&member.id);
    let volumes: Vec<Value> = member
        .volumes
        .iter()
        .map(|volume| {
            json!({
                "volume_id": volume.volume_id,
                "device": volume.device,
                "boot": volume.boot,
                "size_gb": volume.size_gb,
            })
        })
        .collect();
    json!({
        "id": member.id,
        "instance_id": member.instance_id,
        "instance_name": member.instance_name,
        "status": group.member_status(member.id),
        "error_message": state.and_then(|state| state.reason.as_ref()),
        "volumes_added": volumes.len(),
        "volume_count": volumes.len(),
        "volumes": volumes,
        "created_at": state.map_or(group.created_at, |state| state.since),
    })
}

pub(crate) fn member_of(group: &Group, id: MemberId) -> Value {
    group
        .document
        .member(id)
        .map_or(Value::Null, |found| member(group, found))
}

pub(crate) fn policy(group: &Group, policy: &Policy) -> Value {
    json!({
        "id": policy.id,
        "protection_group_id": group.id(),
        "primary_fa_url": policy.primary.url,
        "secondary_fa_url": policy.secondary.url,
        "pure_pg_name": policy.pure_pg_name,
        "replication_interval": policy.replication_interval_seconds,
        "rpo_minutes": policy.rpo_minutes,
        "status": group.policy_status,
        "error_message": group.policy_reason,
        "primary_fa_token_secret": policy.primary.token_secret,
        "secondary_fa_token_secret": policy.secondary.token_secret,
    })
}

pub(crate) fn consistency_group(group: &Group, pair: &ConsistencyGroup, local: SiteId) -> Value {
    let document = &group.document;
    json!({
        "id": pair.id,
        "protection_group_id": group.id(),
        "volume_type_name": document.volume_types.get(&local).map(|found| &found.name),
        "backend_name": pair.backend_name,
        "primary_cg_id": pair.volume_groups.get(&document.primary_site.id),
        "secondary_cg_id": pair.volume_groups.get(&document.secondary_site.id),
        "status": pair.status,
        "volume_count": group.volume_count(),
    })
}

pub(crate) fn sync(group: &Group, checksum: &str, local: SiteId) -> Value {
    let document = &group.document;
    let peer = group.sync.peer;
    json!({
        "status": group.sync.status,
        "site_id": local,
        "site": document.site(local).map(|site| &site.name),
        "epoch": document.stamp.epoch,
        "version": document.stamp.version,
        "current_primary_site_id": document.current_primary_site_id,
        "current_primary_site": document.current_primary().name,
        "modified_at": document.modified_at,
        "last_sync_at": group.sync.last_sync_at,
        "peer_epoch": peer.map(|stamp| stamp.epoch),
        "peer_version": peer.map(|stamp| stamp.version),
        "checksum": checksum,
        "open_intent": document.open_intent().map(|intent| json!({
            "operation_id": intent.operation_id,
            "kind": intent.kind,
            "reserved_epoch": intent.reserved_epoch,
        })),
    })
}

pub(crate) fn sync_entry(entry: &SyncEntry, now: &Document) -> Value {
    json!({
        "at": entry.at,
        "event": entry.event,
        "epoch": entry.stamp.map(|stamp| stamp.epoch),
        "version": entry.stamp.map(|stamp| stamp.version),
        "message": entry.message,
        "lost_edit": entry.lost.as_ref().map(|lost| lost_edit(lost, now)),
    })
}

/// What a version changed that was superseded, and how that stands in the group as it is now.
fn lost_edit(lost: &LostEdit, now: &Document) -> Value {
    let changes = lost.changes.as_ref().map(|changes| {
        let rows = changes.iter().map(|change| {
            let mut row = json!(change);
            row["standing"] = json!(change.standing(now));
            row
        });
        rows.collect::<Vec<Value>>()
    });
    let stamp = lost.stamp();
    json!({
        "id": format!("{}.{}", stamp.epoch, stamp.version),
        "changes": changes,
        "document": lost.document,
    })
}

/// Names of groups, as far as they are still there.
pub(crate) type GroupNames = BTreeMap<GroupId, String>;

pub(crate) fn preflight(found: &Preflight) -> Value {
    let findings: Vec<Value> = found
        .findings
        .iter()
        .map(|finding| {
            let (id, name) = finding.member.clone().unzip();
            json!({
                "severity": finding.severity,
                "check": finding.check,
                "member_id": id,
                "member": name,
                "message": finding.message,
                "remedy": finding.remedy,
            })
        })
        .collect();
    json!({
        "ready": found.is_ready(),
        "findings": findings,
        "snapshot": found.snapshot.as_ref().map(|(suffix, created)| json!({"suffix": suffix, "created": created})),
        "facts_read_at": found.facts_read_at,
    })
}

pub(crate) fn operation(operation: &Operation, names: &GroupNames) -> Value {
    json!({
        "id": operation.id,
        "protection_group_id": operation.group_id,
        "protection_group": names.get(&operation.group_id),
        "operation_type": operation.operation_type,
        "status": operation.status,
        "outcome": operation.outcome,
        "waiting_for": operation.waiting_for,
        "progress": operation.progress,
        "current_step": operation.current_step,
        "source_site_id": operation.source_site_id,
        "target_site_id": operation.target_site_id,
        "created_at": operation.created_at,
        "started_at": operation.started_at,
        "completed_at": operation.completed_at,
        "error_message": operation.error_message,
        "steps_completed": operation.steps_completed,
        "steps_failed": operation.steps_failed,
        "steps": operation.steps,
        "result_data": operation.result_data,
    })
}
