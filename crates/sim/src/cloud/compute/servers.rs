//! Showing, listing, renaming and deleting servers.

use serde_json::{Map, Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::network;
use super::super::world::{Job, World};
use super::{Server, Work, find};

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    match (ask.method.as_str(), rest) {
        ("GET", []) => list(world, ask, false),
        ("GET", ["detail"]) => list(world, ask, true),
        ("GET", [id]) => {
            let server = find(world, ask, id)?.clone();
            Ok(Answer::ok(json!({"server": view(world, ask, &server)})))
        }
        ("PUT", [id]) => {
            let wanted = ask.object("server")?.clone();
            let server = find(world, ask, id)?;
            if let Some(name) = wanted.get("name").and_then(Value::as_str) {
                name.clone_into(&mut server.name);
            }
            if let Some(description) = wanted.get("description") {
                server.description = description.as_str().map(str::to_owned);
            }
            let server = server.clone();
            Ok(Answer::ok(json!({"server": view(world, ask, &server)})))
        }
        ("DELETE", [id]) => {
            let server = find(world, ask, id)?;
            if server.locked && !ask.caller.admin {
                return Err(Fault::conflict(format!("Instance {id} is locked")));
            }
            server.task_state = Some("deleting".to_owned());
            world.later(world.delays.delete, Job::Server((*id).to_owned(), Work::Delete));
            Ok(Answer::empty(204))
        }
        (_, [id, "metadata", rest @ ..]) => metadata(world, ask, id, rest),
        (_, [id, "tags", rest @ ..]) => tags(world, ask, id, rest),
        ("GET", [id, "ips"]) => {
            let server = find(world, ask, id)?.clone();
            Ok(Answer::ok(json!({"addresses": addresses(world, &server)})))
        }
        ("GET", [id, "os-security-groups"]) => {
            let server = find(world, ask, id)?.clone();
            let names = groups(world, &server);
            let groups: Vec<Value> = names
                .iter()
                .map(|name| json!({"name": name, "id": name, "rules": []}))
                .collect();
            Ok(Answer::ok(json!({"security_groups": groups})))
        }
        ("GET", [id, "os-instance-actions"]) => {
            find(world, ask, id)?;
            Ok(Answer::ok(json!({"instanceActions": []})))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}

fn list(world: &World, ask: &Ask, detailed: bool) -> Reply {
    if ask.wants("all_tenants") {
        let rule = if detailed { "detail" } else { "index" };
        world.policies.admin(
            &ask.caller,
            &format!("os_compute_api:servers:{rule}:get_all_tenants"),
        )?;
    }
    let wanted = |key: &str, value: &str| {
        ask.query(key)
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    // Names are looked for as the database does, by a regular expression.
    let name = ask.query("name").map(regex::Regex::new).transpose();
    let name = name.map_err(|_| Fault::bad("Invalid filter field: name."))?;
    let tags: Vec<&str> = ask
        .query("tags")
        .map(|tags| tags.split(',').collect())
        .unwrap_or_default();
    let since = ask
        .query("changes-since")
        .map(chrono::DateTime::parse_from_rfc3339)
        .transpose();
    let since = since.map_err(|_| {
        Fault::bad("Invalid input for query parameters changes-since. It is not a time in ISO 8601 format.")
    })?;
    // Whoever asks what has changed is told what is gone, too.
    let gone = world.compute.gone.iter().filter(|_| since.is_some());
    let mut found: Vec<&Server> = world
        .compute
        .servers
        .iter()
        .chain(gone)
        .filter(|server| {
            since.is_none_or(|since| {
                chrono::DateTime::parse_from_rfc3339(&server.updated).is_ok_and(|at| at >= since)
            })
        })
        .filter(|server| {
            ask.sees(&server.project_id)
                && wanted("status", server.status())
                && wanted("uuid", &server.id)
                && wanted("vm_state", &server.vm_state)
                && name.as_ref().is_none_or(|name| name.is_match(&server.name))
                && tags.iter().all(|tag| server.tags.iter().any(|own| own == tag))
        })
        .collect();
    found.sort_by_key(|server| std::cmp::Reverse(server.number));
    let found = found.into_iter().map(|server| {
        if detailed {
            let mut shown = view(world, ask, server);
            if let Some(fields) = shown.as_object_mut() {
                // Only a look at one server shows its groups.
                fields.remove("server_groups");
            }
            return shown;
        }
        json!({"id": server.id, "name": server.name, "links": links(ask, &server.id)})
    });
    ask.page("servers", found.collect())
}

pub(super) fn links(ask: &Ask, id: &str) -> Value {
    json!([
        {"rel": "self", "href": format!("{}/servers/{id}", ask.base)},
        {"rel": "bookmark", "href": format!("{}/servers/{id}", ask.base.trim_end_matches("/v2.1"))}
    ])
}

fn groups(world: &World, server: &Server) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for port in server
        .nics
        .iter()
        .filter_map(|nic| world.network.ports.get(&nic.port_id))
    {
        for group in port["security_groups"].as_array().into_iter().flatten() {
            let group = group.as_str().unwrap_or_default().to_owned();
            if !ids.contains(&group) {
                ids.push(group);
            }
        }
    }
    network::groups_named(world, &ids)
}

fn addresses(world: &World, server: &Server) -> Value {
    let mut all = Map::new();
    for port in server
        .nics
        .iter()
        .filter_map(|nic| world.network.ports.get(&nic.port_id))
    {
        let network = world
            .network
            .networks
            .get(port["network_id"].as_str().unwrap_or_default());
        let name = network
            .and_then(|network| network["name"].as_str())
            .unwrap_or_default();
        for fixed in port["fixed_ips"].as_array().into_iter().flatten() {
            let address = fixed["ip_address"].as_str().unwrap_or_default();
            let entry = json!({
                "addr": address, "version": if address.contains(':') { 6 } else { 4 },
                "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": port["mac_address"]
            });
            if let Some(list) = all.entry(name).or_insert_with(|| json!([])).as_array_mut() {
                list.push(entry);
            }
        }
        let floating = world
            .network
            .floatingips
            .iter()
            .filter(|floating| floating["port_id"] == port["id"]);
        for floating in floating {
            let entry = json!({
                "addr": floating["floating_ip_address"], "version": 4, "OS-EXT-IPS:type": "floating",
                "OS-EXT-IPS-MAC:mac_addr": port["mac_address"]
            });
            if let Some(list) = all.entry(name).or_insert_with(|| json!([])).as_array_mut() {
                list.push(entry);
            }
        }
    }
    Value::Object(all)
}

fn flavor(ask: &Ask, flavor: &Value) -> Value {
    if ask.minor < 47 {
        let id = flavor["id"].as_str().unwrap_or_default();
        return json!({"id": id, "links": [{"rel": "bookmark", "href": format!("{}/flavors/{id}", ask.base)}]});
    }
    json!({
        "vcpus": flavor["vcpus"], "ram": flavor["ram"], "disk": flavor["disk"],
        "ephemeral": flavor["OS-FLV-EXT-DATA:ephemeral"], "swap": super::super::ask::number(&flavor["swap"]).unwrap_or(0),
        "original_name": flavor["name"], "extra_specs": flavor["extra_specs"]
    })
}

pub(super) fn view(world: &World, ask: &Ask, server: &Server) -> Value {
    let stopped = server.vm_state != "active";
    let disks = server.disks.iter().map(|disk| {
        let mut shown = json!({"id": disk.volume_id});
        if ask.minor >= 3 {
            shown["delete_on_termination"] = json!(disk.delete_on_termination);
        }
        shown
    });
    let mut shown = json!({
        "id": server.id, "name": server.name, "status": server.status(), "tenant_id": server.project_id,
        "user_id": server.user_id, "metadata": server.metadata, "hostId": "", "accessIPv4": "", "accessIPv6": "",
        "image": server.image.as_ref().map_or_else(|| json!(""), |image| json!({"id": image, "links": []})),
        "flavor": flavor(ask, &server.flavor), "created": server.created, "updated": server.updated,
        "addresses": addresses(world, server), "key_name": server.key_name, "links": links(ask, &server.id),
        "config_drive": if server.config_drive { "True" } else { "" }, "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": server.availability_zone, "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:task_state": server.task_state, "OS-EXT-STS:power_state": server.power_state(),
        "OS-SRV-USG:launched_at": server.launched_at, "OS-SRV-USG:terminated_at": null,
        "os-extended-volumes:volumes_attached": disks.collect::<Vec<_>>()
    });
    let names = groups(world, server);
    if !names.is_empty() {
        shown["security_groups"] = names.iter().map(|name| json!({"name": name})).collect();
    }
    match server.status() {
        "ACTIVE" => shown["progress"] = json!(100),
        "BUILD" => shown["progress"] = json!(0),
        "ERROR" => shown["fault"] = server.fault.clone().unwrap_or_default(),
        _ => {}
    }
    let since = |minor: u32| ask.minor >= minor;
    if since(9) {
        shown["locked"] = json!(server.locked);
    }
    if since(19) {
        shown["description"] = json!(server.description);
    }
    if since(26) {
        shown["tags"] = json!(server.tags);
    }
    if since(63) {
        shown["trusted_image_certificates"] = Value::Null;
    }
    if since(71) {
        shown["server_groups"] = server.server_group.iter().map(|group| json!(group)).collect();
    }
    if since(73) {
        shown["locked_reason"] = json!(server.locked_reason);
    }
    if since(90) || (ask.caller.admin && since(3)) {
        shown["OS-EXT-SRV-ATTR:hostname"] = json!(server.name.to_lowercase().replace([' ', '_'], "-"));
    }
    if ask.caller.admin {
        let host = if server.vm_state == "building" || server.vm_state == "shelved_offloaded" {
            Value::Null
        } else {
            json!(world.compute.host)
        };
        shown["OS-EXT-SRV-ATTR:host"] = host.clone();
        shown["OS-EXT-SRV-ATTR:hypervisor_hostname"] = host;
        shown["OS-EXT-SRV-ATTR:instance_name"] = json!(format!("instance-{:08x}", server.number));
        if since(3) {
            shown["OS-EXT-SRV-ATTR:user_data"] = json!(server.user_data);
            shown["OS-EXT-SRV-ATTR:root_device_name"] = json!(server.root_device());
            shown["OS-EXT-SRV-ATTR:reservation_id"] = json!(format!("r-{:08x}", server.number));
            shown["OS-EXT-SRV-ATTR:launch_index"] = json!(0);
            shown["OS-EXT-SRV-ATTR:kernel_id"] = json!("");
            shown["OS-EXT-SRV-ATTR:ramdisk_id"] = json!("");
        }
        if since(16) {
            shown["host_status"] = json!(if stopped && server.launched_at.is_none() {
                ""
            } else {
                "UP"
            });
        }
    }
    shown
}

fn metadata(world: &mut World, ask: &Ask, id: &str, rest: &[&str]) -> Reply {
    let server = find(world, ask, id)?;
    match (ask.method.as_str(), rest) {
        ("GET", []) => {}
        ("POST", []) => server.metadata.extend(ask.object("metadata")?.clone()),
        ("PUT", []) => server.metadata.clone_from(ask.object("metadata")?),
        ("DELETE", [key]) => {
            let gone = server.metadata.shift_remove(*key);
            gone.ok_or_else(|| Fault::missing("Metadata item was not found"))?;
            return Ok(Answer::empty(204));
        }
        _ => return Err(Fault::missing("The resource could not be found.")),
    }
    Ok(Answer::ok(json!({"metadata": server.metadata})))
}

fn tags(world: &mut World, ask: &Ask, id: &str, rest: &[&str]) -> Reply {
    let server = find(world, ask, id)?;
    match (ask.method.as_str(), rest) {
        ("GET", []) => Ok(Answer::ok(json!({"tags": server.tags}))),
        ("PUT", []) => {
            let wanted = ask.body["tags"].as_array().cloned().unwrap_or_default();
            server.tags = wanted
                .iter()
                .filter_map(|tag| tag.as_str().map(str::to_owned))
                .collect();
            Ok(Answer::ok(json!({"tags": server.tags})))
        }
        ("PUT", [tag]) => {
            if server.tags.iter().any(|own| own == tag) {
                return Ok(Answer::empty(204));
            }
            server.tags.push((*tag).to_owned());
            Ok(Answer::empty(201))
        }
        ("DELETE", [tag]) => {
            server.tags.retain(|own| own != tag);
            Ok(Answer::empty(204))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
