//! Creating a server.

use serde_json::{Map, Value, json};

use super::super::ask::{Answer, Ask, Reply, maybe, number, truth};
use super::super::fault::Fault;
use super::super::world::{Job, World, hex, uuid};
use super::super::{network, volume};
use super::{Disk, Nic, Server, Work, quotas, servers};

const KEYS: [&str; 22] = [
    "name",
    "flavorRef",
    "imageRef",
    "key_name",
    "config_drive",
    "user_data",
    "availability_zone",
    "description",
    "tags",
    "metadata",
    "networks",
    "block_device_mapping_v2",
    "block_device_mapping",
    "security_groups",
    "min_count",
    "max_count",
    "adminPass",
    "OS-DCF:diskConfig",
    "accessIPv4",
    "accessIPv6",
    "personality",
    "hostname",
];

/// A disk that the body asks for.
struct WantedDisk {
    volume: Option<String>,
    /// To be made: size, type, image, source volume.
    fresh: Option<Value>,
    boot_index: Option<i64>,
    delete_on_termination: bool,
    tag: Option<String>,
}

pub(super) fn create(world: &mut World, ask: &Ask) -> Reply {
    world
        .policies
        .member(&ask.caller, "os_compute_api:servers:create")?;
    let wanted = ask.object("server")?;
    if let Some(key) = wanted.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Fault::bad(format!(
            "Invalid input for field/attribute server. Additional properties are not allowed ('{key}' was unexpected)"
        )));
    }
    let required = |key: &str| {
        maybe(wanted, key).filter(|text| !text.is_empty()).ok_or_else(|| {
            Fault::bad(format!(
                "Invalid input for field/attribute server. '{key}' is a required property"
            ))
        })
    };
    let name = required("name")?;
    let flavor = flavor(world, &required("flavorRef")?)?;
    if let Some(key) = maybe(wanted, "key_name") {
        let known = world
            .compute
            .keypairs
            .iter()
            .any(|pair| pair["name"] == key.as_str() && pair["user_id"] == ask.caller.user_id.as_str());
        if !known {
            return Err(Fault::bad("Invalid key_name provided."));
        }
    }
    let zone = maybe(wanted, "availability_zone");
    if let Some(zone) = &zone
        && !world.compute.zones.contains(zone)
    {
        return Err(Fault::bad("The requested availability zone is not available"));
    }
    let metadata = wanted
        .get("metadata")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if metadata
        .iter()
        .any(|(key, value)| key.len() > 255 || value.as_str().is_none_or(|text| text.len() > 255))
    {
        return Err(Fault::bad(
            "Invalid input for field/attribute metadata. Value is too long.",
        ));
    }
    let metadata_limit = quotas::limit(world, "metadata_items");
    if metadata_limit >= 0 && i64::try_from(metadata.len()).unwrap_or(i64::MAX) > metadata_limit {
        return Err(Fault::forbidden(format!(
            "Maximum number of metadata items exceeds {metadata_limit}"
        )));
    }
    if maybe(wanted, "user_data").is_some_and(|data| data.len() > 65_535) {
        return Err(Fault::bad(
            "Invalid input for field/attribute user_data. Value is too long.",
        ));
    }
    quotas::check(world, ask.project(), &flavor)?;

    let image = maybe(wanted, "imageRef").filter(|image| !image.is_empty());
    let disks = disks(world, ask, wanted, image.as_deref())?;
    let groups = wanted_groups(world, ask, wanted)?;
    let server_group = hint(world, ask)?;
    let id = uuid();
    let nics = nics(world, ask, wanted, &id, &groups)?;

    let number = world
        .compute
        .servers
        .iter()
        .map(|server| server.number)
        .max()
        .unwrap_or(0)
        + 1;
    let mut server = Server {
        id: id.clone(),
        name,
        description: maybe(wanted, "description"),
        project_id: ask.project().to_owned(),
        user_id: ask.caller.user_id.clone(),
        vm_state: "building".to_owned(),
        task_state: Some("scheduling".to_owned()),
        flavor,
        image: image.filter(|_| disks.is_empty()),
        metadata,
        tags: strings(wanted.get("tags")),
        key_name: maybe(wanted, "key_name"),
        user_data: maybe(wanted, "user_data"),
        config_drive: wanted.get("config_drive").and_then(truth).unwrap_or_default(),
        availability_zone: zone.unwrap_or_else(|| world.compute.zones.first().cloned().unwrap_or_default()),
        disks: Vec::new(),
        nics,
        security_groups: groups,
        server_group: server_group.clone(),
        locked: false,
        locked_reason: None,
        fault: None,
        created: world.stamp(),
        updated: world.stamp(),
        launched_at: None,
        number,
    };
    for disk in disks {
        let volume_id = match (disk.volume, disk.fresh) {
            (Some(volume), _) => volume,
            (None, fresh) => fresh_volume(world, ask, fresh.unwrap_or_default()),
        };
        let device = server.next_device();
        let attachment_id = volume::reserve(world, &volume_id, &id, &device);
        server.disks.push(Disk {
            volume_id,
            attachment_id,
            device,
            delete_on_termination: disk.delete_on_termination,
            tag: disk.tag,
        });
    }
    if let Some(group) = server_group.and_then(|group| world.compute.server_groups.get_mut(&group))
        && let Some(members) = group["members"].as_array_mut()
    {
        members.push(json!(id));
    }
    world.compute.servers.add(server);
    world.build_later(Job::Server(id.clone(), Work::Build));
    let password = maybe(wanted, "adminPass").unwrap_or_else(|| hex()[..12].to_owned());
    let location = format!("{}/servers/{id}", ask.base);
    Ok(Answer::json(
        202,
        json!({"server": {
            "id": id, "links": servers::links(ask, &id), "OS-DCF:diskConfig": "MANUAL", "adminPass": password,
            "security_groups": [{"name": "default"}]
        }}),
    )
    .header("location", location))
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn flavor(world: &World, reference: &str) -> Result<Value, Fault> {
    let id = reference.rsplit('/').next().unwrap_or(reference);
    let found = world.compute.flavors.get(id).cloned();
    found.ok_or_else(|| Fault::bad(format!("Flavor {id} could not be found.")))
}

fn hint(world: &World, ask: &Ask) -> Result<Option<String>, Fault> {
    let hints = ask
        .body
        .get("os:scheduler_hints")
        .or_else(|| ask.body.get("OS-SCH-HNT:scheduler_hints"));
    let Some(group) = hints.and_then(|hints| hints["group"].as_str()) else {
        return Ok(None);
    };
    world
        .compute
        .server_groups
        .get(group)
        .map(|_| Some(group.to_owned()))
        .ok_or_else(|| Fault::bad(format!("Instance group {group} could not be found.")))
}

fn disks(
    world: &mut World,
    ask: &Ask,
    wanted: &Map<String, Value>,
    image: Option<&str>,
) -> Result<Vec<WantedDisk>, Fault> {
    let mut disks = Vec::new();
    for mapping in wanted
        .get("block_device_mapping_v2")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let source = mapping["source_type"].as_str().unwrap_or("volume");
        let target = mapping["destination_type"].as_str().unwrap_or("volume");
        let boot_index = number(&mapping["boot_index"]);
        if source == "image" && target == "local" {
            continue;
        }
        let volume = (source == "volume").then(|| mapping["uuid"].as_str().unwrap_or_default().to_owned());
        if let Some(id) = &volume {
            usable(world, ask, id, boot_index == Some(0))?;
        }
        disks.push(WantedDisk {
            fresh: volume.is_none().then(|| mapping.clone()),
            volume,
            boot_index: boot_index.filter(|index| *index >= 0),
            delete_on_termination: truth(&mapping["delete_on_termination"]).unwrap_or_default(),
            tag: mapping["tag"].as_str().map(str::to_owned),
        });
    }
    let mut indexes: Vec<i64> = disks.iter().filter_map(|disk| disk.boot_index).collect();
    indexes.sort_unstable();
    let bootable = !disks.is_empty() && indexes.first() == Some(&0);
    let gaps = indexes
        .iter()
        .enumerate()
        .any(|(at, index)| usize::try_from(*index) != Ok(at));
    if gaps || (!bootable && image.is_none()) {
        return Err(Fault::bad(
            "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination is not valid.",
        ));
    }
    // The disk that boots comes first, the others in the order of the list.
    disks.sort_by_key(|disk| disk.boot_index.unwrap_or(i64::MAX));
    Ok(disks)
}

/// Whether Nova may take a volume.
fn usable(world: &World, ask: &Ask, id: &str, root: bool) -> Result<(), Fault> {
    let volume = world
        .volume
        .volumes
        .get(id)
        .filter(|volume| ask.reaches(&volume.project_id));
    let volume = volume.ok_or_else(|| {
        Fault::bad(format!(
            "Block Device Mapping is Invalid: failed to get volume {id}."
        ))
    })?;
    let free = volume.status == "available" || (volume.multiattach && volume.status == "in-use");
    if !free {
        return Err(Fault::bad(format!(
            "Invalid volume: volume '{id}' status must be 'available'. Currently in '{}'",
            volume.status
        )));
    }
    if volume.multiattach && ask.minor < 60 {
        return Err(Fault::bad(format!(
            "Volume {id} has 'multiattach' set, which is not supported for this instance."
        )));
    }
    if root && !volume.bootable {
        return Err(Fault::bad(format!("Block Device {id} is not bootable.")));
    }
    Ok(())
}

/// A volume that Nova has Cinder make for the server.
fn fresh_volume(world: &mut World, ask: &Ask, mapping: Value) -> String {
    let kind = mapping["volume_type"]
        .as_str()
        .and_then(|wanted| world.volume.type_named(wanted))
        .or_else(|| world.volume.types.iter().next());
    let kind = kind
        .and_then(|kind| kind["id"].as_str())
        .unwrap_or_default()
        .to_owned();
    let mut made = volume::build(world, ask.project(), &ask.caller.user_id, "", &kind);
    made.size = number(&mapping["volume_size"])
        .and_then(|size| u64::try_from(size).ok())
        .unwrap_or(1);
    made.bootable = mapping["source_type"] == "image";
    if let Some(image) = mapping["uuid"]
        .as_str()
        .and_then(|id| world.images.get(id))
        .filter(|_| made.bootable)
    {
        made.image_metadata
            .insert("image_id".to_owned(), image["id"].clone());
        made.image_metadata
            .insert("image_name".to_owned(), image["name"].clone());
    }
    let id = made.id.clone();
    world.volume.volumes.add(made);
    volume::work(world, &id, volume::Work::Create);
    id
}

fn wanted_groups(world: &mut World, ask: &Ask, wanted: &Map<String, Value>) -> Result<Vec<String>, Fault> {
    let mut ids = Vec::new();
    for group in wanted
        .get("security_groups")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = group["name"].as_str().unwrap_or_default();
        network::default_group(world, ask.project());
        let found = world.network.security_groups.iter().find(|group| {
            group["project_id"] == ask.project() && (group["name"] == name || group["id"] == name)
        });
        let found = found.ok_or_else(|| {
            Fault::bad(format!(
                "Security group {name} not found for project {}.",
                ask.project()
            ))
        })?;
        ids.push(found["id"].as_str().unwrap_or_default().to_owned());
    }
    Ok(ids)
}

fn nics(
    world: &mut World,
    ask: &Ask,
    wanted: &Map<String, Value>,
    server: &str,
    groups: &[String],
) -> Result<Vec<Nic>, Fault> {
    let networks = wanted.get("networks");
    let list = match networks {
        None if ask.minor >= 37 => {
            return Err(Fault::bad(
                "Invalid input for field/attribute server. 'networks' is a required property",
            ));
        }
        Some(Value::String(word)) if word == "none" => return Ok(Vec::new()),
        Some(Value::Array(list)) if !list.is_empty() => list.clone(),
        _ => {
            let own: Vec<Value> = world
                .network
                .networks
                .iter()
                .filter(|network| network["project_id"] == ask.project())
                .map(|network| json!({"uuid": network["id"]}))
                .collect();
            if own.len() > 1 {
                return Err(Fault::conflict(
                    "Multiple possible networks found, use a Network ID to be more specific.",
                ));
            }
            own
        }
    };
    // All ports are looked at before one is made or taken.
    let mut seen: Vec<&str> = Vec::new();
    for port in list.iter().filter_map(|network| network["port"].as_str()) {
        let found = world.network.ports.get(port);
        let found = found.ok_or_else(|| Fault::bad(format!("Port {port} could not be found.")))?;
        if found["project_id"] != ask.project() {
            return Err(Fault::bad(format!(
                "Port {port} not usable for instance {server}."
            )));
        }
        if found["device_id"]
            .as_str()
            .is_some_and(|device| !device.is_empty())
            || seen.contains(&port)
        {
            return Err(Fault::conflict(format!("Port {port} is still in use.")));
        }
        seen.push(port);
    }
    let zone = world.compute.zones.first().cloned().unwrap_or_default();
    let host = world.compute.host.clone();
    let mut nics = Vec::new();
    for network in &list {
        let tag = network["tag"].as_str().map(str::to_owned);
        let (port_id, preexisting) = match network["port"].as_str() {
            Some(port) => (port.to_owned(), true),
            None => {
                let id = network["uuid"].as_str().unwrap_or_default();
                let visible = world.network.networks.get(id).is_some_and(|network| {
                    network["shared"] == true || network["project_id"] == ask.project() || ask.caller.admin
                });
                if !visible {
                    return Err(Fault::bad(format!("Network {id} could not be found.")));
                }
                let mut body = Map::from_iter([("network_id".to_owned(), json!(id))]);
                if !groups.is_empty() {
                    body.insert("security_groups".to_owned(), json!(groups));
                }
                if let Some(address) = network["fixed_ip"].as_str() {
                    body.insert("fixed_ips".to_owned(), json!([{"ip_address": address}]));
                }
                let port = network::make(world, ask.project(), &body).map_err(|fault| {
                    Fault::new(if fault.status == 409 { 403 } else { 400 }, "", fault.message)
                })?;
                (port["id"].as_str().unwrap_or_default().to_owned(), false)
            }
        };
        network::bind(world, &port_id, server, &zone, &host, false);
        nics.push(Nic {
            port_id,
            preexisting,
            tag,
        });
    }
    Ok(nics)
}
