//! One cloud: servers, volumes, ports, transfers, keypairs, volume groups.

use std::collections::BTreeMap;

use protector_domain::{
    FlavorId, NetworkId, PortId, ProjectId, SecurityGroupId, ServerId, SubnetId, TransferId, UserId,
    VolumeGroupId, VolumeId, VolumeTypeId,
};
use protector_ports::cloud::{Keypair, Port, Server, Volume, VolumeGroup};

use super::{NAMES, Side, World};
use crate::chance::Chance;

pub struct Machine {
    pub server: Server,
    pub ports: Vec<PortId>,
    pub volumes: Vec<VolumeId>,
}

pub struct CloudState {
    pub side: Side,
    pub servers: BTreeMap<ServerId, Machine>,
    pub volumes: BTreeMap<VolumeId, Volume>,
    pub ports: BTreeMap<PortId, Port>,
    pub transfers: BTreeMap<TransferId, (VolumeId, String, String)>,
    pub groups: BTreeMap<VolumeGroupId, VolumeGroup>,
    pub keypairs: BTreeMap<String, Keypair>,
}

/// Ids are drawn or fixed, never made of foreign text.
macro_rules! fixed {
    ($($name:ident: $kind:ident = $text:literal;)*) => {$(
        pub fn $name(side: Side) -> $kind {
            id(&format!(concat!($text, "-{}"), NAMES[side]))
        }
    )*};
}

/// An id of the right shape; anything else would be a mistake of this crate.
pub fn id<T: TryFrom<String>>(text: &str) -> T {
    match T::try_from(text.to_owned()) {
        Ok(id) => id,
        Err(_) => unreachable!("'{text}' is an id"),
    }
}

fixed! {
    tenant: ProjectId = "tenant";
    service: ProjectId = "service";
    tenant_user: UserId = "tenant-user";
    service_user: UserId = "service-user";
    network: NetworkId = "net";
    subnet: SubnetId = "subnet";
    security_group: SecurityGroupId = "secgroup";
    flavor: FlavorId = "flavor";
    volume_type: VolumeTypeId = "type";
}

pub const POOL: &str = "host@pure#pool";
pub const VOLUME_TYPE: &str = "replicated";

impl CloudState {
    pub fn new(side: Side) -> Self {
        Self {
            side,
            servers: BTreeMap::new(),
            volumes: BTreeMap::new(),
            ports: BTreeMap::new(),
            transfers: BTreeMap::new(),
            groups: BTreeMap::new(),
            keypairs: BTreeMap::new(),
        }
    }
}

/// What Cinder's driver calls a volume that it has taken over.
pub fn managed_name(id: &VolumeId) -> String {
    format!("volume-{id}-cinder")
}

impl World {
    /// The disks' names on the array.
    fn disks(&self, side: Side, server: &ServerId) -> Vec<String> {
        let cloud = &self.clouds[side];
        let volumes = cloud
            .servers
            .get(server)
            .map_or(&[][..], |machine| &machine.volumes);
        volumes
            .iter()
            .filter_map(|volume| cloud.volumes.get(volume)?.provider_id.clone())
            .collect()
    }

    /// From now on the server writes to its disks, or no longer.
    pub fn write(&mut self, side: Side, server: &ServerId, writes: bool) {
        let now = self.now;
        for name in self.disks(side, server) {
            if let Some(volume) = self.arrays[side].volumes.get_mut(&name) {
                volume.data = volume.content(now);
                volume.writer = writes.then(|| server.clone());
            }
        }
    }

    pub(super) fn built(&mut self, side: Side, id: &ServerId, chance: &mut Chance) {
        let breaks = self.breakage > 0 && chance.in_a_million(self.breakage);
        let Some(machine) = self.clouds[side].servers.get_mut(id) else {
            return;
        };
        if machine.server.status != "BUILD" || machine.server.task_state.as_deref() == Some("deleting") {
            return;
        }
        machine.server.task_state = None;
        if breaks {
            machine.server.status = "ERROR".to_owned();
            machine.server.fault = Some("no valid host (injected)".to_owned());
            self.broken += 1;
            return;
        }
        machine.server.status = "ACTIVE".to_owned();
        let volumes = machine.volumes.clone();
        for volume in volumes {
            if let Some(volume) = self.clouds[side].volumes.get_mut(&volume) {
                volume.status = "in-use".to_owned();
                volume.attached_to = vec![id.clone()];
            }
        }
        self.write(side, id, true);
    }

    pub(super) fn rest(&mut self, side: Side, id: &ServerId, status: &str) {
        let Some(machine) = self.clouds[side].servers.get_mut(id) else {
            return;
        };
        if machine.server.task_state.as_deref() == Some("deleting") {
            return;
        }
        machine.server.status = status.to_owned();
        machine.server.task_state = None;
        self.write(side, id, status == "ACTIVE");
    }

    pub(super) fn server_gone(&mut self, side: Side, id: &ServerId) {
        self.write(side, id, false);
        let Some(machine) = self.clouds[side].servers.remove(id) else {
            return;
        };
        let cloud = &mut self.clouds[side];
        for volume in &machine.volumes {
            if let Some(volume) = cloud.volumes.get_mut(volume) {
                volume.status = "available".to_owned();
                volume.attached_to.clear();
            }
        }
        for port in &machine.ports {
            if let Some(port) = cloud.ports.get_mut(port) {
                port.device_id.clear();
                port.device_owner.clear();
            }
        }
    }

    /// The driver gives the array's volume a new name; where there is none of the old name, the row stays in error.
    pub(super) fn managed(&mut self, side: Side, id: &VolumeId, source: &str, chance: &mut Chance) {
        let breaks = self.breakage > 0 && chance.in_a_million(self.breakage);
        let array = &mut self.arrays[side];
        let Some(volume) = self.clouds[side].volumes.get_mut(id) else {
            return;
        };
        let there = array.volumes.get(source).is_some_and(|volume| !volume.destroyed);
        if !there || breaks {
            volume.status = "error".to_owned();
            self.broken += u64::from(breaks);
            return;
        }
        let name = managed_name(id);
        if let Some(found) = array.volumes.remove(source) {
            array.volumes.insert(name.clone(), found);
        }
        volume.provider_id = Some(name);
        volume.status = "available".to_owned();
    }

    pub(super) fn unmanaged(&mut self, side: Side, id: &VolumeId) {
        let row = self.clouds[side].volumes.remove(id);
        let array = &mut self.arrays[side];
        if let Some(name) = row.and_then(|row| row.provider_id)
            && let Some(found) = array.volumes.remove(&name)
        {
            array.volumes.insert(format!("{name}-unmanaged"), found);
        }
    }
}
