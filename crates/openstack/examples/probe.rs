//! Walks through the port against a living cloud and says what came back.
//!
//! Reads its cloud from the usual `OS_*` variables. Whatever it makes has a name starting with `probe-` and is
//! removed again. With `PROBE_SERVER` and `PROBE_VOLUME` it looks at these too.
//!
//! ```text
//! OS_AUTH_URL=http://127.0.0.1:15000/v3 OS_USERNAME=admin OS_PASSWORD=... OS_PROJECT_NAME=admin OS_REGION_NAME=site-a \
//!     cargo run -p protector-openstack --example probe
//! ```
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::env;
use std::fmt::Debug;
use std::time::Duration;

use protector_domain::{ServerId, SiteId, VolumeId};
use protector_openstack::{AddressPolicy, ClientConfig, OpenStackClient};
use protector_ports::cloud::{Access, Actor, Cloud, Credentials, Keypair, NewPort, NewTrust};
use protector_ports::{Kind, PortResult};
use secrecy::{ExposeSecret, SecretString};

type Failure = Box<dyn std::error::Error>;

fn var(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn show<T: Debug>(what: &str, result: &PortResult<T>) {
    match result {
        Ok(value) => {
            let text = format!("{value:?}");
            println!("ok    {what}: {}", text.chars().take(400).collect::<String>());
        }
        Err(error) => println!(
            "ERROR {what}: {error} [{:?}/{:?} {:?}]",
            error.class, error.kind, error.request_id
        ),
    }
}

fn show_list<T: Debug>(what: &str, result: &PortResult<Vec<T>>) {
    match result {
        Ok(list) => println!("ok    {what}: {} items, first {:?}", list.len(), list.first()),
        Err(error) => println!("ERROR {what}: {error} [{:?}/{:?}]", error.class, error.kind),
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let credentials = Credentials {
        username: var("OS_USERNAME", "admin"),
        password: SecretString::from(var("OS_PASSWORD", "lab")),
        project_name: var("OS_PROJECT_NAME", "admin"),
        user_domain_name: var("OS_USER_DOMAIN_NAME", "Default"),
        project_domain_name: var("OS_PROJECT_DOMAIN_NAME", "Default"),
    };
    let access = Access {
        site: SiteId(uuid::Uuid::new_v4()),
        site_name: var("OS_REGION_NAME", "site-a"),
        auth_url: var("OS_AUTH_URL", "http://127.0.0.1:15000/v3"),
        region: env::var("OS_REGION_NAME").ok(),
        actor: Actor::Service(credentials.clone()),
        timeout: Duration::from_secs(30),
    };
    let config = ClientConfig {
        addresses: AddressPolicy { allow_loopback: true },
        ..ClientConfig::default()
    };
    let cloud = OpenStackClient::new(config)?;
    let cloud = &cloud;

    let probed = cloud.probe(&access).await;
    show("probe", &probed);
    let owner = cloud.owner(&access).await;
    show("owner", &owner);
    let owner = owner?;
    let project = &owner.project_id;
    show("project_name", &cloud.project_name(&access, project).await);
    show(
        "known_roles",
        &cloud
            .known_roles(&access, &["member".into(), "_member_".into(), "admin".into()])
            .await,
    );

    read(cloud, &access).await;
    show("compute_room", &cloud.compute_room(&access, project).await);
    show("volume_room", &cloud.volume_room(&access, project).await);
    show("network_room", &cloud.network_room(&access, project).await);
    if let Ok(id) = env::var("PROBE_SERVER") {
        let id = ServerId::new(id)?;
        show("server", &cloud.server(&access, &id).await);
        show("attached_volumes", &cloud.attached_volumes(&access, &id).await);
        show("server_ports", &cloud.server_ports(&access, &id).await);
    }
    if let Ok(id) = env::var("PROBE_VOLUME") {
        let id = VolumeId::new(id)?;
        show("volume", &cloud.volume(&access, &id).await);
        show("volume_messages", &cloud.volume_messages(&access, &id).await);
    }

    absent(cloud, &access).await?;
    ports(cloud, &access).await?;
    keypairs(cloud, &access).await;
    groups(cloud, &access).await?;
    trust(cloud, &access, &credentials).await?;
    Ok(())
}

async fn read(cloud: &dyn Cloud, access: &Access) {
    show_list("servers", &cloud.servers(access, true).await);
    show_list("flavors", &cloud.flavors(access).await);
    show_list("volumes", &cloud.volumes(access, true).await);
    let types = cloud.volume_types(access).await;
    show_list("volume_types", &types);
    for found in types.iter().flatten() {
        show(
            "is_type_encrypted",
            &cloud.is_type_encrypted(access, &found.id).await,
        );
    }
    show_list("volume_pools", &cloud.volume_pools(access).await);
    show_list("pending_transfers", &cloud.pending_transfers(access).await);
    show_list("group_types", &cloud.group_types(access).await);
    show_list("volume_groups", &cloud.volume_groups(access, true).await);
    show_list("networks", &cloud.networks(access).await);
    show_list("subnets", &cloud.subnets(access).await);
    show_list("security_groups", &cloud.security_groups(access).await);
    show_list("ports", &cloud.ports(access, None).await);
}

/// What isn't there: reads say so, deletions are content.
async fn absent(cloud: &dyn Cloud, access: &Access) -> Result<(), Failure> {
    let nothing = uuid::Uuid::new_v4().to_string();
    show(
        "server, absent",
        &cloud.server(access, &ServerId::new(&nothing)?).await,
    );
    show(
        "volume, absent",
        &cloud.volume(access, &VolumeId::new(&nothing)?).await,
    );
    show(
        "keypair, absent",
        &cloud.keypair(access, "no such/key pair", None).await,
    );
    show(
        "delete_server, absent",
        &cloud.delete_server(access, &ServerId::new(&nothing)?).await,
    );
    show(
        "delete_volume, absent",
        &cloud.delete_volume(access, &VolumeId::new(&nothing)?).await,
    );
    show(
        "unmanage_volume, absent",
        &cloud.unmanage_volume(access, &VolumeId::new(&nothing)?).await,
    );
    show(
        "delete_port, absent",
        &cloud.delete_port(access, &nothing.parse()?).await,
    );
    show(
        "delete_volume_group, absent",
        &cloud.delete_volume_group(access, &nothing.parse()?).await,
    );
    show(
        "delete_transfer, absent",
        &cloud.delete_transfer(access, &nothing.parse()?).await,
    );
    show(
        "delete_trust, absent",
        &cloud.delete_trust(access, &SecretString::from(nothing)).await,
    );
    Ok(())
}

async fn ports(cloud: &dyn Cloud, access: &Access) -> Result<(), Failure> {
    let Some(network) = cloud
        .networks(access)
        .await?
        .into_iter()
        .find(|network| !network.subnets.is_empty())
    else {
        println!("      no network with a subnet: no port made");
        return Ok(());
    };
    let wanted = NewPort {
        network_id: Some(network.id.clone()),
        name: "probe-port".into(),
        description: "probe".into(),
        mac_address: Some("fa:16:3e:00:be:ef".into()),
        fixed_ips: network
            .subnets
            .first()
            .map(|subnet| (subnet.clone(), None))
            .into_iter()
            .collect(),
        ..NewPort::default()
    };
    let port = cloud.create_port(access, &wanted).await;
    show("create_port", &port);
    let port = port?;
    show("create_port, same MAC", &cloud.create_port(access, &wanted).await);
    let listed = cloud.ports(access, Some(&network.id)).await?;
    println!("      listed: {}", listed.contains(&port));
    show("delete_port", &cloud.delete_port(access, &port.id).await);
    show("delete_port, again", &cloud.delete_port(access, &port.id).await);
    Ok(())
}

async fn keypairs(cloud: &dyn Cloud, access: &Access) {
    let Ok(public_key) = env::var("PROBE_PUBLIC_KEY") else {
        return;
    };
    let keypair = Keypair {
        name: "probe-key".into(),
        public_key,
        key_type: "ssh".into(),
    };
    show("create_keypair", &cloud.create_keypair(access, &keypair).await);
    show(
        "create_keypair, again",
        &cloud.create_keypair(access, &keypair).await,
    );
    show("keypair", &cloud.keypair(access, &keypair.name, None).await);
}

async fn groups(cloud: &dyn Cloud, access: &Access) -> Result<(), Failure> {
    let specs = BTreeMap::from([(
        "consistent_group_snapshot_enabled".to_owned(),
        "<is> True".to_owned(),
    )]);
    show(
        "create_group_type",
        &cloud.create_group_type(access, "probe-cg", &specs).await,
    );
    show(
        "create_group_type, again",
        &cloud.create_group_type(access, "probe-cg", &specs).await,
    );
    let types = cloud.volume_types(access).await?;
    let wanted = var("PROBE_VOLUME_TYPE", "");
    let Some(volume_type) = types.iter().find(|found| found.name == wanted) else {
        println!("      no PROBE_VOLUME_TYPE: no group made");
        return Ok(());
    };
    let id = cloud
        .create_volume_group(access, "probe-group", "probe", "probe-cg", &volume_type.id)
        .await;
    show("create_volume_group", &id);
    let id = id?;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let group = cloud.volume_group(access, &id).await?;
        if group.status != "creating" {
            show("volume_group", &Ok(group));
            break;
        }
    }
    show(
        "update_volume_group, nothing",
        &cloud.update_volume_group(access, &id, &[], &[]).await,
    );
    show_list("volume_groups", &cloud.volume_groups(access, true).await);
    show(
        "delete_volume_group",
        &cloud.delete_volume_group(access, &id).await,
    );
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if cloud
            .volume_group(access, &id)
            .await
            .is_err_and(|error| error.is(Kind::NotFound))
        {
            println!("ok    group is gone");
            return Ok(());
        }
    }
    println!("ERROR group is still there");
    Ok(())
}

/// A trust of the user for himself, the token by it, and what is said when it has gone.
async fn trust(cloud: &dyn Cloud, access: &Access, credentials: &Credentials) -> Result<(), Failure> {
    let owner = cloud.owner(access).await?;
    let new = NewTrust {
        trustor: owner.user_id.clone(),
        trustee: owner.user_id.clone(),
        project: owner.project_id.clone(),
        roles: owner
            .roles
            .iter()
            .filter(|role| *role == "member" || *role == "admin")
            .cloned()
            .collect(),
        expires_at: Some(in_an_hour()),
    };
    let trust_id = cloud.create_trust(access, &new).await;
    show("create_trust", &trust_id);
    let trust_id = trust_id?;
    let by_trust = Access {
        actor: Actor::Trust {
            trustee: credentials.clone(),
            trust_id: trust_id.clone(),
        },
        ..access.clone()
    };
    show("owner by trust", &cloud.owner(&by_trust).await);
    show_list("servers by trust", &cloud.servers(&by_trust, false).await);
    show(
        "compute_room by trust",
        &cloud.compute_room(&by_trust, &owner.project_id).await,
    );
    show("delete_trust", &cloud.delete_trust(access, &trust_id).await);
    show(
        "delete_trust, again",
        &cloud.delete_trust(access, &trust_id).await,
    );
    show_list(
        "servers by dead trust, old token",
        &cloud.servers(&by_trust, false).await,
    );
    let fresh = Access {
        auth_url: format!("{}/", access.auth_url),
        timeout: Duration::from_secs(20),
        ..by_trust
    };
    let result = cloud.owner(&fresh).await;
    show("owner by dead trust", &result);
    if result.is_err_and(|error| error.to_string().contains(trust_id.expose_secret())) {
        println!("ERROR the trust's id is in the message");
    }
    Ok(())
}

fn in_an_hour() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now() + chrono::TimeDelta::hours(1)
}
