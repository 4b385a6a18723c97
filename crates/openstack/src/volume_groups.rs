//! Cinder's generic volume groups: what users see of a protection group in their own cloud.

use std::collections::BTreeMap;

use protector_domain::{ProjectId, VolumeGroupId, VolumeId, VolumeTypeId};
use protector_ports::cloud::{VolumeGroup, VolumeGroupType};
use protector_ports::{Kind, PortResult};
use serde_json::json;

use crate::failure::Service::Volume as Cinder;
use crate::session::Session;
use crate::wire::{texts, volume as wire};

impl From<wire::Group> for VolumeGroup {
    fn from(group: wire::Group) -> Self {
        VolumeGroup {
            id: group.id,
            name: group.name.unwrap_or_default(),
            status: group.status.unwrap_or_default(),
            volumes: group.volumes.unwrap_or_default(),
            project_id: group.project_id.and_then(|id| ProjectId::new(id).ok()),
        }
    }
}

pub(crate) async fn group_types(session: &Session<'_>) -> PortResult<Vec<VolumeGroupType>> {
    let call = session
        .get(Cinder, "list group types", &["group_types"])
        .query("is_public", "None");
    let types: Vec<wire::GroupType> = call.list("group_types").await?;
    Ok(types
        .into_iter()
        .map(|found| VolumeGroupType {
            id: found.id,
            name: found.name,
            is_public: found.is_public.unwrap_or(true),
            group_specs: texts(found.group_specs),
        })
        .collect())
}

/// A type of that name with these specs is as good as a new one.
pub(crate) async fn create_group_type(
    session: &Session<'_>,
    name: &str,
    specs: &BTreeMap<String, String>,
) -> PortResult<()> {
    let body = json!({"group_type": {"name": name, "is_public": true, "group_specs": specs}});
    match session
        .post(Cinder, "create group type", &["group_types"], body)
        .send()
        .await
    {
        Err(refused) if refused.is(Kind::Conflict) => {
            let present = group_types(session).await?;
            let same = |found: &VolumeGroupType| {
                found.name == name
                    && specs
                        .iter()
                        .all(|(key, value)| found.group_specs.get(key) == Some(value))
            };
            if present.iter().any(same) {
                Ok(())
            } else {
                Err(refused)
            }
        }
        other => other,
    }
}

pub(crate) async fn volume_groups(session: &Session<'_>, all_projects: bool) -> PortResult<Vec<VolumeGroup>> {
    let call = session
        .get(Cinder, "list volume groups", &["groups", "detail"])
        .query("list_volume", "True");
    let listed: Vec<wire::Group> = call
        .query_if(all_projects, "all_tenants", "1")
        .list("groups")
        .await?;
    let mut groups = Vec::with_capacity(listed.len());
    for group in listed {
        if group.volumes.is_some() {
            groups.push(group.into());
            continue;
        }
        // Not every release lists the volumes; a group that went meanwhile is not in the list any more.
        match volume_group(session, &group.id).await {
            Ok(group) => groups.push(group),
            Err(error) if error.is(Kind::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(groups)
}

pub(crate) async fn volume_group(session: &Session<'_>, id: &VolumeGroupId) -> PortResult<VolumeGroup> {
    let call = session
        .get(Cinder, "show volume group", &["groups", id.as_str()])
        .query("list_volume", "True");
    Ok(call.json::<wire::GroupBody>().await?.group.into())
}

pub(crate) async fn create_volume_group(
    session: &Session<'_>,
    name: &str,
    description: &str,
    group_type: &str,
    volume_type: &VolumeTypeId,
) -> PortResult<VolumeGroupId> {
    let body = json!({"group": {
        "name": name, "description": description, "group_type": group_type, "volume_types": [volume_type]
    }});
    let call = session.post(Cinder, "create volume group", &["groups"], body);
    Ok(call.json::<wire::CreatedGroupBody>().await?.group.id)
}

/// Cinder takes the volumes as text with commas, and refuses a change of nothing.
pub(crate) async fn update_volume_group(
    session: &Session<'_>,
    id: &VolumeGroupId,
    add: &[VolumeId],
    remove: &[VolumeId],
) -> PortResult<()> {
    let mut change = json!({});
    for (name, volumes) in [("add_volumes", add), ("remove_volumes", remove)] {
        if !volumes.is_empty() {
            change[name] = json!(volumes.iter().map(VolumeId::as_str).collect::<Vec<_>>().join(","));
        }
    }
    if add.is_empty() && remove.is_empty() {
        return Ok(());
    }
    session
        .put(
            Cinder,
            "update volume group",
            &["groups", id.as_str()],
            json!({"group": change}),
        )
        .send()
        .await
}

/// Never with its volumes: that flag destroys data.
pub(crate) async fn delete_volume_group(session: &Session<'_>, id: &VolumeGroupId) -> PortResult<()> {
    let path = ["groups", id.as_str(), "action"];
    let body = json!({"delete": {"delete-volumes": false}});
    session
        .post(Cinder, "delete volume group", &path, body)
        .send_unless_gone()
        .await
}
