//! The clouds' answers.
//!
//! Who asks decides what is seen and done: the tenant by his trust, or the service user. Calls that only make sense
//! at the edge of the product (sign-in of users, secrets, group types) are answered as briefly as possible.

use std::collections::BTreeMap;

use async_trait::async_trait;
use protector_domain::{
    PortId, ProjectId, SecretId, ServerId, TransferId, VolumeGroupId, VolumeId, VolumeTypeId,
};
use protector_ports::cloud::*;
use protector_ports::{Cloud, Kind, PortError, PortResult};
use secrecy::{ExposeSecret, SecretString};

use super::effects::{flavor, is_service, new_id, place, project, side};
use super::{Hands, conflict, not_found};
use crate::planted::Bug;
use crate::sim::Sim;
use crate::world::Change;
use crate::world::cloud as ids;

fn unasked<T>() -> PortResult<T> {
    Err(PortError::permanent(
        Kind::Invalid,
        "The simulation doesn't know this call.",
    ))
}

#[async_trait]
impl Cloud for Hands {
    async fn probe(&self, access: &Access) -> PortResult<()> {
        self.call(place(access), "probe", false, |_| Ok(())).await
    }

    async fn owner(&self, access: &Access) -> PortResult<TokenOwner> {
        let owner = TokenOwner {
            user_id: match is_service(access) {
                true => ids::service_user(side(access)),
                false => ids::tenant_user(side(access)),
            },
            project_id: project(access),
            roles: vec!["member".to_owned()],
            services: Vec::new(),
            issued_at: None,
        };
        self.call(place(access), "sign in", false, |_| Ok(owner)).await
    }

    async fn known_roles(&self, _: &Access, _: &[String]) -> PortResult<Vec<String>> {
        unasked()
    }

    async fn project_name(&self, _: &Access, project: &ProjectId) -> PortResult<String> {
        Ok(project.to_string())
    }

    async fn create_trust(&self, _: &Access, _: &NewTrust) -> PortResult<SecretString> {
        unasked()
    }

    async fn delete_trust(&self, access: &Access, _: &SecretString) -> PortResult<()> {
        self.call(place(access), "delete trust", true, |_| Ok(())).await
    }

    async fn secret_payload(&self, _: &Access, _: SecretId) -> PortResult<SecretString> {
        unasked()
    }

    async fn server(&self, access: &Access, id: &ServerId) -> PortResult<Server> {
        let act = |sim: &mut Sim| sim.machine(access, id).map(|found| found.server.clone());
        self.call(place(access), "show server", false, act).await
    }

    async fn servers(&self, access: &Access, all_projects: bool) -> PortResult<Vec<Server>> {
        let act = |sim: &mut Sim| {
            if sim.is_blind(Bug::BlindToServers, "boot-server") {
                return Ok(Vec::new());
            }
            let owner = project(access);
            let servers = sim.cloud(access).servers.values().map(|found| &found.server);
            Ok(servers
                .filter(|server| all_projects || server.project_id == owner)
                .cloned()
                .collect())
        };
        self.call(place(access), "list servers", false, act).await
    }

    /// Who waits looks, and nobody is blind to what he waits for.
    async fn changed_servers(&self, access: &Access, _mark: Option<&str>) -> PortResult<Changes<Server>> {
        let act = |sim: &mut Sim| {
            let owner = project(access);
            let servers = sim.cloud(access).servers.values().map(|found| &found.server);
            Ok(Changes {
                items: servers
                    .filter(|server| server.project_id == owner)
                    .cloned()
                    .collect(),
                mark: None,
            })
        };
        self.call(place(access), "list changed servers", false, act).await
    }

    async fn attached_volumes(&self, access: &Access, server: &ServerId) -> PortResult<Vec<AttachedVolume>> {
        let act = |sim: &mut Sim| {
            let volumes = sim.machine(access, server)?.volumes.iter().cloned().enumerate();
            Ok(volumes
                .map(|(place, volume_id)| AttachedVolume {
                    volume_id,
                    device: format!("/dev/vd{}", char::from(b'a' + place as u8)),
                    delete_on_termination: false,
                    tag: None,
                })
                .collect())
        };
        self.call(place(access), "list attachments", false, act).await
    }

    async fn keep_volume(&self, _: &Access, _: &ServerId, _: &VolumeId) -> PortResult<()> {
        unasked()
    }

    async fn create_server(&self, access: &Access, server: &NewServer) -> PortResult<ServerId> {
        let act = |sim: &mut Sim| {
            let made = sim.create(access, server);
            sim.note(format!("create server '{}': {made:?}", server.name));
            made
        };
        self.call(place(access), "create server", true, act).await
    }

    async fn delete_server(&self, access: &Access, id: &ServerId) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            let Ok(machine) = sim.machine(access, id) else {
                return Ok(());
            };
            if machine.server.task_state.as_deref() == Some("deleting") {
                return Ok(());
            }
            machine.server.task_state = Some("deleting".to_owned());
            sim.books.touched(id.as_str());
            sim.note(format!("delete server {id}"));
            let about = sim.world.pace.stop;
            let change = Change::Deleted(side(access), id.clone());
            sim.world.later(&mut sim.chance, about, change);
            Ok(())
        };
        self.call(place(access), "delete server", true, act).await
    }

    async fn stop_server(&self, access: &Access, id: &ServerId) -> PortResult<()> {
        let change = Change::Stopped(side(access), id.clone());
        let act = |sim: &mut Sim| {
            sim.note(format!("stop server {id}"));
            sim.act_towards(access, id, "ACTIVE", "SHUTOFF", "powering-off", change)
        };
        self.call(place(access), "stop server", true, act).await
    }

    async fn start_server(&self, access: &Access, id: &ServerId) -> PortResult<()> {
        let change = Change::Started(side(access), id.clone());
        let act = |sim: &mut Sim| {
            sim.note(format!("start server {id}"));
            sim.act_towards(access, id, "SHUTOFF", "ACTIVE", "powering-on", change)
        };
        self.call(place(access), "start server", true, act).await
    }

    async fn lock_server(&self, access: &Access, id: &ServerId, _: &str) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            sim.machine(access, id)?.server.locked = true;
            sim.books.touched(id.as_str());
            Ok(())
        };
        self.call(place(access), "lock server", true, act).await
    }

    async fn unlock_server(&self, access: &Access, id: &ServerId) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            sim.machine(access, id)?.server.locked = false;
            Ok(())
        };
        self.call(place(access), "unlock server", true, act).await
    }

    async fn flavors(&self, access: &Access) -> PortResult<Vec<Flavor>> {
        let like = flavor();
        let flavor = Flavor {
            id: ids::flavor(side(access)),
            name: like.original_name,
            vcpus: like.vcpus,
            ram_mb: like.ram_mb,
            disk_gb: like.disk_gb,
        };
        self.call(place(access), "list flavors", false, |_| Ok(vec![flavor]))
            .await
    }

    async fn keypair(&self, access: &Access, name: &str, _: Option<&str>) -> PortResult<Keypair> {
        let act = |sim: &mut Sim| match sim.cloud(access).keypairs.get(name) {
            Some(found) => Ok(found.clone()),
            None => not_found("such keypair"),
        };
        self.call(place(access), "show keypair", false, act).await
    }

    async fn create_keypair(&self, access: &Access, keypair: &Keypair) -> PortResult<bool> {
        let act = |sim: &mut Sim| {
            let there = &mut sim.cloud(access).keypairs;
            let new = !there.contains_key(&keypair.name);
            there
                .entry(keypair.name.clone())
                .or_insert_with(|| keypair.clone());
            sim.books.made(&keypair.name);
            Ok(new)
        };
        self.call(place(access), "create keypair", true, act).await
    }

    async fn delete_keypair(&self, access: &Access, name: &str, _: Option<&str>) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            sim.cloud(access).keypairs.remove(name);
            Ok(())
        };
        self.call(place(access), "delete keypair", true, act).await
    }

    async fn compute_room(&self, access: &Access, _: &ProjectId) -> PortResult<Room> {
        self.call(place(access), "quota", false, |_| Ok(Room::default()))
            .await
    }

    async fn volume(&self, access: &Access, id: &VolumeId) -> PortResult<Volume> {
        let act = |sim: &mut Sim| sim.cinder_volume(access, id).map(|found| found.clone());
        self.call(place(access), "show volume", false, act).await
    }

    async fn volumes(&self, access: &Access, all_projects: bool) -> PortResult<Vec<Volume>> {
        let act = |sim: &mut Sim| {
            if sim.is_blind(Bug::BlindToVolumes, "import-volume") {
                return Ok(Vec::new());
            }
            let owner = Some(project(access));
            let volumes = sim.cloud(access).volumes.values();
            let found = volumes.filter(|volume| all_projects || volume.project_id == owner);
            Ok(found.cloned().collect())
        };
        self.call(place(access), "list volumes", false, act).await
    }

    async fn volume_types(&self, access: &Access) -> PortResult<Vec<VolumeType>> {
        let kind = VolumeType {
            id: ids::volume_type(side(access)),
            name: ids::VOLUME_TYPE.to_owned(),
            is_public: true,
            extra_specs: BTreeMap::from([("volume_backend_name".to_owned(), "pure".to_owned())]),
        };
        self.call(place(access), "list volume types", false, |_| Ok(vec![kind]))
            .await
    }

    async fn is_type_encrypted(&self, _: &Access, _: &VolumeTypeId) -> PortResult<bool> {
        Ok(false)
    }

    async fn volume_pools(&self, access: &Access) -> PortResult<Vec<VolumePool>> {
        let pool = VolumePool {
            name: ids::POOL.to_owned(),
            backend_name: Some("pure".to_owned()),
            up: true,
        };
        self.call(place(access), "list pools", false, |_| Ok(vec![pool]))
            .await
    }

    async fn may_manage_volumes(&self, _: &Access) -> PortResult<bool> {
        unasked()
    }

    async fn manage_volume(&self, access: &Access, volume: &ManageVolume) -> PortResult<VolumeId> {
        let act = |sim: &mut Sim| {
            let made = sim.manage(access, volume);
            sim.note(format!("manage {}: {made:?}", volume.source_name));
            made
        };
        self.call(place(access), "manage volume", true, act).await
    }

    async fn unmanage_volume(&self, access: &Access, id: &VolumeId) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            sim.note(format!("unmanage {id}"));
            sim.take_out(access, id, true)
        };
        self.call(place(access), "unmanage volume", true, act).await
    }

    async fn delete_volume(&self, access: &Access, id: &VolumeId) -> PortResult<()> {
        let act = |sim: &mut Sim| sim.take_out(access, id, false);
        self.call(place(access), "delete volume", true, act).await
    }

    async fn volume_messages(&self, access: &Access, _: &VolumeId) -> PortResult<Vec<String>> {
        self.call(place(access), "list messages", false, |_| Ok(Vec::new()))
            .await
    }

    async fn set_bootable(&self, access: &Access, id: &VolumeId, bootable: bool) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            sim.cinder_volume(access, id)?.bootable = bootable;
            Ok(())
        };
        self.call(place(access), "set bootable", true, act).await
    }

    async fn set_image_metadata(
        &self,
        access: &Access,
        id: &VolumeId,
        metadata: &BTreeMap<String, String>,
    ) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            sim.cinder_volume(access, id)?
                .image_metadata
                .extend(metadata.clone());
            Ok(())
        };
        self.call(place(access), "set image metadata", true, act).await
    }

    async fn set_volume_metadata(
        &self,
        access: &Access,
        id: &VolumeId,
        metadata: &BTreeMap<String, String>,
    ) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            sim.cinder_volume(access, id)?.metadata.extend(metadata.clone());
            Ok(())
        };
        self.call(place(access), "set metadata", true, act).await
    }

    async fn rename_volume(
        &self,
        access: &Access,
        id: &VolumeId,
        name: &str,
        description: &str,
    ) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            let volume = sim.cinder_volume(access, id)?;
            volume.name = name.to_owned();
            volume.description = Some(description.to_owned());
            Ok(())
        };
        self.call(place(access), "rename volume", true, act).await
    }

    async fn create_transfer(&self, access: &Access, volume: &VolumeId, name: &str) -> PortResult<Transfer> {
        let act = |sim: &mut Sim| {
            let found = sim.cinder_volume(access, volume)?;
            if found.status != "available" {
                return conflict(format!("Volume {volume} is {}.", found.status));
            }
            found.status = "awaiting-transfer".to_owned();
            let transfer: TransferId = new_id(sim);
            let key = sim.chance.uuid().to_string();
            let row = (volume.clone(), name.to_owned(), key.clone());
            sim.cloud(access).transfers.insert(transfer.clone(), row);
            sim.books.made(transfer.as_str());
            sim.books.touched(volume.as_str());
            Ok(Transfer {
                id: transfer,
                auth_key: SecretString::from(key),
            })
        };
        self.call(place(access), "create transfer", true, act).await
    }

    async fn pending_transfers(&self, access: &Access) -> PortResult<Vec<PendingTransfer>> {
        let act = |sim: &mut Sim| {
            let transfers = sim.cloud(access).transfers.iter();
            Ok(transfers
                .map(|(id, (volume, name, _))| PendingTransfer {
                    id: id.clone(),
                    volume_id: volume.clone(),
                    name: name.clone(),
                })
                .collect())
        };
        self.call(place(access), "list transfers", false, act).await
    }

    async fn delete_transfer(&self, access: &Access, id: &TransferId) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            let cloud = sim.cloud(access);
            if let Some((volume, ..)) = cloud.transfers.remove(id)
                && let Some(volume) = cloud.volumes.get_mut(&volume)
            {
                volume.status = "available".to_owned();
            }
            Ok(())
        };
        self.call(place(access), "delete transfer", true, act).await
    }

    async fn accept_transfer(&self, access: &Access, transfer: &Transfer) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            let owner = project(access);
            let cloud = sim.cloud(access);
            let Some((volume, _, key)) = cloud.transfers.remove(&transfer.id) else {
                return not_found("such transfer");
            };
            if key != transfer.auth_key.expose_secret() {
                return conflict("That is not the transfer's key.");
            }
            if let Some(volume) = cloud.volumes.get_mut(&volume) {
                volume.status = "available".to_owned();
                volume.project_id = Some(owner);
            }
            Ok(())
        };
        self.call(place(access), "accept transfer", true, act).await
    }

    async fn group_types(&self, _: &Access) -> PortResult<Vec<VolumeGroupType>> {
        unasked()
    }

    async fn create_group_type(&self, _: &Access, _: &str, _: &BTreeMap<String, String>) -> PortResult<()> {
        unasked()
    }

    async fn volume_groups(&self, access: &Access, all_projects: bool) -> PortResult<Vec<VolumeGroup>> {
        let act = |sim: &mut Sim| {
            let owner = Some(project(access));
            let groups = sim.cloud(access).groups.values();
            let found = groups.filter(|group| all_projects || group.project_id == owner);
            Ok(found.cloned().collect())
        };
        self.call(place(access), "list volume groups", false, act).await
    }

    async fn volume_group(&self, access: &Access, id: &VolumeGroupId) -> PortResult<VolumeGroup> {
        let act = |sim: &mut Sim| match sim.cloud(access).groups.get(id) {
            Some(found) => Ok(found.clone()),
            None => not_found("such volume group"),
        };
        self.call(place(access), "show volume group", false, act).await
    }

    async fn create_volume_group(
        &self,
        access: &Access,
        name: &str,
        _: &str,
        _: &str,
        _: &VolumeTypeId,
    ) -> PortResult<VolumeGroupId> {
        let act = |sim: &mut Sim| {
            let id: VolumeGroupId = new_id(sim);
            let group = VolumeGroup {
                id: id.clone(),
                name: name.to_owned(),
                status: "creating".to_owned(),
                volumes: Vec::new(),
                project_id: Some(project(access)),
            };
            sim.cloud(access).groups.insert(id.clone(), group);
            sim.books.made(id.as_str());
            let about = sim.world.pace.group;
            let change = Change::GroupReady(side(access), id.clone());
            sim.world.later(&mut sim.chance, about, change);
            Ok(id)
        };
        self.call(place(access), "create volume group", true, act).await
    }

    async fn update_volume_group(
        &self,
        access: &Access,
        id: &VolumeGroupId,
        add: &[VolumeId],
        remove: &[VolumeId],
    ) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            let done = sim.change_group(access, id, add, remove);
            sim.note(format!("volume group +{add:?} -{remove:?}: {}", done.is_ok()));
            done
        };
        self.call(place(access), "update volume group", true, act).await
    }

    async fn delete_volume_group(&self, access: &Access, id: &VolumeGroupId) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            let Some(group) = sim.cloud(access).groups.get_mut(id) else {
                return Ok(());
            };
            if !group.volumes.is_empty() || group.status == "creating" {
                return conflict(format!("Volume group {id} can't be deleted now."));
            }
            group.status = "deleting".to_owned();
            let about = sim.world.pace.group;
            let change = Change::GroupGone(side(access), id.clone());
            sim.world.later(&mut sim.chance, about, change);
            Ok(())
        };
        self.call(place(access), "delete volume group", true, act).await
    }

    async fn volume_room(&self, access: &Access, _: &ProjectId) -> PortResult<Room> {
        self.call(place(access), "quota", false, |_| Ok(Room::default()))
            .await
    }

    async fn networks(&self, access: &Access) -> PortResult<Vec<Network>> {
        let at = side(access);
        let network = Network {
            id: ids::network(at),
            name: "net".to_owned(),
            project_id: Some(ids::tenant(at)),
            shared: false,
            external: false,
            subnets: vec![ids::subnet(at)],
        };
        self.call(place(access), "list networks", false, |_| Ok(vec![network]))
            .await
    }

    async fn subnets(&self, access: &Access) -> PortResult<Vec<Subnet>> {
        let at = side(access);
        let subnet = Subnet {
            id: ids::subnet(at),
            name: "subnet".to_owned(),
            network_id: ids::network(at),
            cidr: "10.0.0.0/24".to_owned(),
            ip_version: 4,
            gateway_ip: Some("10.0.0.1".to_owned()),
            ipv6_address_mode: None,
        };
        self.call(place(access), "list subnets", false, |_| Ok(vec![subnet]))
            .await
    }

    async fn security_groups(&self, access: &Access) -> PortResult<Vec<SecurityGroup>> {
        let at = side(access);
        let group = SecurityGroup {
            id: ids::security_group(at),
            name: "default".to_owned(),
            project_id: Some(ids::tenant(at)),
        };
        self.call(place(access), "list security groups", false, |_| Ok(vec![group]))
            .await
    }

    async fn server_ports(&self, access: &Access, server: &ServerId) -> PortResult<Vec<Port>> {
        let act = |sim: &mut Sim| {
            let ids = sim.machine(access, server)?.ports.clone();
            let ports = &sim.cloud(access).ports;
            Ok(ids.iter().filter_map(|id| ports.get(id).cloned()).collect())
        };
        self.call(place(access), "list server ports", false, act).await
    }

    async fn ports(
        &self,
        access: &Access,
        network: Option<&protector_domain::NetworkId>,
    ) -> PortResult<Vec<Port>> {
        let act = |sim: &mut Sim| {
            if sim.is_blind(Bug::BlindToPorts, "create-ports") {
                return Ok(Vec::new());
            }
            let owner = project(access);
            let ports = sim.cloud(access).ports.values();
            let found = ports.filter(|port| {
                let mine = is_service(access) || port.project_id.as_ref() == Some(&owner);
                mine && network.is_none_or(|network| port.network_id == *network)
            });
            Ok(found.cloned().collect())
        };
        self.call(place(access), "list ports", false, act).await
    }

    async fn create_port(&self, access: &Access, port: &NewPort) -> PortResult<Port> {
        let act = |sim: &mut Sim| {
            let made = sim.new_port(access, port);
            sim.note(format!("create port {:?}", made.as_ref().map(|port| &port.id)));
            made
        };
        self.call(place(access), "create port", true, act).await
    }

    async fn delete_port(&self, access: &Access, id: &PortId) -> PortResult<()> {
        let act = |sim: &mut Sim| {
            sim.cloud(access).ports.remove(id);
            sim.books.touched(id.as_str());
            Ok(())
        };
        self.call(place(access), "delete port", true, act).await
    }

    async fn network_room(&self, access: &Access, _: &ProjectId) -> PortResult<Room> {
        self.call(place(access), "quota", false, |_| Ok(Room::default()))
            .await
    }
}
