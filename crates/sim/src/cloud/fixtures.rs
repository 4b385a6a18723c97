//! Workloads for a simulated cloud, and what their guests see.

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::ask::Ask;
use super::door::dispatch;
use super::fault::{Fault, Service};
use super::policy::Caller;
use super::site::Cloud;
use super::world::{Job, World};
use super::{compute, volume};

/// Why a fixture can't be made or looked at.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FixtureError(String);

impl From<Fault> for FixtureError {
    fn from(fault: Fault) -> Self {
        Self(fault.message)
    }
}

/// Where a disk of a server really is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskPlace {
    /// The device in the guest.
    pub device: String,
    /// Cinder's id.
    pub volume_id: String,
    /// The array.
    pub array: String,
    /// The volume's name there.
    pub array_volume: String,
}

/// A caller with the roles of that user in his project.
pub(super) fn member(world: &World, name: &str) -> Option<Caller> {
    let user = world.identity.users.find(name)?["id"].as_str()?;
    let held = world.identity.assignments.iter().find(|held| held.user == user)?;
    let roles = world.identity.roles_of(user, &held.project);
    let names = roles
        .iter()
        .filter_map(|id| world.identity.roles.get(id)?["name"].as_str());
    let roles: Vec<String> = names.map(str::to_owned).collect();
    Some(Caller {
        user_id: user.to_owned(),
        project_id: Some(held.project.clone()),
        admin: roles.iter().any(|role| role == "admin"),
        roles,
        delegated: false,
    })
}

impl World {
    /// Call a service from inside, as the newest client would.
    pub(super) fn internal(
        &mut self,
        caller: &Caller,
        service: Service,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<Value, Fault> {
        let ask = Ask {
            method: method.to_owned(),
            path: path.split('/').map(str::to_owned).collect(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body,
            base: String::new(),
            minor: if service == Service::Compute {
                compute::NEWEST
            } else {
                volume::NEWEST
            },
            caller: caller.clone(),
        };
        Ok(dispatch(self, service, &ask)?.body.unwrap_or_default())
    }

    /// Finish what is under way for one object.
    fn finish(&mut self, id: &str) {
        let mut mine = Vec::new();
        self.jobs.retain(|(_, job)| {
            let own = match job {
                Job::Server(of, _) | Job::Volume(of, _) | Job::Group(of, _) => of == id,
            };
            if own {
                mine.push(job.clone());
            }
            !own
        });
        for job in mine {
            match job {
                Job::Server(id, work) => compute::work(self, &id, work),
                Job::Volume(id, work) => volume::work(self, &id, work),
                Job::Group(id, work) => volume::group_work(self, &id, work),
            }
        }
    }
}

impl Cloud {
    /// Boot a server of the tenant `demo` at once, with that many disks of the replicated type, one NIC on
    /// `demo-net`, a keypair, user data and tags. Gives its id.
    pub fn boot(&self, name: &str, disks: usize) -> Result<String, FixtureError> {
        self.boot_as(name, disks, "demo", "replicated-ssd")
    }

    /// As [`Cloud::boot`], for who plays that part or has that name, and with another volume type.
    pub fn boot_as(&self, name: &str, disks: usize, user: &str, kind: &str) -> Result<String, FixtureError> {
        let account = self.spec().account(user);
        let tenant = account.is_some_and(|account| account.part == "demo");
        let user = account.map_or(user, |account| &account.user);
        let mut world = self.world();
        let caller = member(&world, user).ok_or_else(|| FixtureError(format!("There is no user {user}.")))?;
        let mut mappings = Vec::new();
        for disk in 0..disks.max(1) {
            let body =
                json!({"volume": {"name": format!("{name}-{disk}"), "size": 1 + disk, "volume_type": kind}});
            let made = world.internal(&caller, Service::Volume, "POST", "volumes", body)?;
            let id = made["volume"]["id"].as_str().unwrap_or_default().to_owned();
            world.finish(&id);
            if disk == 0 {
                let bootable = json!({"os-set_bootable": {"bootable": true}});
                world.internal(
                    &caller,
                    Service::Volume,
                    "POST",
                    &format!("volumes/{id}/action"),
                    bootable,
                )?;
                let hints = json!({"os-set_image_metadata": {"metadata": {"hw_disk_bus": "virtio", "os_type": "linux"}}});
                world.internal(
                    &caller,
                    Service::Volume,
                    "POST",
                    &format!("volumes/{id}/action"),
                    hints,
                )?;
            }
            mappings.push(json!({
                "uuid": id, "source_type": "volume", "destination_type": "volume", "delete_on_termination": false,
                "boot_index": if disk == 0 { 0 } else { -1 }
            }));
        }
        let own = caller.project_id.clone().unwrap_or_default();
        let network = world
            .network
            .networks
            .iter()
            .find(|network| network["project_id"] == own.as_str());
        let network = network.or_else(|| world.network.networks.find("shared-net"));
        let network = network.map(|network| network["id"].clone()).unwrap_or_default();
        let groups = world.network.security_groups.iter();
        let groups: Vec<Value> = groups
            .filter(|group| group["project_id"] == own.as_str() && group["name"] == "web")
            .map(|group| group["id"].clone())
            .collect();
        let mut port = json!({"port": {"network_id": network, "name": format!("{name}-port")}});
        if !groups.is_empty() {
            port["port"]["security_groups"] = json!(groups);
        }
        let port = world.internal(&caller, Service::Network, "POST", "ports", port)?;
        let flavor = world
            .compute
            .flavors
            .find("m1.small")
            .map(|flavor| flavor["id"].clone())
            .unwrap_or_default();
        let mut server = json!({
            "name": name, "flavorRef": flavor, "imageRef": "", "networks": [{"port": port["port"]["id"]}],
            "block_device_mapping_v2": mappings, "config_drive": true, "user_data": "I2Nsb3VkLWNvbmZpZwo=",
            "metadata": {"app": name}, "tags": ["demo"], "description": format!("Demo server {name}")
        });
        if tenant {
            server["key_name"] = json!("demo-key");
        }
        let made = world.internal(
            &caller,
            Service::Compute,
            "POST",
            "servers",
            json!({"server": server}),
        )?;
        let id = made["server"]["id"].as_str().unwrap_or_default().to_owned();
        world.finish(&id);
        Ok(id)
    }

    /// Where the disks of a server (by id or name) are, in the order of their devices.
    pub fn disks(&self, server: &str) -> Result<Vec<DiskPlace>, FixtureError> {
        let world = self.world();
        let found = world
            .compute
            .servers
            .iter()
            .find(|found| found.id == server || found.name == server)
            .ok_or_else(|| FixtureError(format!("There is no server {server}.")))?;
        let places = found.disks.iter().filter_map(|disk| {
            let volume = world.volume.volumes.get(&disk.volume_id)?;
            Some(DiskPlace {
                device: disk.device.clone(),
                volume_id: disk.volume_id.clone(),
                array: world.backend.array().to_owned(),
                array_volume: volume.provider_id.clone()?,
            })
        });
        Ok(places.collect())
    }

    fn disk(&self, server: &str, device: &str) -> Result<DiskPlace, FixtureError> {
        let mut places = self.disks(server)?.into_iter();
        let found =
            places.find(|place| place.device == device || place.device.ends_with(&format!("/{device}")));
        found.ok_or_else(|| FixtureError(format!("The server {server} has no disk {device}.")))
    }

    /// Write to a disk as the guest would.
    pub fn write(&self, server: &str, device: &str, marker: &str) -> Result<u64, FixtureError> {
        let place = self.disk(server, device)?;
        self.inner
            .fabric
            .write(&place.array, &place.array_volume, marker)
            .map_err(|error| FixtureError(error.to_string()))
    }

    /// What the guest reads from a disk.
    pub fn read(&self, server: &str, device: &str) -> Result<Vec<String>, FixtureError> {
        let place = self.disk(server, device)?;
        self.inner
            .fabric
            .markers(&place.array, &place.array_volume)
            .map_err(|error| FixtureError(error.to_string()))
    }
}
