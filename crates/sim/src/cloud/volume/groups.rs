//! Generic volume groups.

use serde::Serialize;
use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply, maybe};
use super::super::fault::Fault;
use super::super::table::Record;
use super::super::world::{Job, World, uuid};
use super::{GroupWork, quotas, volumes};

/// A group of volumes.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) struct Group {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub project_id: String,
    pub status: String,
    pub group_type: String,
    pub volume_types: Vec<String>,
    pub availability_zone: String,
    pub created_at: String,
    /// Snapshots of it are of one moment: it is a protection group on the array.
    pub consistent: bool,
    pub replicated: bool,
}

impl Record for Group {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Group {
    pub fn array_name(&self) -> String {
        format!("consisgroup-{}-cinder", self.id)
    }

    fn view(&self, world: &World, ask: &Ask) -> Value {
        let mut shown = json!({
            "id": self.id, "name": self.name, "description": self.description, "status": self.status,
            "availability_zone": self.availability_zone, "created_at": self.created_at,
            "group_type": self.group_type, "volume_types": self.volume_types, "group_snapshot_id": null,
            "source_group_id": null
        });
        if ask.minor >= 25 && ask.wants("list_volume") {
            let members = world.volume.volumes.iter();
            let members = members.filter(|volume| volume.group_id.as_deref() == Some(&self.id));
            shown["volumes"] = members.map(|volume| json!(volume.id)).collect();
        }
        if ask.minor >= 38 {
            shown["replication_status"] = json!(if self.replicated { "enabled" } else { "disabled" });
        }
        if ask.minor >= 58 && ask.caller.admin {
            shown["project_id"] = json!(self.project_id);
        }
        shown
    }
}

fn not_found(id: &str) -> Fault {
    Fault::missing(format!("Group {id} could not be found."))
}

fn find<'a>(world: &'a mut World, ask: &Ask, id: &str) -> Result<&'a mut Group, Fault> {
    world
        .volume
        .groups
        .get_mut(id)
        .filter(|group| ask.reaches(&group.project_id))
        .ok_or_else(|| not_found(id))
}

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    if ask.minor < 13 {
        return Err(Fault::missing("The resource could not be found."));
    }
    match (ask.method.as_str(), rest) {
        ("GET", [] | ["detail"]) => {
            let found = world.volume.groups.newest().filter(|group| {
                ask.sees(&group.project_id) && ask.query("name").is_none_or(|name| name == group.name)
            });
            let found = found.map(|group| match rest {
                [] => json!({"id": group.id, "name": group.name}),
                _ => group.view(world, ask),
            });
            ask.page("groups", found.collect())
        }
        ("POST", []) => create(world, ask),
        ("GET", [id]) => {
            let group = find(world, ask, id)?.clone();
            Ok(Answer::ok(json!({"group": group.view(world, ask)})))
        }
        ("PUT", [id]) => update(world, ask, id),
        ("POST", [id, "action"]) => act(world, ask, id),
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}

fn create(world: &mut World, ask: &Ask) -> Reply {
    world.policies.member(&ask.caller, "group:create")?;
    let wanted = ask.object("group")?;
    let kind =
        maybe(wanted, "group_type").ok_or_else(|| Fault::bad("'group_type' is a required property"))?;
    let group_type = world
        .volume
        .group_types
        .find(&kind)
        .cloned()
        .ok_or_else(|| Fault::missing(format!("Group type {kind} could not be found.")))?;
    if group_type["name"] == "default_cgsnapshot_type" {
        return Err(Fault::bad(
            "Group_type default_cgsnapshot_type is reserved for migrating consistency groups and it cannot be used to create group.",
        ));
    }
    let mut volume_types = Vec::new();
    for name in wanted
        .get("volume_types")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let kind = volumes::wanted_type(world, ask, name.as_str())?;
        volume_types.push(kind["id"].as_str().unwrap_or_default().to_owned());
    }
    if volume_types.is_empty() {
        return Err(Fault::bad("volume_types must be provided to create group"));
    }
    quotas::check_groups(world, ask.project())?;
    let spec = |key: &str| {
        group_type["group_specs"][key]
            .as_str()
            .is_some_and(|text| text.contains("True"))
    };
    let consistent = spec("consistent_group_snapshot_enabled");
    let replicated = consistent && spec("consistent_group_replication_enabled");
    let group = Group {
        id: uuid(),
        name: maybe(wanted, "name").unwrap_or_default(),
        description: maybe(wanted, "description"),
        project_id: ask.project().to_owned(),
        status: "creating".to_owned(),
        group_type: group_type["id"].as_str().unwrap_or_default().to_owned(),
        volume_types,
        availability_zone: maybe(wanted, "availability_zone").unwrap_or_else(|| "nova".to_owned()),
        created_at: world.stamp_micros(),
        consistent,
        replicated,
    };
    let answer = json!({"group": {"id": group.id, "name": group.name}});
    world.later(
        world.delays.group,
        Job::Group(group.id.clone(), GroupWork::Create),
    );
    world.volume.groups.add(group);
    Ok(Answer::json(202, answer))
}

fn update(world: &mut World, ask: &Ask, id: &str) -> Reply {
    world.policies.member(&ask.caller, "group:update")?;
    let wanted = ask.object("group")?;
    let group = find(world, ask, id)?.clone();
    let ids = |key: &str| -> Vec<String> {
        let text = maybe(wanted, key).unwrap_or_default();
        text.split(',')
            .filter(|id| !id.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (add, remove) = (ids("add_volumes"), ids("remove_volumes"));
    let (name, description) = (maybe(wanted, "name"), maybe(wanted, "description"));
    if add.is_empty() && remove.is_empty() && name.is_none() && description.is_none() {
        return Err(Fault::bad(
            "Name, description, add_volumes, and remove_volumes can not be all empty in the request body.",
        ));
    }
    if group.status != "available" {
        return Err(Fault::bad(format!(
            "Invalid Group: Group status must be available, but current status is: {}.",
            group.status
        )));
    }
    for volume_id in &add {
        let invalid = |reason: &str| {
            Fault::bad(format!(
                "Invalid volume: Cannot add volume {volume_id} to group {id} because {reason}"
            ))
        };
        let volume = world
            .volume
            .volumes
            .get(volume_id)
            .ok_or_else(|| invalid("volume cannot be found."))?;
        if volume.project_id != group.project_id {
            return Err(invalid("volume cannot be found."));
        }
        if volume.group_id.is_some() {
            return Err(invalid(&format!(
                "it is already in group {}",
                volume.group_id.clone().unwrap_or_default()
            )));
        }
        if !group.volume_types.contains(&volume.type_id) {
            return Err(invalid(&format!(
                "volume type {} is not supported by the group.",
                volume.type_id
            )));
        }
        if !["available", "in-use"].contains(&volume.status.as_str()) {
            return Err(invalid(&format!(
                "volume is in an invalid state: {}. Valid states are: ('available', 'in-use').",
                volume.status
            )));
        }
    }
    for volume_id in &remove {
        let member = world
            .volume
            .volumes
            .get(volume_id)
            .is_some_and(|volume| volume.group_id.as_deref() == Some(id));
        if !member {
            return Err(Fault::bad(format!(
                "Invalid volume: Cannot remove volume {volume_id} from group {id} because it is not in the group."
            )));
        }
    }
    let moves = !(add.is_empty() && remove.is_empty());
    let group = find(world, ask, id)?;
    if let Some(name) = name {
        group.name = name;
    }
    if description.is_some() {
        group.description = description;
    }
    if moves {
        group.status = "updating".to_owned();
        world.later(
            world.delays.group,
            Job::Group(id.to_owned(), GroupWork::Update { add, remove }),
        );
    }
    Ok(Answer::empty(202))
}

fn act(world: &mut World, ask: &Ask, id: &str) -> Reply {
    let group = find(world, ask, id)?.clone();
    if let Some(input) = ask.body.get("delete") {
        world.policies.member(&ask.caller, "group:delete")?;
        let with_volumes = super::super::ask::truth(&input["delete-volumes"]).unwrap_or_default();
        let members = world
            .volume
            .volumes
            .iter()
            .any(|volume| volume.group_id.as_deref() == Some(id));
        if members && !with_volumes {
            return Err(Fault::bad(format!(
                "Invalid Group: Group {id} is not empty. delete-volumes flag needs to be set to delete it."
            )));
        }
        if !["available", "error"].contains(&group.status.as_str()) {
            return Err(Fault::bad(format!(
                "Invalid Group: Group status must be available or error, but current status is: {}",
                group.status
            )));
        }
        find(world, ask, id)?.status = "deleting".to_owned();
        world.later(
            world.delays.group,
            Job::Group(id.to_owned(), GroupWork::Delete { with_volumes }),
        );
        return Ok(Answer::empty(202));
    }
    if let Some(status) = ask.body["reset_status"]["status"].as_str() {
        world.policies.admin(&ask.caller, "group:reset_status")?;
        find(world, ask, id)?.status = status.to_owned();
        return Ok(Answer::empty(202));
    }
    Err(Fault::bad("There is no such action"))
}
