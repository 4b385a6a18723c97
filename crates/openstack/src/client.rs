//! The port's methods, each one call deep.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use protector_domain::{
    NetworkId, PortId, ProjectId, SecretId, ServerId, TransferId, VolumeGroupId, VolumeId, VolumeTypeId,
};
use protector_ports::cloud::{
    Access, AttachedVolume, Changes, Flavor, Keypair, ManageVolume, Network, NewPort, NewServer, NewTrust,
    PendingTransfer, Port, Room, SecurityGroup, Server, Subnet, TokenOwner, Transfer, Volume, VolumeGroup,
    VolumeGroupType, VolumePool, VolumeType,
};
use protector_ports::{Cloud, PortResult};
use secrecy::SecretString;

use crate::auth::Tokens;
use crate::config::{ClientConfig, ConfigError};
use crate::session::{Inner, Session};
use crate::transport::Transport;
use crate::{compute, identity, key_manager, network, volume, volume_groups};

/// One client for all sites: tokens and places are kept apart by site and actor.
pub struct OpenStackClient {
    inner: Inner,
}

impl OpenStackClient {
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let transport = Transport::new(&config)?;
        Ok(Self {
            inner: Inner {
                transport,
                tokens: Tokens::default(),
                interface: config.interface,
            },
        })
    }

    fn session<'a>(&'a self, access: &'a Access) -> Session<'a> {
        Session::new(&self.inner, access)
    }
}

impl fmt::Debug for OpenStackClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStackClient").finish_non_exhaustive()
    }
}

#[async_trait]
impl Cloud for OpenStackClient {
    // Keystone
    async fn probe(&self, access: &Access) -> PortResult<()> {
        identity::probe(&self.session(access)).await
    }

    async fn owner(&self, access: &Access) -> PortResult<TokenOwner> {
        identity::owner(&self.session(access)).await
    }

    async fn known_roles(&self, access: &Access, names: &[String]) -> PortResult<Vec<String>> {
        identity::known_roles(&self.session(access), names).await
    }

    async fn project_name(&self, access: &Access, project: &ProjectId) -> PortResult<String> {
        identity::project_name(&self.session(access), project).await
    }

    async fn create_trust(&self, access: &Access, trust: &NewTrust) -> PortResult<SecretString> {
        identity::create_trust(&self.session(access), trust).await
    }

    async fn delete_trust(&self, access: &Access, trust_id: &SecretString) -> PortResult<()> {
        identity::delete_trust(&self.session(access), trust_id).await
    }

    // Barbican
    async fn secret_payload(&self, access: &Access, id: SecretId) -> PortResult<SecretString> {
        key_manager::payload(&self.session(access), id).await
    }

    // Nova
    async fn server(&self, access: &Access, id: &ServerId) -> PortResult<Server> {
        compute::server(&self.session(access), id).await
    }

    async fn servers(&self, access: &Access, all_projects: bool) -> PortResult<Vec<Server>> {
        compute::servers(&self.session(access), all_projects).await
    }

    async fn servers_of(&self, access: &Access, project: &ProjectId) -> PortResult<Vec<Server>> {
        compute::servers_of(&self.session(access), project).await
    }

    async fn changed_servers(&self, access: &Access, mark: Option<&str>) -> PortResult<Changes<Server>> {
        compute::changed_servers(&self.session(access), mark).await
    }

    async fn attached_volumes(&self, access: &Access, server: &ServerId) -> PortResult<Vec<AttachedVolume>> {
        compute::attached_volumes(&self.session(access), server).await
    }

    async fn keep_volume(&self, access: &Access, server: &ServerId, volume: &VolumeId) -> PortResult<()> {
        compute::keep_volume(&self.session(access), server, volume).await
    }

    async fn create_server(&self, access: &Access, server: &NewServer) -> PortResult<ServerId> {
        compute::create_server(&self.session(access), server).await
    }

    async fn delete_server(&self, access: &Access, id: &ServerId) -> PortResult<()> {
        compute::delete_server(&self.session(access), id).await
    }

    async fn stop_server(&self, access: &Access, id: &ServerId) -> PortResult<()> {
        compute::stop_server(&self.session(access), id).await
    }

    async fn start_server(&self, access: &Access, id: &ServerId) -> PortResult<()> {
        compute::start_server(&self.session(access), id).await
    }

    async fn lock_server(&self, access: &Access, id: &ServerId, reason: &str) -> PortResult<()> {
        compute::lock_server(&self.session(access), id, reason).await
    }

    async fn unlock_server(&self, access: &Access, id: &ServerId) -> PortResult<()> {
        compute::unlock_server(&self.session(access), id).await
    }

    async fn flavors(&self, access: &Access) -> PortResult<Vec<Flavor>> {
        compute::flavors(&self.session(access)).await
    }

    async fn keypair(&self, access: &Access, name: &str, user_id: Option<&str>) -> PortResult<Keypair> {
        compute::keypair(&self.session(access), name, user_id).await
    }

    async fn create_keypair(&self, access: &Access, keypair: &Keypair) -> PortResult<bool> {
        compute::create_keypair(&self.session(access), keypair).await
    }

    async fn delete_keypair(&self, access: &Access, name: &str, user_id: Option<&str>) -> PortResult<()> {
        compute::delete_keypair(&self.session(access), name, user_id).await
    }

    async fn compute_room(&self, access: &Access, project: &ProjectId) -> PortResult<Room> {
        compute::compute_room(&self.session(access), project).await
    }

    // Cinder
    async fn volume(&self, access: &Access, id: &VolumeId) -> PortResult<Volume> {
        volume::volume(&self.session(access), id).await
    }

    async fn volumes(&self, access: &Access, all_projects: bool) -> PortResult<Vec<Volume>> {
        volume::volumes(&self.session(access), all_projects).await
    }

    async fn volumes_of(&self, access: &Access, project: &ProjectId) -> PortResult<Vec<Volume>> {
        volume::volumes_of(&self.session(access), project).await
    }

    async fn volume_types(&self, access: &Access) -> PortResult<Vec<VolumeType>> {
        volume::volume_types(&self.session(access)).await
    }

    async fn is_type_encrypted(&self, access: &Access, id: &VolumeTypeId) -> PortResult<bool> {
        volume::is_type_encrypted(&self.session(access), id).await
    }

    async fn volume_pools(&self, access: &Access) -> PortResult<Vec<VolumePool>> {
        volume::volume_pools(&self.session(access)).await
    }

    async fn may_manage_volumes(&self, access: &Access) -> PortResult<bool> {
        volume::may_manage_volumes(&self.session(access)).await
    }

    async fn manage_volume(&self, access: &Access, volume: &ManageVolume) -> PortResult<VolumeId> {
        volume::manage_volume(&self.session(access), volume).await
    }

    async fn unmanage_volume(&self, access: &Access, id: &VolumeId) -> PortResult<()> {
        volume::unmanage_volume(&self.session(access), id).await
    }

    async fn delete_volume(&self, access: &Access, id: &VolumeId) -> PortResult<()> {
        volume::delete_volume(&self.session(access), id).await
    }

    async fn volume_messages(&self, access: &Access, id: &VolumeId) -> PortResult<Vec<String>> {
        volume::volume_messages(&self.session(access), id).await
    }

    async fn set_bootable(&self, access: &Access, id: &VolumeId, bootable: bool) -> PortResult<()> {
        volume::set_bootable(&self.session(access), id, bootable).await
    }

    async fn set_image_metadata(
        &self,
        access: &Access,
        id: &VolumeId,
        metadata: &BTreeMap<String, String>,
    ) -> PortResult<()> {
        volume::set_image_metadata(&self.session(access), id, metadata).await
    }

    async fn set_volume_metadata(
        &self,
        access: &Access,
        id: &VolumeId,
        metadata: &BTreeMap<String, String>,
    ) -> PortResult<()> {
        volume::set_volume_metadata(&self.session(access), id, metadata).await
    }

    async fn rename_volume(
        &self,
        access: &Access,
        id: &VolumeId,
        name: &str,
        description: &str,
    ) -> PortResult<()> {
        volume::rename_volume(&self.session(access), id, name, description).await
    }

    async fn create_transfer(&self, access: &Access, volume: &VolumeId, name: &str) -> PortResult<Transfer> {
        volume::create_transfer(&self.session(access), volume, name).await
    }

    async fn pending_transfers(&self, access: &Access) -> PortResult<Vec<PendingTransfer>> {
        volume::pending_transfers(&self.session(access)).await
    }

    async fn delete_transfer(&self, access: &Access, id: &TransferId) -> PortResult<()> {
        volume::delete_transfer(&self.session(access), id).await
    }

    async fn accept_transfer(&self, access: &Access, transfer: &Transfer) -> PortResult<()> {
        volume::accept_transfer(&self.session(access), transfer).await
    }

    async fn group_types(&self, access: &Access) -> PortResult<Vec<VolumeGroupType>> {
        volume_groups::group_types(&self.session(access)).await
    }

    async fn create_group_type(
        &self,
        access: &Access,
        name: &str,
        specs: &BTreeMap<String, String>,
    ) -> PortResult<()> {
        volume_groups::create_group_type(&self.session(access), name, specs).await
    }

    async fn volume_groups(&self, access: &Access, all_projects: bool) -> PortResult<Vec<VolumeGroup>> {
        volume_groups::volume_groups(&self.session(access), all_projects).await
    }

    async fn volume_group(&self, access: &Access, id: &VolumeGroupId) -> PortResult<VolumeGroup> {
        volume_groups::volume_group(&self.session(access), id).await
    }

    async fn create_volume_group(
        &self,
        access: &Access,
        name: &str,
        description: &str,
        group_type: &str,
        volume_type: &VolumeTypeId,
    ) -> PortResult<VolumeGroupId> {
        volume_groups::create_volume_group(&self.session(access), name, description, group_type, volume_type)
            .await
    }

    async fn update_volume_group(
        &self,
        access: &Access,
        id: &VolumeGroupId,
        add: &[VolumeId],
        remove: &[VolumeId],
    ) -> PortResult<()> {
        volume_groups::update_volume_group(&self.session(access), id, add, remove).await
    }

    async fn delete_volume_group(&self, access: &Access, id: &VolumeGroupId) -> PortResult<()> {
        volume_groups::delete_volume_group(&self.session(access), id).await
    }

    async fn volume_room(&self, access: &Access, project: &ProjectId) -> PortResult<Room> {
        volume::volume_room(&self.session(access), project).await
    }

    // Neutron
    async fn networks(&self, access: &Access) -> PortResult<Vec<Network>> {
        network::networks(&self.session(access)).await
    }

    async fn subnets(&self, access: &Access) -> PortResult<Vec<Subnet>> {
        network::subnets(&self.session(access)).await
    }

    async fn security_groups(&self, access: &Access) -> PortResult<Vec<SecurityGroup>> {
        network::security_groups(&self.session(access)).await
    }

    async fn server_ports(&self, access: &Access, server: &ServerId) -> PortResult<Vec<Port>> {
        network::server_ports(&self.session(access), server).await
    }

    async fn ports(&self, access: &Access, network: Option<&NetworkId>) -> PortResult<Vec<Port>> {
        network::ports(&self.session(access), network).await
    }

    async fn ports_of(&self, access: &Access, project: &ProjectId) -> PortResult<Vec<Port>> {
        network::ports_of(&self.session(access), project).await
    }

    async fn create_port(&self, access: &Access, port: &NewPort) -> PortResult<Port> {
        network::create_port(&self.session(access), port).await
    }

    async fn delete_port(&self, access: &Access, id: &PortId) -> PortResult<()> {
        network::delete_port(&self.session(access), id).await
    }

    async fn network_room(&self, access: &Access, project: &ProjectId) -> PortResult<Room> {
        network::network_room(&self.session(access), project).await
    }
}
