//! Cinder: volumes, types, back ends, transfers, room.

use std::collections::{BTreeMap, HashSet};

use protector_domain::{ProjectId, TransferId, VolumeId, VolumeTypeId};
use protector_ports::cloud::{ManageVolume, PendingTransfer, Room, Transfer, Volume, VolumePool, VolumeType};
use protector_ports::{Kind, PortResult};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Service::Volume as Cinder;
use crate::session::Session;
use crate::wire::{LimitsBody, Quota, texts, truth, volume as wire};

impl From<wire::Volume> for Volume {
    fn from(volume: wire::Volume) -> Self {
        Volume {
            id: volume.id,
            name: volume.name.unwrap_or_default(),
            description: volume.description,
            status: volume.status.unwrap_or_default(),
            size_gb: volume.size.unwrap_or_default(),
            volume_type: volume.volume_type,
            bootable: truth(volume.bootable.as_ref()),
            encrypted: volume.encrypted.unwrap_or_default(),
            multiattach: volume.multiattach.unwrap_or_default(),
            availability_zone: volume.availability_zone,
            metadata: texts(volume.metadata),
            image_metadata: texts(volume.volume_image_metadata),
            group_id: volume.group_id,
            attached_to: volume
                .attachments
                .unwrap_or_default()
                .into_iter()
                .filter_map(|held| held.server_id)
                .collect(),
            project_id: volume.tenant_id.and_then(|id| ProjectId::new(id).ok()),
            host: volume.host,
            provider_id: volume.provider_id,
        }
    }
}

pub(crate) async fn volume(session: &Session<'_>, id: &VolumeId) -> PortResult<Volume> {
    let body: wire::VolumeBody = session
        .get(Cinder, "show volume", &["volumes", id.as_str()])
        .json()
        .await?;
    Ok(body.volume.into())
}

pub(crate) async fn volumes(session: &Session<'_>, all_projects: bool) -> PortResult<Vec<Volume>> {
    let call = session.get(Cinder, "list volumes", &["volumes", "detail"]);
    call.query_if(all_projects, "all_tenants", "1")
        .list_as::<wire::Volume, Volume>("volumes")
        .await
}

pub(crate) async fn volumes_of(session: &Session<'_>, project: &ProjectId) -> PortResult<Vec<Volume>> {
    let call = session
        .get(Cinder, "list volumes of project", &["volumes", "detail"])
        .query("all_tenants", "1")
        .query("project_id", project.as_str());
    let mut volumes: Vec<Volume> = call.list_as::<wire::Volume, _>("volumes").await?;
    // Who may not see other projects is answered his own.
    volumes.retain(|volume| volume.project_id.as_ref() == Some(project));
    Ok(volumes)
}

pub(crate) async fn volume_types(session: &Session<'_>) -> PortResult<Vec<VolumeType>> {
    let call = session
        .get(Cinder, "list volume types", &["types"])
        .query("is_public", "None");
    let types: Vec<wire::VolumeType> = call.list("volume_types").await?;
    Ok(types
        .into_iter()
        .map(|found| VolumeType {
            id: found.id,
            name: found.name,
            is_public: found.is_public.unwrap_or(true),
            extra_specs: texts(found.extra_specs),
        })
        .collect())
}

/// No encryption is `{}`, on some releases 404. A type that isn't there must not pass as unencrypted.
pub(crate) async fn is_type_encrypted(session: &Session<'_>, id: &VolumeTypeId) -> PortResult<bool> {
    let path = ["types", id.as_str(), "encryption"];
    match session
        .get(Cinder, "show encryption of volume type", &path)
        .json::<wire::EncryptionBody>()
        .await
    {
        Ok(body) => Ok(body.provider.is_some() || body.encryption_id.is_some()),
        Err(error) if error.is(Kind::NotFound) => session
            .get(Cinder, "show volume type", &path[..2])
            .send()
            .await
            .map(|()| false),
        Err(error) => Err(error),
    }
}

/// The scheduler knows the pools, the service list knows which of their back ends are at work.
pub(crate) async fn volume_pools(session: &Session<'_>) -> PortResult<Vec<VolumePool>> {
    let pools = session
        .get(Cinder, "list pools", &["scheduler-stats", "get_pools"])
        .query("detail", "true");
    let pools = pools.json::<wire::PoolsBody>().await?.pools;
    let services = session
        .get(Cinder, "list services", &["os-services"])
        .query("binary", "cinder-volume");
    let services = services.json::<wire::ServicesBody>().await?.services;
    let at_work: HashSet<String> = services
        .into_iter()
        .filter(|service| {
            service.status.as_deref() == Some("enabled") && service.state.as_deref() == Some("up")
        })
        .flat_map(|service| [service.host, service.cluster])
        .flatten()
        .collect();
    Ok(pools
        .into_iter()
        .map(|pool| VolumePool {
            up: pool
                .name
                .split('#')
                .next()
                .is_some_and(|backend| at_work.contains(backend)),
            backend_name: pool.capabilities.volume_backend_name,
            name: pool.name,
        })
        .collect())
}

/// Cinder looks at its policy first: who may not is refused with 403, and whoever may hears that there is no such host.
pub(crate) async fn may_manage_volumes(session: &Session<'_>) -> PortResult<bool> {
    let nowhere = json!({
        "host": "protector-validate@nowhere#nowhere",
        "ref": {"source-name": "protector-validate", "name": "protector-validate"},
        "name": "protector-validate",
    });
    let call = session.post(
        Cinder,
        "manage a volume that isn't there",
        &["manageable_volumes"],
        json!({"volume": nowhere}),
    );
    match call.send().await {
        Err(error) if error.is(Kind::Forbidden) => Ok(false),
        Err(error) if matches!(error.status, Some(400 | 404)) => Ok(true),
        other => other.map(|()| true),
    }
}

/// Drivers read the present name under one key or the other, by release: both are given.
pub(crate) async fn manage_volume(session: &Session<'_>, volume: &ManageVolume) -> PortResult<VolumeId> {
    let mut wanted = json!({
        "host": volume.host,
        "ref": {"source-name": volume.source_name, "name": volume.source_name},
        "name": volume.name,
        "description": volume.description,
        "volume_type": volume.volume_type,
        "bootable": volume.bootable,
    });
    if let Some(zone) = &volume.availability_zone {
        wanted["availability_zone"] = json!(zone);
    }
    let call = session.post(
        Cinder,
        "manage volume",
        &["manageable_volumes"],
        json!({"volume": wanted}),
    );
    Ok(call.json::<wire::CreatedBody>().await?.volume.id)
}

async fn act(session: &Session<'_>, id: &VolumeId, what: &'static str, action: Value) -> PortResult<()> {
    session
        .post(Cinder, what, &["volumes", id.as_str(), "action"], action)
        .send()
        .await
}

pub(crate) async fn unmanage_volume(session: &Session<'_>, id: &VolumeId) -> PortResult<()> {
    let path = ["volumes", id.as_str(), "action"];
    session
        .post(Cinder, "unmanage volume", &path, json!({"os-unmanage": {}}))
        .send_unless_gone()
        .await
}

pub(crate) async fn delete_volume(session: &Session<'_>, id: &VolumeId) -> PortResult<()> {
    session
        .delete(Cinder, "delete volume", &["volumes", id.as_str()])
        .send_unless_gone()
        .await
}

pub(crate) async fn volume_messages(session: &Session<'_>, id: &VolumeId) -> PortResult<Vec<String>> {
    let call = session
        .get(Cinder, "list messages", &["messages"])
        .query("resource_uuid", id.as_str());
    let messages: Vec<wire::Message> = call.list("messages").await?;
    Ok(messages
        .into_iter()
        .filter_map(|message| message.user_message)
        .collect())
}

pub(crate) async fn set_bootable(session: &Session<'_>, id: &VolumeId, bootable: bool) -> PortResult<()> {
    act(
        session,
        id,
        "set bootable flag",
        json!({"os-set_bootable": {"bootable": bootable}}),
    )
    .await
}

pub(crate) async fn set_image_metadata(
    session: &Session<'_>,
    id: &VolumeId,
    metadata: &BTreeMap<String, String>,
) -> PortResult<()> {
    if metadata.is_empty() {
        return Ok(());
    }
    act(
        session,
        id,
        "set image metadata",
        json!({"os-set_image_metadata": {"metadata": metadata}}),
    )
    .await
}

pub(crate) async fn set_volume_metadata(
    session: &Session<'_>,
    id: &VolumeId,
    metadata: &BTreeMap<String, String>,
) -> PortResult<()> {
    if metadata.is_empty() {
        return Ok(());
    }
    let path = ["volumes", id.as_str(), "metadata"];
    session
        .post(
            Cinder,
            "set volume metadata",
            &path,
            json!({"metadata": metadata}),
        )
        .send()
        .await
}

pub(crate) async fn rename_volume(
    session: &Session<'_>,
    id: &VolumeId,
    name: &str,
    description: &str,
) -> PortResult<()> {
    let body = json!({"volume": {"name": name, "description": description}});
    session
        .put(Cinder, "rename volume", &["volumes", id.as_str()], body)
        .send()
        .await
}

pub(crate) async fn create_transfer(
    session: &Session<'_>,
    volume: &VolumeId,
    name: &str,
) -> PortResult<Transfer> {
    let body = json!({"transfer": {"volume_id": volume, "name": name, "no_snapshots": true}});
    let call = session
        .post(Cinder, "create volume transfer", &["volume-transfers"], body)
        .with_secret_answer();
    let transfer = call.json::<wire::NewTransferBody>().await?.transfer;
    Ok(Transfer {
        id: transfer.id,
        auth_key: transfer.auth_key,
    })
}

pub(crate) async fn pending_transfers(session: &Session<'_>) -> PortResult<Vec<PendingTransfer>> {
    let call = session.get(Cinder, "list volume transfers", &["volume-transfers", "detail"]);
    let transfers: Vec<wire::Transfer> = call.list("transfers").await?;
    Ok(transfers
        .into_iter()
        .map(|transfer| PendingTransfer {
            id: transfer.id,
            volume_id: transfer.volume_id,
            name: transfer.name.unwrap_or_default(),
        })
        .collect())
}

pub(crate) async fn delete_transfer(session: &Session<'_>, id: &TransferId) -> PortResult<()> {
    session
        .delete(
            Cinder,
            "delete volume transfer",
            &["volume-transfers", id.as_str()],
        )
        .send_unless_gone()
        .await
}

pub(crate) async fn accept_transfer<'a>(session: &Session<'a>, transfer: &'a Transfer) -> PortResult<()> {
    let body = json!({"accept": {"auth_key": transfer.auth_key.expose_secret()}});
    let path = ["volume-transfers", transfer.id.as_str(), "accept"];
    session
        .post(Cinder, "accept volume transfer", &path, body)
        .hiding(&transfer.auth_key)
        .send()
        .await
}

pub(crate) async fn volume_room(session: &Session<'_>, project: &ProjectId) -> PortResult<Room> {
    let call = session
        .get(Cinder, "show quota", &["os-quota-sets", project.as_str()])
        .query("usage", "True");
    match call.json::<wire::QuotaBody>().await {
        Ok(body) => Ok(room(body.quota_set)),
        Err(error) if error.is(Kind::Forbidden) && session.token().await?.project_id == *project => {
            let limits = session
                .get(Cinder, "show limits", &["limits"])
                .json::<LimitsBody>()
                .await?
                .limits;
            Ok(Room {
                volumes: limits.left("maxTotalVolumes", "totalVolumesUsed"),
                gigabytes: limits.left("maxTotalVolumeGigabytes", "totalGigabytesUsed"),
                ..Room::default()
            })
        }
        Err(error) => Err(error),
    }
}

fn room(quotas: BTreeMap<String, Value>) -> Room {
    let mut room = Room::default();
    for (name, value) in quotas {
        // `id` is among the quotas and isn't one.
        let Some(left) = Quota::deserialize(value).ok().and_then(|quota| quota.left()) else {
            continue;
        };
        if name == "volumes" {
            room.volumes = Some(left);
        } else if name == "gigabytes" {
            room.gigabytes = Some(left);
        } else if let Some(kind) = name.strip_prefix("volumes_") {
            room.volumes_of_type.insert(kind.to_owned(), left);
        } else if let Some(kind) = name.strip_prefix("gigabytes_") {
            room.gigabytes_of_type.insert(kind.to_owned(), left);
        }
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_told_in_total_and_by_type() {
        let quotas = serde_json::from_value(json!({
            "id": "p", "volumes": {"limit": 10, "in_use": 4, "reserved": 1}, "gigabytes": {"limit": -1, "in_use": 7, "reserved": 0},
            "volumes_fast": {"limit": 3, "in_use": 0, "reserved": 0}, "gigabytes_fast": {"limit": 5, "in_use": 9, "reserved": 0},
            "per_volume_gigabytes": {"limit": 1, "in_use": 0, "reserved": 0}
        }))
        .unwrap();
        let room = room(quotas);
        assert_eq!((room.volumes, room.gigabytes), (Some(5), None));
        assert_eq!(
            (room.volumes_of_type["fast"], room.gigabytes_of_type["fast"]),
            (3, 0)
        );
    }

    #[test]
    fn a_volume_with_nulls_and_text_for_truth_is_read() {
        let volume: wire::Volume = serde_json::from_value(json!({
            "id": "v1", "name": null, "status": "available", "size": 1, "bootable": "true", "group_id": null,
            "attachments": [{"server_id": "s1"}, {"server_id": null}], "os-vol-tenant-attr:tenant_id": ""
        }))
        .unwrap();
        let volume = Volume::from(volume);
        assert!(volume.bootable && volume.project_id.is_none());
        assert_eq!(volume.attached_to.len(), 1);
    }
}
