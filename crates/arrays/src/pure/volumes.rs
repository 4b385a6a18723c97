//! Volumes by name and by mark, and their end.

use std::collections::BTreeMap;

use protector_flasharray as fa;
use protector_flasharray::{Kind as Fa, NewTag, Tag, Volume};
use protector_ports::array::{ArrayAccess, ArrayVolume, Mark};
use protector_ports::{Kind, PortError, PortResult};

use super::PureDriver;
use crate::failure::{Explain, conflict};
use crate::names;

/// Where our tags are; other products have namespaces of their own.
const NAMESPACE: &str = "dr.openstack-protector";

impl PureDriver {
    pub(super) async fn read_volume(
        &self,
        access: &ArrayAccess,
        name: &str,
    ) -> PortResult<Option<ArrayVolume>> {
        let array = self.handle(access)?;
        let what = format!("show the volume {name}");
        match array.volume(name).await.explain(&array, what)? {
            Some(volume) => Ok(Some(described(&array, volume).await?)),
            None => Ok(None),
        }
    }

    /// Live volumes only: one that was destroyed has been cleaned up.
    pub(super) async fn find_marked(
        &self,
        access: &ArrayAccess,
        operation: &str,
    ) -> PortResult<Vec<(ArrayVolume, Mark)>> {
        let array = self.handle(access)?;
        let what = format!("find the volumes of the operation {operation}");
        let volumes = array.volumes(None).await.explain(&array, what)?;
        let mut found = Vec::new();
        for (volume, mark) in marked(&array, volumes).await? {
            if mark.operation == operation {
                found.push((described(&array, volume).await?, mark));
            }
        }
        Ok(found)
    }

    pub(super) async fn drop_volume(&self, access: &ArrayAccess, name: &str) -> PortResult<()> {
        names::check_volume(name)?;
        let array = self.handle(access)?;
        let what = format!("destroy the volume {name}");
        let Some(volume) = array.volume(name).await.explain(&array, &what)? else {
            return Ok(());
        };
        if volume.is_destroyed() {
            return Ok(());
        }
        let connected = |array: &fa::Array| {
            conflict(format!(
                "The volume {name} on the array {} is connected to hosts and was not destroyed.",
                array.host()
            ))
        };
        if connections(&array, &volume).await? > 0 {
            return Err(connected(&array));
        }
        match array.set_volume_destroyed(name, true).await {
            Err(error) if matches!(error.kind, Fa::NotFound | Fa::Destroyed) => Ok(()),
            Err(error) if error.is(Fa::InUse) => Err(connected(&array)),
            other => other.explain(&array, what),
        }
    }
}

/// The marks of those volumes that have one.
pub(super) async fn marked(array: &fa::Array, volumes: Vec<Volume>) -> PortResult<Vec<(Volume, Mark)>> {
    let ids: Vec<String> = volumes.iter().map(|volume| volume.id.clone()).collect();
    let tags = array
        .volume_tags(&ids, NAMESPACE)
        .await
        .explain(array, "show the tags of volumes")?;
    let mut by_resource: BTreeMap<&str, Vec<&Tag>> = BTreeMap::new();
    for tag in &tags {
        let resource = tag.resource.as_ref();
        if let Some(key) = resource.and_then(|resource| resource.id.as_deref().or(resource.name.as_deref())) {
            by_resource.entry(key).or_default().push(tag);
        }
    }
    Ok(volumes
        .into_iter()
        .filter_map(|volume| {
            let tags = by_resource
                .get(volume.id.as_str())
                .or_else(|| by_resource.get(volume.name.as_str()))?;
            Some((volume, mark_of(tags)?))
        })
        .collect())
}

fn mark_of(tags: &[&Tag]) -> Option<Mark> {
    let value = |key: &str| tags.iter().find(|tag| tag.key == key)?.value.clone();
    Some(Mark {
        operation: value("operation")?,
        member: value("member").unwrap_or_default(),
        volume: value("volume").unwrap_or_default(),
    })
}

pub(super) async fn put_mark(array: &fa::Array, volume: &str, mark: &Mark) -> PortResult<()> {
    let tag = |key: &str, value: &str| NewTag {
        namespace: NAMESPACE.to_owned(),
        key: key.to_owned(),
        value: value.to_owned(),
        copyable: false,
    };
    let tags = [
        tag("operation", &mark.operation),
        tag("member", &mark.member),
        tag("volume", &mark.volume),
    ];
    array
        .tag_volume(volume, &tags)
        .await
        .explain(array, format!("tag the volume {volume}"))
}

/// Not every release counts connections in the volume itself.
pub(super) async fn connections(array: &fa::Array, volume: &Volume) -> PortResult<u64> {
    if let Some(count) = volume.connection_count {
        return Ok(count);
    }
    let what = format!("list the connections of the volume {}", volume.name);
    let found = array
        .volume_connections(&volume.name)
        .await
        .explain(array, what)?;
    Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
}

pub(super) async fn described(array: &fa::Array, volume: Volume) -> PortResult<ArrayVolume> {
    let destroyed = volume.is_destroyed();
    let connections = if destroyed {
        0
    } else {
        connections(array, &volume).await?
    };
    let Some(size_bytes) = volume.provisioned else {
        let message = format!(
            "The array {} doesn't say how large the volume {} is.",
            array.host(),
            volume.name
        );
        return Err(PortError::permanent(Kind::Protocol, message));
    };
    Ok(ArrayVolume {
        name: volume.name,
        id: volume.id,
        serial: volume.serial.unwrap_or_default(),
        size_bytes,
        destroyed,
        connections,
    })
}
