//! What the clouds do when they are asked to: what they refuse, what they begin, and when it is done.

use std::collections::BTreeMap;

use protector_domain::{PortId, ProjectId, ServerId, VolumeGroupId, VolumeId};
use protector_ports::cloud::*;
use protector_ports::{Kind, PortResult};

use super::{conflict, not_found};
use crate::planted::Bug;
use crate::sim::{Sim, attempt};
use crate::weather::Place;
use crate::world::cloud::{self as ids, CloudState, Machine, id};
use crate::world::{Change, Side, side_of};

const BOUND: &str = "compute:nova";

pub(super) fn side(access: &Access) -> Side {
    side_of(access.site)
}

pub(super) fn place(access: &Access) -> Place {
    Place::Cloud(side(access))
}

pub(super) fn is_service(access: &Access) -> bool {
    matches!(access.actor, Actor::Service(_))
}

pub(super) fn project(access: &Access) -> ProjectId {
    match access.actor {
        Actor::Service(_) => ids::service(side(access)),
        _ => ids::tenant(side(access)),
    }
}

/// Whether the caller sees what belongs to this project.
pub(super) fn sees(access: &Access, owner: Option<&ProjectId>) -> bool {
    is_service(access) || owner.is_none_or(|owner| *owner == project(access))
}

pub(super) fn new_id<T: TryFrom<String>>(sim: &mut Sim) -> T {
    id(&sim.chance.uuid().to_string())
}

impl Sim {
    pub(super) fn cloud(&mut self, access: &Access) -> &mut CloudState {
        &mut self.world.clouds[side(access)]
    }

    pub(super) fn machine(&mut self, access: &Access, id: &ServerId) -> PortResult<&mut Machine> {
        let site = &access.site_name;
        let text = format!("server {id} at {site}");
        match self.world.clouds[side(access)].servers.get_mut(id) {
            Some(found) if sees(access, Some(&found.server.project_id)) => Ok(found),
            _ => not_found(&text),
        }
    }

    pub(super) fn cinder_volume(&mut self, access: &Access, id: &VolumeId) -> PortResult<&mut Volume> {
        let text = format!("volume {id} at {}", access.site_name);
        match self.world.clouds[side(access)].volumes.get_mut(id) {
            Some(found) if sees(access, found.project_id.as_ref()) => Ok(found),
            _ => not_found(&text),
        }
    }

    pub(super) fn create(&mut self, access: &Access, new: &NewServer) -> PortResult<ServerId> {
        let (at, owner) = (side(access), project(access));
        for volume in &new.volumes {
            let found = self.cinder_volume(access, volume)?;
            if found.status != "available" || found.project_id.as_ref() != Some(&owner) {
                let status = found.status.clone();
                return conflict(format!("Volume {volume} is {status} and can't be attached."));
            }
        }
        for port in &new.ports {
            match self.cloud(access).ports.get(port) {
                Some(found) if found.device_id.is_empty() => {}
                Some(_) => return conflict(format!("Port {port} is still in use.")),
                None => return not_found(&format!("port {port}")),
            }
        }
        let id: ServerId = new_id(self);
        let server = Server {
            id: id.clone(),
            name: new.name.clone(),
            status: "BUILD".to_owned(),
            task_state: Some("spawning".to_owned()),
            project_id: owner,
            user_id: Some(ids::tenant_user(at).to_string()),
            description: new.description.clone(),
            metadata: new.metadata.clone(),
            tags: new.tags.clone(),
            flavor: flavor(),
            boots_from_volume: true,
            key_name: new.key_name.clone(),
            config_drive: new.config_drive,
            availability_zone: new.availability_zone.clone(),
            locked: false,
            fault: None,
            user_data: new.user_data.clone(),
            root_device_name: Some("/dev/vda".to_owned()),
            volumes: new.volumes.clone(),
            macs: Vec::new(),
        };
        let cloud = self.cloud(access);
        for volume in &new.volumes {
            if let Some(volume) = cloud.volumes.get_mut(volume) {
                volume.status = "reserved".to_owned();
            }
        }
        for port in &new.ports {
            if let Some(port) = cloud.ports.get_mut(port) {
                port.device_id = id.to_string();
                port.device_owner = BOUND.to_owned();
            }
        }
        let machine = Machine {
            server,
            ports: new.ports.clone(),
            volumes: new.volumes.clone(),
        };
        cloud.servers.insert(id.clone(), machine);
        self.books.made(id.as_str());
        let about = self.world.pace.build;
        self.world
            .later(&mut self.chance, about, Change::Built(at, id.clone()));
        Ok(id)
    }

    /// A stop or a start, which is refused in any other status.
    pub(super) fn act_towards(
        &mut self,
        access: &Access,
        id: &ServerId,
        from: &str,
        to: &str,
        task: &str,
        change: Change,
    ) -> PortResult<()> {
        let machine = self.machine(access, id)?;
        let (status, doing) = (machine.server.status.clone(), machine.server.task_state.clone());
        if status == to || doing.as_deref() == Some(task) {
            return Ok(());
        }
        if status != from || doing.is_some() {
            return conflict(format!("Server {id} is {status} ({doing:?}).",));
        }
        machine.server.task_state = Some(task.to_owned());
        self.books.touched(id.as_str());
        let about = self.world.pace.stop;
        self.world.later(&mut self.chance, about, change);
        Ok(())
    }

    pub(super) fn manage(&mut self, access: &Access, new: &ManageVolume) -> PortResult<VolumeId> {
        let at = side(access);
        let id: VolumeId = new_id(self);
        let row = Volume {
            id: id.clone(),
            name: new.name.clone(),
            description: Some(new.description.clone()),
            status: "managing".to_owned(),
            size_gb: 1,
            volume_type: Some(new.volume_type.clone()),
            bootable: new.bootable,
            encrypted: false,
            multiattach: false,
            availability_zone: None,
            metadata: BTreeMap::new(),
            image_metadata: BTreeMap::new(),
            group_id: None,
            attached_to: Vec::new(),
            project_id: Some(project(access)),
            host: Some(new.host.clone()),
            provider_id: None,
        };
        self.cloud(access).volumes.insert(id.clone(), row);
        self.books.made(id.as_str());
        let about = self.world.pace.manage;
        let change = Change::Managed(at, id.clone(), new.source_name.clone());
        self.world.later(&mut self.chance, about, change);
        Ok(id)
    }

    /// Out of Cinder, with its data or without.
    pub(super) fn take_out(&mut self, access: &Access, id: &VolumeId, keeps: bool) -> PortResult<()> {
        let at = side(access);
        let volume = match self.cinder_volume(access, id) {
            Ok(volume) => volume,
            Err(error) if error.is(Kind::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        };
        if !matches!(volume.status.as_str(), "available" | "error") || volume.group_id.is_some() {
            let text = format!(
                "Volume {id} is {}{}.",
                volume.status,
                if volume.group_id.is_some() {
                    " and in a group"
                } else {
                    ""
                }
            );
            return conflict(text);
        }
        volume.status = if keeps { "unmanaging" } else { "deleting" }.to_owned();
        self.books.touched(id.as_str());
        let about = self.world.pace.manage;
        let change = match keeps {
            true => Change::Unmanaged(at, id.clone()),
            false => Change::VolumeDeleted(at, id.clone()),
        };
        self.world.later(&mut self.chance, about, change);
        Ok(())
    }

    pub(super) fn change_group(
        &mut self,
        access: &Access,
        id: &VolumeGroupId,
        add: &[VolumeId],
        remove: &[VolumeId],
    ) -> PortResult<()> {
        let at = side(access);
        let cloud = &mut self.world.clouds[at];
        let Some(group) = cloud.groups.get_mut(id) else {
            return not_found(&format!("volume group {id}"));
        };
        if group.status != "available" {
            return conflict(format!("Volume group {id} is {}.", group.status));
        }
        for volume in add {
            match cloud.volumes.get(volume) {
                Some(found) if found.project_id != group.project_id => {
                    return not_found(&format!("volume {volume} in the group's project"));
                }
                Some(found) if found.group_id.as_ref().is_some_and(|other| other != id) => {
                    return conflict(format!("Volume {volume} is in another group."));
                }
                Some(found) if matches!(found.status.as_str(), "available" | "in-use") => {}
                Some(found) => return conflict(format!("Volume {volume} is {}.", found.status)),
                None => return not_found(&format!("volume {volume}")),
            }
        }
        for volume in add {
            if !group.volumes.contains(volume) {
                group.volumes.push(volume.clone());
            }
            if let Some(found) = cloud.volumes.get_mut(volume) {
                found.group_id = Some(id.clone());
            }
        }
        group.volumes.retain(|volume| !remove.contains(volume));
        for volume in remove {
            if let Some(found) = cloud.volumes.get_mut(volume) {
                found.group_id = None;
            }
        }
        group.status = "updating".to_owned();
        let about = self.world.pace.group;
        self.world
            .later(&mut self.chance, about, Change::GroupReady(at, id.clone()));
        Ok(())
    }

    pub(super) fn new_port(&mut self, access: &Access, new: &NewPort) -> PortResult<Port> {
        let at = side(access);
        let network = new.network_id.clone().unwrap_or_else(|| ids::network(at));
        let there = self.world.clouds[at].ports.values();
        let mut others = there.filter(|port| port.network_id == network);
        let taken = others.find(|port| {
            let same_mac = Some(&port.mac_address) == new.mac_address.as_ref();
            let address = |ip: &String| port.fixed_ips.iter().any(|have| have.ip_address == *ip);
            same_mac
                || new
                    .fixed_ips
                    .iter()
                    .any(|(_, ip)| ip.as_ref().is_some_and(address))
        });
        if let Some(port) = taken {
            return conflict(format!("The address is taken by port {}.", port.id));
        }
        let id: PortId = new_id(self);
        let port = Port {
            id: id.clone(),
            name: new.name.clone(),
            description: new.description.clone(),
            network_id: network,
            mac_address: new.mac_address.clone().unwrap_or_default(),
            fixed_ips: new
                .fixed_ips
                .iter()
                .map(|(subnet, ip)| FixedIp {
                    subnet_id: subnet.clone(),
                    ip_address: ip.clone().unwrap_or_default(),
                })
                .collect(),
            security_groups: new.security_groups.clone().unwrap_or_default(),
            allowed_address_pairs: new.allowed_address_pairs.clone(),
            port_security_enabled: new.port_security_enabled.unwrap_or(true),
            vnic_type: None,
            device_id: String::new(),
            device_owner: String::new(),
            project_id: Some(new.project_id.clone().unwrap_or_else(|| project(access))),
            status: "DOWN".to_owned(),
        };
        self.world.clouds[at].ports.insert(id.clone(), port.clone());
        self.books.made(id.as_str());
        Ok(port)
    }

    /// A find that finds nothing, in the steps that make something.
    pub(super) fn is_blind(&self, bug: Bug, step: &str) -> bool {
        let now = self.world.now;
        let looks_first = |attempt: crate::watch::Attempt| {
            // Only the first look of an attempt is for what an earlier one made.
            let early = now < attempt.began + std::time::Duration::from_secs(1);
            early && attempt.step.starts_with(step) && !attempt.undo
        };
        self.is(bug) && attempt().is_some_and(looks_first)
    }
}

pub fn flavor() -> ServerFlavor {
    ServerFlavor {
        original_name: "m1".to_owned(),
        vcpus: 1,
        ram_mb: 512,
        disk_gb: 1,
        ephemeral_gb: 0,
        swap_mb: 0,
    }
}
