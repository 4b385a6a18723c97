//! Cinder at microversion 3.62.

use std::collections::BTreeMap;

use protector_domain::{ServerId, TransferId, VolumeGroupId, VolumeId, VolumeTypeId};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub(crate) struct VolumeBody {
    pub volume: Volume,
}

#[derive(Deserialize)]
pub(crate) struct Volume {
    pub id: VolumeId,
    pub name: Option<String>,
    pub description: Option<String>,
    pub status: Option<String>,
    pub size: Option<u64>,
    pub volume_type: Option<String>,
    /// `"true"` as text.
    pub bootable: Option<Value>,
    pub encrypted: Option<bool>,
    pub multiattach: Option<bool>,
    pub availability_zone: Option<String>,
    pub metadata: Option<BTreeMap<String, Value>>,
    pub volume_image_metadata: Option<BTreeMap<String, Value>>,
    pub group_id: Option<VolumeGroupId>,
    pub attachments: Option<Vec<Attachment>>,
    #[serde(rename = "os-vol-tenant-attr:tenant_id")]
    pub tenant_id: Option<String>,
    #[serde(rename = "os-vol-host-attr:host")]
    pub host: Option<String>,
    pub provider_id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Attachment {
    /// None for an attachment to a host.
    pub server_id: Option<ServerId>,
}

#[derive(Deserialize)]
pub(crate) struct CreatedBody {
    pub volume: Created<VolumeId>,
}

#[derive(Deserialize)]
pub(crate) struct CreatedGroupBody {
    pub group: Created<VolumeGroupId>,
}

#[derive(Deserialize)]
pub(crate) struct Created<I> {
    pub id: I,
}

#[derive(Deserialize)]
pub(crate) struct VolumeType {
    pub id: VolumeTypeId,
    pub name: String,
    pub is_public: Option<bool>,
    pub extra_specs: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
pub(crate) struct EncryptionBody {
    pub provider: Option<String>,
    pub encryption_id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct PoolsBody {
    pub pools: Vec<Pool>,
}

#[derive(Deserialize)]
pub(crate) struct Pool {
    pub name: String,
    #[serde(default)]
    pub capabilities: Capabilities,
}

#[derive(Default, Deserialize)]
pub(crate) struct Capabilities {
    pub volume_backend_name: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct ServicesBody {
    pub services: Vec<BackendService>,
}

#[derive(Deserialize)]
pub(crate) struct BackendService {
    /// `host@backend`, without a pool.
    pub host: Option<String>,
    pub cluster: Option<String>,
    pub status: Option<String>,
    pub state: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Message {
    pub user_message: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct NewTransferBody {
    pub transfer: NewTransfer,
}

#[derive(Deserialize)]
pub(crate) struct NewTransfer {
    pub id: TransferId,
    pub auth_key: secrecy::SecretString,
}

#[derive(Deserialize)]
pub(crate) struct Transfer {
    pub id: TransferId,
    pub volume_id: VolumeId,
    pub name: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct GroupType {
    pub id: String,
    pub name: String,
    pub is_public: Option<bool>,
    pub group_specs: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
pub(crate) struct GroupBody {
    pub group: Group,
}

#[derive(Deserialize)]
pub(crate) struct Group {
    pub id: VolumeGroupId,
    pub name: Option<String>,
    pub status: Option<String>,
    /// Only where the volumes were asked for.
    pub volumes: Option<Vec<VolumeId>>,
    pub project_id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct QuotaBody {
    pub quota_set: BTreeMap<String, Value>,
}
