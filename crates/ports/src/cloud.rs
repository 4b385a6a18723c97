//! One OpenStack cloud, as disaster recovery sees it.
//!
//! Every call says where, as whom and for how long ([`Access`]). The adapter signs in, keeps tokens, finds
//! endpoints in the catalog of *that* cloud and never carries a token or a URL of one cloud to another.
//! "find" methods look an object up by what its creation wrote into it; they are what makes steps repeatable.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use protector_domain::{
    FlavorId, NetworkId, PortId, ProjectId, SecretId, SecurityGroupId, ServerId, SiteId, SubnetId,
    TransferId, UserId, VolumeGroupId, VolumeId, VolumeTypeId,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::PortResult;

/// Where, as whom, for how long.
#[derive(Clone)]
pub struct Access {
    pub site: SiteId,
    /// For messages.
    pub site_name: String,
    /// Keystone v3.
    pub auth_url: String,
    pub region: Option<String>,
    pub actor: Actor,
    /// No call takes longer.
    pub timeout: Duration,
}

/// As whom a cloud is asked. Secrets inside never print.
#[derive(Clone)]
pub enum Actor {
    /// That cloud's protector user, in its service project.
    Service(Credentials),
    /// The tenant, through a trust given to that cloud's protector user.
    Trust {
        trustee: Credentials,
        trust_id: SecretString,
    },
    /// The caller of a request, by the token that came with it.
    User {
        token: SecretString,
        project_id: ProjectId,
    },
}

#[derive(Clone)]
pub struct Credentials {
    pub username: String,
    pub password: SecretString,
    pub project_name: String,
    pub user_domain_name: String,
    pub project_domain_name: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actor = match &self.actor {
            Actor::Service(_) => "service",
            Actor::Trust { .. } => "trust",
            Actor::User { .. } => "user",
        };
        f.debug_struct("Access")
            .field("site", &self.site_name)
            .field("actor", &actor)
            .finish_non_exhaustive()
    }
}

/// Who a token speaks for.
#[derive(Debug, Clone)]
pub struct TokenOwner {
    pub user_id: UserId,
    pub project_id: ProjectId,
    pub roles: Vec<String>,
    /// Service types that the catalog offers in the wanted region.
    pub services: Vec<String>,
    /// When it was given, by Keystone's own clock.
    pub issued_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    pub id: ServerId,
    pub name: String,
    /// `ACTIVE`, `SHUTOFF`, `ERROR`, `BUILD`, ...
    pub status: String,
    pub task_state: Option<String>,
    pub project_id: ProjectId,
    pub user_id: Option<String>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub tags: Vec<String>,
    pub flavor: ServerFlavor,
    /// False where the root disk is an image copy on the hypervisor.
    pub boots_from_volume: bool,
    pub key_name: Option<String>,
    pub config_drive: bool,
    pub availability_zone: Option<String>,
    pub locked: bool,
    /// The reason of status `ERROR`.
    pub fault: Option<String>,
    /// Only shown to administrators.
    pub user_data: Option<String>,
    pub root_device_name: Option<String>,
    /// Attached ones, in no order that means anything.
    #[serde(default)]
    pub volumes: Vec<VolumeId>,
    /// The MAC addresses of its interfaces, in the guest's order.
    #[serde(default)]
    pub macs: Vec<String>,
}

/// What changed since the last look, and the mark from which to look on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes<T> {
    pub items: Vec<T>,
    /// `None` where everything has to be looked at each time.
    pub mark: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFlavor {
    pub original_name: String,
    pub vcpus: u64,
    pub ram_mb: u64,
    pub disk_gb: u64,
    pub ephemeral_gb: u64,
    pub swap_mb: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedVolume {
    pub volume_id: VolumeId,
    pub device: String,
    pub delete_on_termination: bool,
    pub tag: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub id: VolumeId,
    pub name: String,
    pub description: Option<String>,
    pub status: String,
    pub size_gb: u64,
    pub volume_type: Option<String>,
    pub bootable: bool,
    pub encrypted: bool,
    pub multiattach: bool,
    pub availability_zone: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub image_metadata: BTreeMap<String, String>,
    pub group_id: Option<VolumeGroupId>,
    pub attached_to: Vec<ServerId>,
    /// Only shown to administrators: the owner, `host@backend#pool`, the name on the array.
    pub project_id: Option<ProjectId>,
    pub host: Option<String>,
    pub provider_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeType {
    pub id: VolumeTypeId,
    pub name: String,
    pub is_public: bool,
    pub extra_specs: BTreeMap<String, String>,
}

/// A place that volumes can be managed into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumePool {
    /// `host@backend#pool`.
    pub name: String,
    pub backend_name: Option<String>,
    pub up: bool,
}

#[derive(Debug, Clone)]
pub struct ManageVolume {
    pub host: String,
    /// The volume's present name on the array.
    pub source_name: String,
    pub name: String,
    /// Carries the operation, so that the volume can be found again.
    pub description: String,
    pub volume_type: String,
    pub availability_zone: Option<String>,
    pub bootable: bool,
}

/// A started hand-over. The key is in the create's answer only and is kept in memory only.
pub struct Transfer {
    pub id: TransferId,
    pub auth_key: SecretString,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingTransfer {
    pub id: TransferId,
    pub volume_id: VolumeId,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeGroup {
    pub id: VolumeGroupId,
    pub name: String,
    /// `creating`, `available`, `updating`, `error`, `deleting`.
    pub status: String,
    pub volumes: Vec<VolumeId>,
    pub project_id: Option<ProjectId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeGroupType {
    pub id: String,
    pub name: String,
    pub is_public: bool,
    /// Only shown to administrators.
    pub group_specs: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    pub id: PortId,
    pub name: String,
    pub description: String,
    pub network_id: NetworkId,
    pub mac_address: String,
    pub fixed_ips: Vec<FixedIp>,
    pub security_groups: Vec<SecurityGroupId>,
    pub allowed_address_pairs: Vec<AddressPair>,
    pub port_security_enabled: bool,
    pub vnic_type: Option<String>,
    pub device_id: String,
    pub device_owner: String,
    pub project_id: Option<ProjectId>,
    pub status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedIp {
    pub subnet_id: SubnetId,
    pub ip_address: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPair {
    pub ip_address: String,
    pub mac_address: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct NewPort {
    pub network_id: Option<NetworkId>,
    pub name: String,
    /// Carries the operation, so that the port can be found again.
    pub description: String,
    pub mac_address: Option<String>,
    /// Wanted addresses; a subnet without an address takes a free one.
    pub fixed_ips: Vec<(SubnetId, Option<String>)>,
    pub security_groups: Option<Vec<SecurityGroupId>>,
    pub allowed_address_pairs: Vec<AddressPair>,
    pub port_security_enabled: Option<bool>,
    /// Set where the service makes a port for the tenant.
    pub project_id: Option<ProjectId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub id: NetworkId,
    pub name: String,
    pub project_id: Option<ProjectId>,
    pub shared: bool,
    pub external: bool,
    pub subnets: Vec<SubnetId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    pub id: SubnetId,
    pub name: String,
    pub network_id: NetworkId,
    pub cidr: String,
    pub ip_version: u8,
    pub gateway_ip: Option<String>,
    pub ipv6_address_mode: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    pub id: SecurityGroupId,
    pub name: String,
    pub project_id: Option<ProjectId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flavor {
    pub id: FlavorId,
    pub name: String,
    pub vcpus: u64,
    pub ram_mb: u64,
    pub disk_gb: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keypair {
    pub name: String,
    pub public_key: String,
    pub key_type: String,
}

#[derive(Debug, Clone)]
pub struct NewServer {
    pub name: String,
    pub flavor_id: FlavorId,
    pub key_name: Option<String>,
    pub config_drive: bool,
    pub user_data: Option<String>,
    pub availability_zone: Option<String>,
    pub description: Option<String>,
    pub tags: Vec<String>,
    /// Carries the operation and the member.
    pub metadata: BTreeMap<String, String>,
    /// In the order of the guest's interfaces.
    pub ports: Vec<PortId>,
    /// In the order of the guest's disks; the first boots.
    pub volumes: Vec<VolumeId>,
}

/// What is left of a quota; `None` is without limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    pub instances: Option<u64>,
    pub cores: Option<u64>,
    pub ram_mb: Option<u64>,
    pub volumes: Option<u64>,
    pub gigabytes: Option<u64>,
    /// By volume type name.
    pub volumes_of_type: BTreeMap<String, u64>,
    pub gigabytes_of_type: BTreeMap<String, u64>,
    pub ports: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct NewTrust {
    pub trustor: UserId,
    pub trustee: UserId,
    pub project: ProjectId,
    pub roles: Vec<String>,
    pub expires_at: Option<DateTime<Utc>>,
}

#[async_trait]
pub trait Cloud: Send + Sync {
    // Keystone
    /// Whether a Keystone v3 answers at the site's `auth_url`; needs no credentials.
    async fn probe(&self, access: &Access) -> PortResult<()>;
    /// Signs in (or looks at the caller's token) and says who that is.
    async fn owner(&self, access: &Access) -> PortResult<TokenOwner>;
    /// Which of these role names the Keystone knows.
    async fn known_roles(&self, access: &Access, names: &[String]) -> PortResult<Vec<String>>;
    /// The name of a project, for messages and displays.
    async fn project_name(&self, access: &Access, project: &ProjectId) -> PortResult<String>;
    /// Must be asked as the trustor.
    async fn create_trust(&self, access: &Access, trust: &NewTrust) -> PortResult<SecretString>;
    async fn delete_trust(&self, access: &Access, trust_id: &SecretString) -> PortResult<()>;

    // Barbican
    /// What a secret holds, if that is one short line of text.
    async fn secret_payload(&self, access: &Access, id: SecretId) -> PortResult<SecretString>;

    // Nova
    async fn server(&self, access: &Access, id: &ServerId) -> PortResult<Server>;
    /// All servers of the actor's project (of all projects where `all_projects`), in as few calls as possible.
    async fn servers(&self, access: &Access, all_projects: bool) -> PortResult<Vec<Server>>;
    /// All servers of one project, as the service.
    async fn servers_of(&self, access: &Access, project: &ProjectId) -> PortResult<Vec<Server>> {
        let mut all = self.servers(access, true).await?;
        all.retain(|server| server.project_id == *project);
        Ok(all)
    }
    /// The servers of the actor's project that changed since the look that gave the mark; without one, all.
    /// A server that is gone shows with status `DELETED`, or not at all.
    async fn changed_servers(&self, access: &Access, mark: Option<&str>) -> PortResult<Changes<Server>> {
        let _ = mark;
        let items = self.servers(access, false).await?;
        Ok(Changes { items, mark: None })
    }
    async fn attached_volumes(&self, access: &Access, server: &ServerId) -> PortResult<Vec<AttachedVolume>>;
    /// A volume that was to be deleted along with its server stays (Nova 2.85).
    async fn keep_volume(&self, access: &Access, server: &ServerId, volume: &VolumeId) -> PortResult<()>;
    async fn create_server(&self, access: &Access, server: &NewServer) -> PortResult<ServerId>;
    async fn delete_server(&self, access: &Access, id: &ServerId) -> PortResult<()>;
    async fn stop_server(&self, access: &Access, id: &ServerId) -> PortResult<()>;
    async fn start_server(&self, access: &Access, id: &ServerId) -> PortResult<()>;
    async fn lock_server(&self, access: &Access, id: &ServerId, reason: &str) -> PortResult<()>;
    async fn unlock_server(&self, access: &Access, id: &ServerId) -> PortResult<()>;
    async fn flavors(&self, access: &Access) -> PortResult<Vec<Flavor>>;
    async fn keypair(&self, access: &Access, name: &str, user_id: Option<&str>) -> PortResult<Keypair>;
    /// For the actor himself. True if this call made it, false if he has the same key by that name already.
    async fn create_keypair(&self, access: &Access, keypair: &Keypair) -> PortResult<bool>;
    /// Of the actor himself, or, as an administrator, of another user; nothing there is fine.
    async fn delete_keypair(&self, access: &Access, name: &str, user_id: Option<&str>) -> PortResult<()>;
    /// Instances, cores, memory left to the project.
    async fn compute_room(&self, access: &Access, project: &ProjectId) -> PortResult<Room>;

    // Cinder
    async fn volume(&self, access: &Access, id: &VolumeId) -> PortResult<Volume>;
    async fn volumes(&self, access: &Access, all_projects: bool) -> PortResult<Vec<Volume>>;
    /// All volumes of one project, as the service.
    async fn volumes_of(&self, access: &Access, project: &ProjectId) -> PortResult<Vec<Volume>> {
        let mut all = self.volumes(access, true).await?;
        all.retain(|volume| volume.project_id.as_ref() == Some(project));
        Ok(all)
    }
    /// With all extra specs: asked as the service.
    async fn volume_types(&self, access: &Access) -> PortResult<Vec<VolumeType>>;
    async fn is_type_encrypted(&self, access: &Access, id: &VolumeTypeId) -> PortResult<bool>;
    async fn volume_pools(&self, access: &Access) -> PortResult<Vec<VolumePool>>;
    /// Whether Cinder's policy lets the actor take over volumes that are on the array; nothing is taken over.
    async fn may_manage_volumes(&self, access: &Access) -> PortResult<bool>;
    async fn manage_volume(&self, access: &Access, volume: &ManageVolume) -> PortResult<VolumeId>;
    async fn unmanage_volume(&self, access: &Access, id: &VolumeId) -> PortResult<()>;
    async fn delete_volume(&self, access: &Access, id: &VolumeId) -> PortResult<()>;
    /// Why an asynchronous change failed, from Cinder's user messages; often empty.
    async fn volume_messages(&self, access: &Access, id: &VolumeId) -> PortResult<Vec<String>>;
    async fn set_bootable(&self, access: &Access, id: &VolumeId, bootable: bool) -> PortResult<()>;
    async fn set_image_metadata(
        &self,
        access: &Access,
        id: &VolumeId,
        metadata: &BTreeMap<String, String>,
    ) -> PortResult<()>;
    async fn set_volume_metadata(
        &self,
        access: &Access,
        id: &VolumeId,
        metadata: &BTreeMap<String, String>,
    ) -> PortResult<()>;
    async fn rename_volume(
        &self,
        access: &Access,
        id: &VolumeId,
        name: &str,
        description: &str,
    ) -> PortResult<()>;
    async fn create_transfer(&self, access: &Access, volume: &VolumeId, name: &str) -> PortResult<Transfer>;
    async fn pending_transfers(&self, access: &Access) -> PortResult<Vec<PendingTransfer>>;
    async fn delete_transfer(&self, access: &Access, id: &TransferId) -> PortResult<()>;
    async fn accept_transfer(&self, access: &Access, transfer: &Transfer) -> PortResult<()>;
    async fn group_types(&self, access: &Access) -> PortResult<Vec<VolumeGroupType>>;
    async fn create_group_type(
        &self,
        access: &Access,
        name: &str,
        specs: &BTreeMap<String, String>,
    ) -> PortResult<()>;
    async fn volume_groups(&self, access: &Access, all_projects: bool) -> PortResult<Vec<VolumeGroup>>;
    async fn volume_group(&self, access: &Access, id: &VolumeGroupId) -> PortResult<VolumeGroup>;
    async fn create_volume_group(
        &self,
        access: &Access,
        name: &str,
        description: &str,
        group_type: &str,
        volume_type: &VolumeTypeId,
    ) -> PortResult<VolumeGroupId>;
    async fn update_volume_group(
        &self,
        access: &Access,
        id: &VolumeGroupId,
        add: &[VolumeId],
        remove: &[VolumeId],
    ) -> PortResult<()>;
    async fn delete_volume_group(&self, access: &Access, id: &VolumeGroupId) -> PortResult<()>;
    /// Volumes and gigabytes left to the project.
    async fn volume_room(&self, access: &Access, project: &ProjectId) -> PortResult<Room>;

    // Neutron
    async fn networks(&self, access: &Access) -> PortResult<Vec<Network>>;
    async fn subnets(&self, access: &Access) -> PortResult<Vec<Subnet>>;
    async fn security_groups(&self, access: &Access) -> PortResult<Vec<SecurityGroup>>;
    /// The ports of a server, in the order of its interfaces.
    async fn server_ports(&self, access: &Access, server: &ServerId) -> PortResult<Vec<Port>>;
    /// All ports that the actor sees; `network` narrows it.
    async fn ports(&self, access: &Access, network: Option<&NetworkId>) -> PortResult<Vec<Port>>;
    /// All ports of one project, as the service.
    async fn ports_of(&self, access: &Access, project: &ProjectId) -> PortResult<Vec<Port>> {
        let mut all = self.ports(access, None).await?;
        all.retain(|port| port.project_id.as_ref() == Some(project));
        Ok(all)
    }
    async fn create_port(&self, access: &Access, port: &NewPort) -> PortResult<Port>;
    async fn delete_port(&self, access: &Access, id: &PortId) -> PortResult<()>;
    async fn network_room(&self, access: &Access, project: &ProjectId) -> PortResult<Room>;
}
