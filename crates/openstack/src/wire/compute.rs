//! Nova at microversion 2.87. Servers of a cell that is down have an id, a status and an owner only.

use std::collections::BTreeMap;

use protector_domain::{FlavorId, PortId, ProjectId, ServerId, VolumeId};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub(crate) struct ServerBody {
    pub server: Server,
}

#[derive(Deserialize)]
pub(crate) struct Server {
    pub id: ServerId,
    pub name: Option<String>,
    pub status: Option<String>,
    #[serde(rename = "OS-EXT-STS:task_state")]
    pub task_state: Option<String>,
    pub tenant_id: ProjectId,
    pub user_id: Option<String>,
    pub description: Option<String>,
    pub metadata: Option<BTreeMap<String, Value>>,
    pub tags: Option<Vec<String>>,
    pub flavor: Option<ServerFlavor>,
    /// An object, or `""` for a server that boots from a volume.
    pub image: Option<Value>,
    pub key_name: Option<String>,
    pub config_drive: Option<Value>,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    pub availability_zone: Option<String>,
    pub locked: Option<bool>,
    pub fault: Option<Fault>,
    #[serde(rename = "OS-EXT-SRV-ATTR:user_data")]
    pub user_data: Option<String>,
    #[serde(rename = "OS-EXT-SRV-ATTR:root_device_name")]
    pub root_device_name: Option<String>,
    #[serde(rename = "os-extended-volumes:volumes_attached")]
    pub volumes: Option<Vec<AttachedId>>,
    /// By the network's name, in the order of the guest's interfaces.
    addresses: Option<Networks>,
    /// To the second.
    pub updated: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct AttachedId {
    pub id: VolumeId,
}

#[derive(Default, Deserialize)]
pub(crate) struct ServerFlavor {
    pub original_name: Option<String>,
    pub vcpus: Option<Value>,
    pub ram: Option<Value>,
    pub disk: Option<Value>,
    pub ephemeral: Option<Value>,
    pub swap: Option<Value>,
}

#[derive(Deserialize)]
pub(crate) struct Fault {
    pub message: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct CreatedBody {
    pub server: Created,
}

#[derive(Deserialize)]
pub(crate) struct Created {
    pub id: ServerId,
}

#[derive(Deserialize)]
pub(crate) struct AttachmentsBody {
    #[serde(rename = "volumeAttachments")]
    pub attachments: Vec<Attachment>,
}

#[derive(Deserialize)]
pub(crate) struct Attachment {
    #[serde(rename = "volumeId")]
    pub volume_id: VolumeId,
    pub device: Option<String>,
    pub delete_on_termination: Option<bool>,
    pub tag: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct InterfacesBody {
    #[serde(rename = "interfaceAttachments")]
    pub interfaces: Vec<Interface>,
}

#[derive(Deserialize)]
pub(crate) struct Interface {
    pub port_id: PortId,
}

/// Each network's addresses; their fields differ by release, and only the MAC is read.
type Networks = serde_json::Map<String, Value>;

impl Server {
    /// The interfaces' MAC addresses, each as often as it has addresses.
    pub fn macs(&self) -> Vec<&str> {
        let networks = self.addresses.iter().flat_map(|networks| networks.values());
        let addresses = networks.filter_map(Value::as_array).flatten();
        addresses
            .filter_map(|address| address.get("OS-EXT-IPS-MAC:mac_addr")?.as_str())
            .collect()
    }
}

#[derive(Deserialize)]
pub(crate) struct Flavor {
    pub id: FlavorId,
    pub name: Option<String>,
    pub vcpus: Option<Value>,
    pub ram: Option<Value>,
    pub disk: Option<Value>,
}

#[derive(Deserialize)]
pub(crate) struct KeypairBody {
    pub keypair: Keypair,
}

#[derive(Deserialize)]
pub(crate) struct Keypair {
    pub name: String,
    pub public_key: String,
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct QuotaBody {
    pub quota_set: Quotas,
}

#[derive(Deserialize)]
pub(crate) struct Quotas {
    pub instances: Option<super::Quota>,
    pub cores: Option<super::Quota>,
    pub ram: Option<super::Quota>,
}
