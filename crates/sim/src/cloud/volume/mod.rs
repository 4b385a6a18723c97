//! Cinder v3 with one back end: volumes that live on an array.

mod actions;
mod group_types;
mod groups;
mod lifecycle;
mod manage;
mod quotas;
mod services;
mod snapshots;
mod transfers;
mod types;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ask::{Answer, Ask, Reply};
use super::fault::Fault;
use super::table::{Record, Table};
use super::world::{World, uuid};

pub(super) use groups::Group;
pub(super) use lifecycle::{GroupWork, Work, attach, detach, group_work, reserve, unreserve, work};
pub(super) use volumes::build;

/// The newest microversion, that of 2025.1.
pub(super) const NEWEST: u32 = 71;
/// The protection group that the driver keeps volumes of replicated types in.
pub(super) const REPLICATION_GROUP: &str = "cinder-group";

/// The volume service's state.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Volumes {
    pub volumes: Table<Volume>,
    pub types: Table<Value>,
    /// Projects that see a private type.
    pub type_access: BTreeMap<String, BTreeSet<String>>,
    pub groups: Table<Group>,
    pub group_types: Table<Value>,
    pub group_snapshots: Table<Value>,
    pub snapshots: Table<Value>,
    pub transfers: Table<Value>,
    #[serde(skip)]
    pub auth_keys: BTreeMap<String, String>,
    pub messages: Table<Value>,
    /// Limits by name, for all projects; what isn't here has the usual one.
    pub quotas: BTreeMap<String, i64>,
    /// Limits of one project.
    pub project_quotas: BTreeMap<String, BTreeMap<String, i64>>,
    /// `ctl@backend`.
    pub host: String,
    /// What types name as `volume_backend_name`.
    pub backend_name: String,
    pub service_down: bool,
    /// A driver that manages no volume any more, and what it says.
    pub manage_fails: Option<String>,
}

/// A volume.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Volume {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub project_id: String,
    pub user_id: String,
    pub size: u64,
    pub status: String,
    pub availability_zone: String,
    pub bootable: bool,
    pub type_id: String,
    pub metadata: Map<String, Value>,
    pub image_metadata: Map<String, Value>,
    pub attachments: Vec<Attachment>,
    pub multiattach: bool,
    pub encrypted: bool,
    pub group_id: Option<String>,
    pub snapshot_id: Option<String>,
    pub source_volid: Option<String>,
    /// The volume's name on the array; none as long as there is none.
    pub provider_id: Option<String>,
    /// The driver was to take it over and could not.
    pub never_taken_over: bool,
    pub replication_status: Option<String>,
    /// When it was made, counted in milliseconds since 1970, and as text.
    pub created_at: String,
    pub updated_at: String,
}

/// A server's hold on a volume.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Attachment {
    pub id: String,
    pub server_id: String,
    pub device: String,
    pub host: String,
    pub attached_at: String,
    pub attached: bool,
}

impl Record for Volume {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Volumes {
    /// A type by id or name.
    pub fn type_named(&self, wanted: &str) -> Option<&Value> {
        self.types.find(wanted)
    }

    pub fn sees_type(&self, ask: &Ask, kind: &Value) -> bool {
        let id = kind["id"].as_str().unwrap_or_default();
        kind["is_public"] != false
            || ask.caller.admin
            || self
                .type_access
                .get(id)
                .is_some_and(|projects| projects.contains(ask.project()))
    }

    /// Whether a type's volumes are replicated, and in that way.
    pub fn is_async(&self, type_id: &str) -> bool {
        let specs = self
            .types
            .get(type_id)
            .map_or(&Value::Null, |kind| &kind["extra_specs"]);
        let word = |key: &str| specs[key].as_str().unwrap_or_default().to_lowercase();
        word("replication_enabled").contains("true")
            && (word("replication_type").is_empty() || word("replication_type").contains("async"))
    }

    /// `ctl@backend#pool`.
    pub fn pool(&self) -> String {
        format!("{}#{}", self.host, self.backend_name)
    }
}

/// The name that the driver gives a volume on the array.
pub(super) fn array_name(id: &str) -> String {
    format!("volume-{id}-cinder")
}

pub(super) fn versions(base: &str) -> Value {
    json!({"versions": [{
        "id": "v3.0", "status": "CURRENT", "version": format!("3.{NEWEST}"), "min_version": "3.0",
        "updated": "2023-08-31T00:00:00Z", "links": [{"rel": "self", "href": format!("{base}/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}]
    }]})
}

pub(super) fn not_found(id: &str) -> Fault {
    Fault::missing(format!("Volume {id} could not be found."))
}

pub(super) fn route(world: &mut World, ask: &Ask) -> Reply {
    let path = ask.segments();
    match (ask.method.as_str(), path.as_slice()) {
        (_, ["volumes", id, "action"]) if ask.method == "POST" => actions::act(world, ask, id),
        (_, ["volumes", rest @ ..]) => volumes::route(world, ask, rest),
        ("POST", ["manageable_volumes"]) => {
            if ask.minor < 8 {
                return Err(Fault::missing("The resource could not be found."));
            }
            manage::manage(world, ask)
        }
        ("POST", ["os-volume-manage"]) => manage::manage(world, ask),
        (_, ["volume-transfers" | "os-volume-transfer", rest @ ..]) => transfers::route(world, ask, rest),
        (_, ["types", rest @ ..]) => types::route(world, ask, rest),
        (_, ["groups", rest @ ..]) => groups::route(world, ask, rest),
        (_, ["group_types", rest @ ..]) => group_types::route(world, ask, rest),
        (_, ["snapshots", rest @ ..]) => snapshots::route(world, ask, rest),
        (_, ["group_snapshots", rest @ ..]) => snapshots::group_route(world, ask, rest),
        ("GET", ["messages", rest @ ..]) => messages(world, ask, rest),
        ("GET", ["attachments", rest @ ..]) => attachments(world, ask, rest),
        (_, ["os-quota-sets", project, ..]) => quotas::quota_sets(world, ask, project),
        ("GET", ["limits"]) => Ok(Answer::ok(quotas::limits(world, ask.project()))),
        ("GET", ["os-services"]) => services::services(world, ask),
        ("GET", ["scheduler-stats", "get_pools"]) => services::pools(world, ask),
        ("GET", ["os-availability-zone"]) => Ok(Answer::ok(json!({"availabilityZoneInfo": [
            {"zoneName": "nova", "zoneState": {"available": true}}
        ]}))),
        ("GET", ["extensions"]) => Ok(Answer::ok(json!({"extensions": []}))),
        ("GET", ["qos-specs"]) => Ok(Answer::ok(json!({"qos_specs": []}))),
        ("GET", ["backups", ..]) => Ok(Answer::ok(json!({"backups": []}))),
        ("GET", ["resource_filters"]) => Ok(Answer::ok(json!({"resource_filters": []}))),
        _ => Err(Fault::no_route()),
    }
}

/// What users are told of asynchronous failures.
pub(super) fn tell(world: &mut World, project: &str, volume: &str, event: &str, detail: &str) {
    let stamp = world.stamp_micros();
    world.volume.messages.add(json!({
        "id": uuid(), "project_id": project, "resource_type": "VOLUME", "resource_uuid": volume, "event_id": event,
        "message_level": "ERROR", "user_message": detail, "created_at": stamp, "guaranteed_until": stamp, "links": []
    }));
}

fn messages(world: &World, ask: &Ask, rest: &[&str]) -> Reply {
    let mine = |message: &&Value| {
        message["project_id"]
            .as_str()
            .is_some_and(|owner| ask.reaches(owner))
    };
    match rest {
        [] => {
            let wanted = ask.query("resource_uuid");
            let found = world
                .volume
                .messages
                .newest()
                .filter(mine)
                .filter(|message| wanted.is_none_or(|wanted| message["resource_uuid"] == wanted));
            ask.page("messages", found.cloned().collect())
        }
        [id, ..] => {
            let found = world.volume.messages.get(id).filter(mine);
            let found = found.ok_or_else(|| Fault::missing(format!("Message {id} could not be found.")))?;
            Ok(Answer::ok(json!({"message": found})))
        }
    }
}

fn attachments(world: &World, ask: &Ask, rest: &[&str]) -> Reply {
    let mut found = Vec::new();
    for volume in world.volume.volumes.iter() {
        if !(ask.sees(&volume.project_id) || rest.len() == 1 && ask.reaches(&volume.project_id)) {
            continue;
        }
        for held in &volume.attachments {
            let wanted = |key: &str, value: &str| ask.query(key).is_none_or(|wanted| wanted == value);
            if wanted("volume_id", &volume.id) && wanted("instance_id", &held.server_id) {
                found.push(json!({
                    "id": held.id, "volume_id": volume.id, "instance": held.server_id, "attach_mode": "rw",
                    "status": if held.attached { "attached" } else { "reserved" }, "attached_at": held.attached_at,
                    "detached_at": "", "connection_info": {}
                }));
            }
        }
    }
    match rest {
        [id] if *id != "summary" && *id != "detail" => found
            .into_iter()
            .find(|held| held["id"] == *id)
            .map(|held| Answer::ok(json!({"attachment": held})))
            .ok_or_else(|| {
                Fault::missing(format!(
                    "Volume attachment could not be found with filter: attachment_id = {id}."
                ))
            }),
        _ => ask.page("attachments", found),
    }
}
