//! How things look in answers.

use chrono::{DateTime, SecondsFormat, Utc};
use protector_domain::{
    ConsistencyGroup, Group, Member, Operation, Policy, PolicyStatus, Site, SiteId, TenantMapping,
};
use protector_domain::{Checksum, SyncEntry};
use serde_json::{Value, json};

/// RFC 3339 in UTC, in seconds.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A list with its link to the next page, as OpenStack's clients follow it.
pub(crate) fn list(key: &str, items: Vec<Value>, limit: Option<usize>, path: &str) -> Value {
    let mut body = serde_json::Map::new();
    if let Some(limit) = limit
        && items.len() == limit
        && let Some(last) = items.last().and_then(|item| item["id"].as_str())
    {
        let next = json!([{ "rel": "next", "href": format!("{path}?limit={limit}&marker={last}") }]);
        body.insert(format!("{key}_links"), next);
    }
    body.insert(key.to_owned(), Value::Array(items));
    Value::Object(body)
}

pub(crate) fn site(site: &Site, local: SiteId, has_credentials: bool) -> Value {
    json!({
        "id": site.id,
        "name": site.name,
        "description": site.description,
        "site_type": site.site_type.as_str(),
        "auth_url": site.auth_url,
        "region_name": site.region_name,
        "status": site.status.as_str(),
        "status_reason": site.status_reason,
        "is_local": site.id == local,
        "public_key": site.public_key,
        "has_service_credentials": has_credentials,
        "created_at": time(site.created_at),
        "updated_at": time(site.updated_at),
    })
}

pub(crate) fn tenant_mapping(mapping: &TenantMapping) -> Value {
    json!({
        "id": mapping.id,
        "local_tenant": mapping.local_tenant,
        "remote_site": mapping.remote_site,
        "remote_tenant": mapping.remote_tenant,
        "description": mapping.description,
        "created_at": time(mapping.created_at),
    })
}

pub(crate) fn group(group: &Group, local: SiteId) -> Value {
    let document = &group.document;
    let volume_type = document.volume_types.get(&local);
    json!({
        "id": document.group_id,
        "name": document.name,
        "description": document.description,
        "status": group.status.as_str(),
        "status_reason": group.status_reason,
        "replication_type": document.replication_type.as_str(),
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
        "sync_status": group.sync.status.as_str(),
        "project_id": group.project(local),
        "created_at": time(group.created_at),
        "updated_at": time(group.updated_at),
    })
}

pub(crate) fn member(group: &Group, member: &Member) -> Value {
    let state = group.member_states.get(&member.id);
    let volumes: Vec<Value> = member
        .volumes
        .iter()
        .map(|volume| json!({ "volume_id": volume.volume_id, "device": volume.device, "boot": volume.boot, "size_gb": volume.size_gb }))
        .collect();
    json!({
        "id": member.id,
        "instance_id": member.instance_id,
        "instance_name": member.instance_name,
        "status": group.member_status(member.id).as_str(),
        "error_message": state.and_then(|state| state.reason.as_ref()),
        "volumes_added": volumes.len(),
        "volume_count": volumes.len(),
        "volumes": volumes,
        "created_at": state.map(|state| time(state.since)),
    })
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
        "status": group.policy_status.unwrap_or(PolicyStatus::Applying).as_str(),
        "error_message": group.policy_reason,
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
        "status": pair.status.as_str(),
        "volume_count": group.volume_count(),
    })
}

pub(crate) fn sync(group: &Group, checksum: &Checksum, local: SiteId) -> Value {
    let document = &group.document;
    json!({
        "status": group.sync.status.as_str(),
        "site_id": local,
        "site": document.site(local).map(|site| &site.name),
        "epoch": document.stamp.epoch,
        "version": document.stamp.version,
        "current_primary_site_id": document.current_primary_site_id,
        "current_primary_site": document.current_primary().name,
        "modified_at": time(document.modified_at),
        "last_sync_at": group.sync.last_sync_at.map(time),
        "peer_epoch": group.sync.peer.map(|stamp| stamp.epoch),
        "peer_version": group.sync.peer.map(|stamp| stamp.version),
        "checksum": checksum,
        "open_intent": document.open_intent(),
    })
}

pub(crate) fn sync_entry(entry: &SyncEntry) -> Value {
    json!({
        "at": time(entry.at),
        "event": entry.event,
        "epoch": entry.stamp.map(|stamp| stamp.epoch),
        "version": entry.stamp.map(|stamp| stamp.version),
        "message": entry.message,
    })
}

pub(crate) fn operation(operation: &Operation, group_name: Option<&str>) -> Value {
    let steps: Vec<Value> = operation
        .steps
        .iter()
        .map(|step| {
            json!({
                "name": step.name,
                "phase": step.phase.as_str(),
                "state": step.state,
                "attempts": step.attempts,
                "started_at": step.started_at.map(time),
                "completed_at": step.completed_at.map(time),
                "error": step.error,
            })
        })
        .collect();
    json!({
        "id": operation.id,
        "protection_group_id": operation.group_id,
        "protection_group": group_name,
        "operation_type": operation.operation_type.as_str(),
        "status": operation.status.as_str(),
        "outcome": operation.outcome.map(|outcome| outcome.as_str()),
        "waiting_for": operation.waiting_for,
        "progress": operation.progress,
        "current_step": operation.current_step,
        "source_site_id": operation.source_site_id,
        "target_site_id": operation.target_site_id,
        "created_at": time(operation.created_at),
        "started_at": operation.started_at.map(time),
        "completed_at": operation.completed_at.map(time),
        "error_message": operation.error_message,
        "steps_completed": operation.steps_completed,
        "steps_failed": operation.steps_failed,
        "steps": steps,
        "result_data": operation.result_data,
    })
}
