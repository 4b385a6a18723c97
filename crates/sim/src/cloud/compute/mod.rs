//! Nova v2.1 with one hypervisor: servers that boot from volumes.

mod actions;
mod attachments;
mod create;
mod flavors;
mod interfaces;
mod keypairs;
mod lifecycle;
mod quotas;
mod server_groups;
mod servers;
mod services;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ask::{Answer, Ask, Reply};
use super::fault::Fault;
use super::table::{Record, Table};
use super::world::World;

pub(super) use flavors::record as flavor_record;
pub(super) use lifecycle::{Work, work};

/// The newest microversion, that of 2025.1.
pub(super) const NEWEST: u32 = 100;

/// The compute service's state.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Compute {
    pub servers: Table<Server>,
    /// Deleted ones: Nova keeps their rows, without metadata and tags, for those who ask what has changed. They are no
    /// part of the world.
    #[serde(skip)]
    pub gone: Vec<Server>,
    pub flavors: Table<Value>,
    pub keypairs: Vec<Value>,
    pub server_groups: Table<Value>,
    /// Limits by name; what isn't here has the usual one.
    pub quotas: BTreeMap<String, i64>,
    /// The hypervisor.
    pub host: String,
    pub zones: Vec<String>,
    /// Servers whose name contains one of these don't come up, and what their fault says.
    pub build_fails: Vec<(String, String)>,
}

/// A disk of a server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Disk {
    pub volume_id: String,
    pub attachment_id: String,
    pub device: String,
    pub delete_on_termination: bool,
    pub tag: Option<String>,
}

/// A network card of a server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Nic {
    pub port_id: String,
    /// Nova found it and leaves it behind; what it makes itself it takes away.
    pub preexisting: bool,
    pub tag: Option<String>,
}

/// A server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Server {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub project_id: String,
    pub user_id: String,
    pub vm_state: String,
    pub task_state: Option<String>,
    pub flavor: Value,
    pub image: Option<String>,
    pub metadata: Map<String, Value>,
    pub tags: Vec<String>,
    pub key_name: Option<String>,
    pub user_data: Option<String>,
    pub config_drive: bool,
    pub availability_zone: String,
    pub disks: Vec<Disk>,
    pub nics: Vec<Nic>,
    pub security_groups: Vec<String>,
    pub server_group: Option<String>,
    pub locked: bool,
    pub locked_reason: Option<String>,
    pub fault: Option<Value>,
    pub created: String,
    pub updated: String,
    pub launched_at: Option<String>,
    pub number: u64,
}

impl Record for Server {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Server {
    pub fn status(&self) -> &'static str {
        match (self.vm_state.as_str(), self.task_state.as_deref()) {
            ("active", Some("rebooting")) => "REBOOT",
            ("active", _) => "ACTIVE",
            ("building", _) => "BUILD",
            ("stopped", _) => "SHUTOFF",
            ("paused", _) => "PAUSED",
            ("suspended", _) => "SUSPENDED",
            ("shelved", _) => "SHELVED",
            ("shelved_offloaded", _) => "SHELVED_OFFLOADED",
            ("error", _) => "ERROR",
            ("deleted", _) => "DELETED",
            _ => "UNKNOWN",
        }
    }

    fn power_state(&self) -> u8 {
        match self.vm_state.as_str() {
            "active" => 1,
            "paused" => 3,
            "stopped" => 4,
            _ => 0,
        }
    }

    fn root_device(&self) -> Option<&str> {
        self.disks.first().map(|disk| disk.device.as_str())
    }

    /// The first free device name.
    pub fn next_device(&self) -> String {
        (b'a'..=b'z')
            .map(|letter| format!("/dev/vd{}", char::from(letter)))
            .find(|device| self.disks.iter().all(|disk| disk.device != *device))
            .unwrap_or_else(|| format!("/dev/vda{}", self.disks.len()))
    }
}

pub(super) fn versions(base: &str) -> Value {
    let version = |id: &str, status: &str, newest: &str, oldest: &str| {
        json!({
            "id": id, "status": status, "version": newest, "min_version": oldest, "updated": "2013-07-23T11:33:21Z",
            "links": [{"rel": "self", "href": format!("{base}/{}/", if id == "v2.0" { "v2" } else { id })}]
        })
    };
    json!({"versions": [
        version("v2.0", "SUPPORTED", "", ""),
        version("v2.1", "CURRENT", &format!("2.{NEWEST}"), "2.1")
    ]})
}

pub(super) fn version(base: &str) -> Value {
    json!({"version": {
        "id": "v2.1", "status": "CURRENT", "version": format!("2.{NEWEST}"), "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z", "links": [{"rel": "self", "href": format!("{base}/v2.1/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}]
    }})
}

/// A server that the caller may know of.
pub(super) fn find<'a>(world: &'a mut World, ask: &Ask, id: &str) -> Result<&'a mut Server, Fault> {
    world
        .compute
        .servers
        .get_mut(id)
        .filter(|server| ask.reaches(&server.project_id))
        .ok_or_else(|| Fault::missing(format!("Instance {id} could not be found.")))
}

pub(super) fn route(world: &mut World, ask: &Ask) -> Reply {
    let path = ask.segments();
    match (ask.method.as_str(), path.as_slice()) {
        ("POST", ["servers"]) => create::create(world, ask),
        ("POST", ["servers", id, "action"]) => actions::act(world, ask, id),
        (_, ["servers", id, "os-volume_attachments", rest @ ..]) => attachments::route(world, ask, id, rest),
        (_, ["servers", id, "os-interface", rest @ ..]) => interfaces::route(world, ask, id, rest),
        (_, ["servers", rest @ ..]) => servers::route(world, ask, rest),
        (_, ["flavors", rest @ ..]) => flavors::route(world, ask, rest),
        (_, ["os-keypairs", rest @ ..]) => keypairs::route(world, ask, rest),
        (_, ["os-server-groups", rest @ ..]) => server_groups::route(world, ask, rest),
        ("GET", ["limits"]) => Ok(Answer::ok(quotas::limits(world, ask.project()))),
        (_, ["os-quota-sets", project, rest @ ..]) => quotas::quota_sets(world, ask, project, rest),
        ("GET", ["os-availability-zone", rest @ ..]) => services::zones(world, ask, rest),
        ("GET", ["os-services"]) => services::services(world, ask),
        ("GET", ["os-hypervisors", rest @ ..]) => services::hypervisors(world, ask, rest),
        ("GET", ["os-aggregates"]) => Ok(Answer::ok(json!({"aggregates": []}))),
        ("GET", ["extensions"]) => Ok(Answer::ok(json!({"extensions": []}))),
        _ => Err(Fault::no_route()),
    }
}
