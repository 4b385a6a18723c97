//! Nova: servers, flavors, keypairs.

use chrono::{DateTime, TimeDelta};
use protector_domain::{ProjectId, ServerId, VolumeId};
use protector_ports::cloud::{
    AttachedVolume, Changes, Flavor, Keypair, NewServer, Room, Server, ServerFlavor,
};
use protector_ports::{Kind, PortResult};
use serde_json::{Value, json};

use crate::failure::Service::Compute;
use crate::session::Session;
use crate::wire::{LimitsBody, compute as wire, count, texts, truth};

impl From<wire::Server> for Server {
    fn from(server: wire::Server) -> Self {
        let mut macs: Vec<String> = server.macs().into_iter().map(str::to_lowercase).collect();
        macs.dedup();
        let flavor = server.flavor.unwrap_or_default();
        Server {
            id: server.id,
            name: server.name.unwrap_or_default(),
            status: server.status.unwrap_or_default(),
            task_state: server.task_state,
            project_id: server.tenant_id,
            user_id: server.user_id,
            description: server.description,
            metadata: texts(server.metadata),
            tags: server.tags.unwrap_or_default(),
            flavor: ServerFlavor {
                original_name: flavor.original_name.unwrap_or_default(),
                vcpus: count(flavor.vcpus.as_ref()),
                ram_mb: count(flavor.ram.as_ref()),
                disk_gb: count(flavor.disk.as_ref()),
                ephemeral_gb: count(flavor.ephemeral.as_ref()),
                swap_mb: count(flavor.swap.as_ref()),
            },
            boots_from_volume: server.image.as_ref().and_then(Value::as_str) == Some(""),
            key_name: server.key_name.filter(|name| !name.is_empty()),
            config_drive: truth(server.config_drive.as_ref()),
            availability_zone: server.availability_zone.filter(|zone| !zone.is_empty()),
            locked: server.locked.unwrap_or_default(),
            fault: server.fault.and_then(|fault| fault.message),
            user_data: server.user_data,
            root_device_name: server.root_device_name,
            volumes: server
                .volumes
                .unwrap_or_default()
                .into_iter()
                .map(|volume| volume.id)
                .collect(),
            macs,
        }
    }
}

pub(crate) async fn server(session: &Session<'_>, id: &ServerId) -> PortResult<Server> {
    let body: wire::ServerBody = session
        .get(Compute, "show server", &["servers", id.as_str()])
        .json()
        .await?;
    Ok(body.server.into())
}

pub(crate) async fn servers(session: &Session<'_>, all_projects: bool) -> PortResult<Vec<Server>> {
    let call = session.get(Compute, "list servers", &["servers", "detail"]);
    call.query_if(all_projects, "all_tenants", "1")
        .list_as::<wire::Server, Server>("servers")
        .await
}

pub(crate) async fn servers_of(session: &Session<'_>, project: &ProjectId) -> PortResult<Vec<Server>> {
    let call = session
        .get(Compute, "list servers of project", &["servers", "detail"])
        .query("all_tenants", "1")
        .query("project_id", project.as_str());
    let mut servers: Vec<Server> = call.list_as::<wire::Server, _>("servers").await?;
    // Who may not see other projects is answered his own.
    servers.retain(|server| server.project_id == *project);
    Ok(servers)
}

/// `changes-since` names a second, and services' clocks differ a little: what changed right before is told again.
const OVERLAP: TimeDelta = TimeDelta::seconds(1);

/// The mark is the newest `updated` of all servers told so far: Nova's own clock, and not ours.
pub(crate) async fn changed_servers(
    session: &Session<'_>,
    mark: Option<&str>,
) -> PortResult<Changes<Server>> {
    let since = mark
        .and_then(|mark| DateTime::parse_from_rfc3339(mark).ok())
        .map(|mark| (mark.to_utc() - OVERLAP).format("%Y-%m-%dT%H:%M:%SZ").to_string());
    let call = session.get(Compute, "list changed servers", &["servers", "detail"]);
    let call = match &since {
        Some(since) => call.query("changes-since", since),
        None => call,
    };
    let servers: Vec<Changed> = call.list_as::<wire::Server, _>("servers").await?;
    let newest = servers
        .iter()
        .filter_map(|changed| changed.updated.as_deref())
        .max();
    let mark = newest.max(mark).map(str::to_owned);
    Ok(Changes {
        items: servers.into_iter().map(|changed| changed.server).collect(),
        mark,
    })
}

/// A server, and when that was.
struct Changed {
    server: Server,
    updated: Option<String>,
}

impl From<wire::Server> for Changed {
    fn from(mut server: wire::Server) -> Self {
        Self {
            updated: server.updated.take(),
            server: server.into(),
        }
    }
}

pub(crate) async fn attached_volumes(
    session: &Session<'_>,
    server: &ServerId,
) -> PortResult<Vec<AttachedVolume>> {
    let path = ["servers", server.as_str(), "os-volume_attachments"];
    let body: wire::AttachmentsBody = session
        .get(Compute, "list attached volumes", &path)
        .json()
        .await?;
    let mut volumes: Vec<AttachedVolume> = body
        .attachments
        .into_iter()
        .map(|attachment| AttachedVolume {
            volume_id: attachment.volume_id,
            device: attachment.device.unwrap_or_default(),
            delete_on_termination: attachment.delete_on_termination.unwrap_or_default(),
            tag: attachment.tag,
        })
        .collect();
    volumes.sort_by(|a, b| device_order(&a.device).cmp(&device_order(&b.device)));
    Ok(volumes)
}

pub(crate) async fn keep_volume(
    session: &Session<'_>,
    server: &ServerId,
    volume: &VolumeId,
) -> PortResult<()> {
    let path = [
        "servers",
        server.as_str(),
        "os-volume_attachments",
        volume.as_str(),
    ];
    // Another volume here would ask for a swap.
    let wanted = json!({"volumeAttachment": {"volumeId": volume, "delete_on_termination": false}});
    session
        .put(Compute, "keep attached volume", &path, wanted)
        .send()
        .await
}

/// `vda` .. `vdz`, then `vdaa`; volumes without a device last.
fn device_order(device: &str) -> (bool, usize, &str) {
    let name = device.rsplit('/').next().unwrap_or_default();
    (name.is_empty(), name.len(), name)
}

pub(crate) async fn create_server(session: &Session<'_>, server: &NewServer) -> PortResult<ServerId> {
    let volumes: Vec<Value> = server
        .volumes
        .iter()
        .enumerate()
        .map(|(place, volume): (usize, &VolumeId)| {
            json!({
                "uuid": volume,
                "source_type": "volume",
                "destination_type": "volume",
                "boot_index": if place == 0 { 0 } else { -1 },
                "delete_on_termination": false,
            })
        })
        .collect();
    let networks = if server.ports.is_empty() {
        json!("none")
    } else {
        server.ports.iter().map(|port| json!({"port": port})).collect()
    };
    let mut wanted = json!({
        "name": server.name,
        "flavorRef": server.flavor_id,
        "imageRef": "",
        "config_drive": server.config_drive,
        "metadata": server.metadata,
        "tags": server.tags,
        "networks": networks,
        "block_device_mapping_v2": volumes,
    });
    let optional = [
        ("key_name", &server.key_name),
        ("user_data", &server.user_data),
        ("availability_zone", &server.availability_zone),
        ("description", &server.description),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            wanted[name] = json!(value);
        }
    }
    // The answer holds the password that Nova made up for the administrator of the guest.
    let call = session
        .post(Compute, "create server", &["servers"], json!({"server": wanted}))
        .with_secret_answer();
    Ok(call.json::<wire::CreatedBody>().await?.server.id)
}

pub(crate) async fn delete_server(session: &Session<'_>, id: &ServerId) -> PortResult<()> {
    session
        .delete(Compute, "delete server", &["servers", id.as_str()])
        .send_unless_gone()
        .await
}

async fn act(session: &Session<'_>, id: &ServerId, what: &'static str, action: Value) -> PortResult<()> {
    session
        .post(Compute, what, &["servers", id.as_str(), "action"], action)
        .send()
        .await
}

/// Nova refuses to do again what is done or under way; only a second look tells that from a real refusal.
async fn act_towards(
    session: &Session<'_>,
    id: &ServerId,
    what: &'static str,
    action: Value,
    status: &str,
    task_state: &str,
) -> PortResult<()> {
    match act(session, id, what, action).await {
        Err(refused) if refused.is(Kind::Conflict) => {
            let now = server(session, id).await?;
            let there = now.status == status && now.task_state.is_none();
            if there || now.task_state.as_deref() == Some(task_state) {
                Ok(())
            } else {
                Err(refused)
            }
        }
        other => other,
    }
}

pub(crate) async fn stop_server(session: &Session<'_>, id: &ServerId) -> PortResult<()> {
    act_towards(
        session,
        id,
        "stop server",
        json!({"os-stop": null}),
        "SHUTOFF",
        "powering-off",
    )
    .await
}

pub(crate) async fn start_server(session: &Session<'_>, id: &ServerId) -> PortResult<()> {
    act_towards(
        session,
        id,
        "start server",
        json!({"os-start": null}),
        "ACTIVE",
        "powering-on",
    )
    .await
}

pub(crate) async fn lock_server(session: &Session<'_>, id: &ServerId, reason: &str) -> PortResult<()> {
    let reason: String = reason.chars().take(255).collect();
    act(
        session,
        id,
        "lock server",
        json!({"lock": {"locked_reason": reason}}),
    )
    .await
}

pub(crate) async fn unlock_server(session: &Session<'_>, id: &ServerId) -> PortResult<()> {
    act(session, id, "unlock server", json!({"unlock": null})).await
}

pub(crate) async fn flavors(session: &Session<'_>) -> PortResult<Vec<Flavor>> {
    let call = session
        .get(Compute, "list flavors", &["flavors", "detail"])
        .query("is_public", "None");
    let flavors: Vec<wire::Flavor> = call.list("flavors").await?;
    Ok(flavors
        .into_iter()
        .map(|flavor| Flavor {
            id: flavor.id,
            name: flavor.name.unwrap_or_default(),
            vcpus: count(flavor.vcpus.as_ref()),
            ram_mb: count(flavor.ram.as_ref()),
            disk_gb: count(flavor.disk.as_ref()),
        })
        .collect())
}

pub(crate) async fn keypair(session: &Session<'_>, name: &str, user_id: Option<&str>) -> PortResult<Keypair> {
    let mut call = session.get(Compute, "show keypair", &["os-keypairs", name]);
    if let Some(user_id) = user_id {
        call = call.query("user_id", user_id);
    }
    let keypair = call.json::<wire::KeypairBody>().await?.keypair;
    Ok(Keypair {
        name: keypair.name,
        public_key: keypair.public_key,
        key_type: keypair.kind.unwrap_or_else(|| "ssh".to_owned()),
    })
}

/// A keypair of that name with the same key is as good as a new one; the answer says which of the two it is.
pub(crate) async fn create_keypair(session: &Session<'_>, wanted: &Keypair) -> PortResult<bool> {
    let body = json!({"keypair": {
        "name": wanted.name, "public_key": wanted.public_key, "type": wanted.key_type
    }});
    match session
        .post(Compute, "create keypair", &["os-keypairs"], body)
        .send()
        .await
    {
        Err(refused) if refused.is(Kind::Conflict) => {
            let present = keypair(session, &wanted.name, None).await?;
            if present.public_key.trim() == wanted.public_key.trim() {
                Ok(false)
            } else {
                Err(refused)
            }
        }
        other => other.map(|()| true),
    }
}

pub(crate) async fn delete_keypair(
    session: &Session<'_>,
    name: &str,
    user_id: Option<&str>,
) -> PortResult<()> {
    let mut call = session.delete(Compute, "delete keypair", &["os-keypairs", name]);
    if let Some(user_id) = user_id {
        call = call.query("user_id", user_id);
    }
    call.send_unless_gone().await
}

pub(crate) async fn compute_room(session: &Session<'_>, project: &ProjectId) -> PortResult<Room> {
    let path = ["os-quota-sets", project.as_str(), "detail"];
    match session
        .get(Compute, "show quota", &path)
        .json::<wire::QuotaBody>()
        .await
    {
        Ok(body) => Ok(Room {
            instances: body.quota_set.instances.and_then(|quota| quota.left()),
            cores: body.quota_set.cores.and_then(|quota| quota.left()),
            ram_mb: body.quota_set.ram.and_then(|quota| quota.left()),
            ..Room::default()
        }),
        Err(error) if error.is(Kind::Forbidden) && session.token().await?.project_id == *project => {
            let limits = session
                .get(Compute, "show limits", &["limits"])
                .json::<LimitsBody>()
                .await?
                .limits;
            Ok(Room {
                instances: limits.left("maxTotalInstances", "totalInstancesUsed"),
                cores: limits.left("maxTotalCores", "totalCoresUsed"),
                ram_mb: limits.left("maxTotalRAMSize", "totalRAMUsed"),
                ..Room::default()
            })
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_in_the_order_of_the_guest() {
        let mut devices = ["/dev/vdaa", "", "/dev/vdb", "/dev/vdz", "/dev/vda"];
        devices.sort_by(|a, b| device_order(a).cmp(&device_order(b)));
        assert_eq!(devices, ["/dev/vda", "/dev/vdb", "/dev/vdz", "/dev/vdaa", ""]);
    }

    #[test]
    fn a_server_of_a_dead_cell_and_one_with_odd_values_are_read() {
        let dead: wire::Server =
            serde_json::from_value(json!({"id": "s1", "status": "UNKNOWN", "tenant_id": "p", "links": []}))
                .unwrap();
        let dead = Server::from(dead);
        assert_eq!((dead.status.as_str(), dead.boots_from_volume), ("UNKNOWN", false));

        let odd: wire::Server = serde_json::from_value(json!({
            "id": "s1", "tenant_id": "p", "image": "", "config_drive": "True", "key_name": null,
            "metadata": {"n": 1}, "flavor": {"vcpus": 2, "ram": "512", "swap": ""},
            "OS-EXT-SRV-ATTR:user_data": "Zm9v", "fault": {"code": 500, "message": "No valid host was found. "}
        }))
        .unwrap();
        let odd = Server::from(odd);
        assert!(odd.boots_from_volume && odd.config_drive);
        assert_eq!((odd.flavor.ram_mb, odd.metadata["n"].as_str()), (512, "1"));
        assert_eq!(odd.user_data.as_deref(), Some("Zm9v"));
    }
}
