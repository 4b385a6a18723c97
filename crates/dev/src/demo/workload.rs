//! The tenant's servers, made as any tenant makes them, through Neutron, Cinder and Nova, and what their guests write.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::Method;
use protector_relay::Session;
use protector_sim::cloud::Cloud;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::look::Server;

/// How long anything in a simulated cloud may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A network that both clouds have under different names, with the same addresses.
pub(crate) struct Network {
    pub(crate) at_a: &'static str,
    pub(crate) at_b: &'static str,
    cidr: &'static str,
}

pub(crate) const NETWORKS: [Network; 2] = [
    Network {
        at_a: "front",
        at_b: "front-dr",
        cidr: "192.168.10.0/24",
    },
    Network {
        at_a: "back",
        at_b: "back-dr",
        cidr: "192.168.20.0/24",
    },
];

/// What a protection group protects.
pub(crate) struct Workload {
    /// The group's name.
    pub(crate) group: &'static str,
    /// The servers in words.
    pub(crate) told: &'static str,
    servers: &'static [Plan],
}

/// A server of a workload: disks in gigabytes, networks with a fixed address where there is one.
struct Plan {
    name: &'static str,
    disks: &'static [u64],
    networks: &'static [(&'static str, Option<&'static str>)],
}

pub(crate) const SHOP: Workload = Workload {
    group: "shop",
    told: "web-0, db-0 (two disks) and gw-0 (two networks, a fixed address)",
    servers: &[
        Plan {
            name: "web-0",
            disks: &[1],
            networks: &[("front", None)],
        },
        Plan {
            name: "db-0",
            disks: &[1, 3],
            networks: &[("back", None)],
        },
        Plan {
            name: "gw-0",
            disks: &[1],
            networks: &[("front", None), ("back", Some("192.168.20.10"))],
        },
    ],
};

pub(crate) const WARD: Workload = Workload {
    group: "ward",
    told: "bed-0 (two disks, two networks) and desk-0",
    servers: &[
        Plan {
            name: "bed-0",
            disks: &[1, 2],
            networks: &[("front", None), ("back", None)],
        },
        Plan {
            name: "desk-0",
            disks: &[1],
            networks: &[("front", None)],
        },
    ],
};

impl Workload {
    /// What the group is called on the arrays.
    pub(crate) fn array_group(&self) -> String {
        format!("{}-pg", self.group)
    }

    pub(crate) fn has(&self, server: &str) -> bool {
        self.servers.iter().any(|plan| plan.name == server)
    }
}

/// Which network of the one cloud becomes which of the other, as an order for a failover says it.
pub(crate) fn mappings() -> Value {
    let networks: BTreeMap<&str, &str> = NETWORKS
        .iter()
        .map(|network| (network.at_a, network.at_b))
        .collect();
    json!({ "networks": networks })
}

/// A network at one cloud.
async fn make_network(cloud: &Session, name: &str, cidr: &str) -> Result<()> {
    let body = json!({"network": {"name": name}});
    let made = cloud
        .call("network", Method::POST, "/v2.0/networks", Some(&body))
        .await?;
    let id = text(&made, "/network/id")?;
    let body = json!({"subnet": {
        "name": format!("{name}-subnet"), "network_id": id, "cidr": cidr, "ip_version": 4
    }});
    cloud
        .call("network", Method::POST, "/v2.0/subnets", Some(&body))
        .await?;
    Ok(())
}

/// The networks on both clouds.
pub(crate) async fn make_networks(a: &Session, b: &Session) -> Result<()> {
    for network in &NETWORKS {
        make_network(a, network.at_a, network.cidr).await?;
        make_network(b, network.at_b, network.cidr).await?;
    }
    Ok(())
}

/// Boot a workload; all its servers are `ACTIVE` when this returns.
pub(crate) async fn boot(cloud: &Session, workload: &Workload, volume_type: &str) -> Result<()> {
    let flavor = find(cloud, "compute", "/flavors", "flavors", "m1.small").await?;
    let image = find(cloud, "image", "/v2/images", "images", "cirros").await?;
    let mut servers = Vec::new();
    for plan in workload.servers {
        let mut mapping = Vec::new();
        for (number, size) in plan.disks.iter().enumerate() {
            let mut volume = json!({
                "name": format!("{}-disk-{number}", plan.name), "size": size, "volume_type": volume_type
            });
            if number == 0 {
                volume["imageRef"] = json!(image);
            }
            let body = json!({ "volume": volume });
            let made = cloud
                .call("volumev3", Method::POST, "/volumes", Some(&body))
                .await?;
            let id = text(&made, "/volume/id")?;
            becomes(
                cloud,
                "volumev3",
                &format!("/volumes/{id}"),
                "volume",
                "available",
            )
            .await?;
            mapping.push(json!({
                "uuid": id, "source_type": "volume", "destination_type": "volume",
                "boot_index": if number == 0 { 0 } else { -1 }, "delete_on_termination": false
            }));
        }
        let mut nics = Vec::new();
        for (network, address) in plan.networks {
            let id = find(cloud, "network", "/v2.0/networks", "networks", network).await?;
            let mut nic = json!({ "uuid": id });
            if let Some(address) = address {
                nic["fixed_ip"] = json!(address);
            }
            nics.push(nic);
        }
        let body = json!({"server": {
            "name": plan.name, "flavorRef": flavor, "imageRef": "", "key_name": "demo-key",
            "security_groups": [{"name": "web"}], "networks": nics, "block_device_mapping_v2": mapping,
            "metadata": {"role": plan.name}
        }});
        let made = cloud
            .call("compute", Method::POST, "/servers", Some(&body))
            .await?;
        servers.push(text(&made, "/server/id")?);
    }
    for id in servers {
        becomes(cloud, "compute", &format!("/servers/{id}"), "server", "ACTIVE").await?;
    }
    Ok(())
}

/// The guests write to all their disks: `<server> <device> <text>`.
pub(crate) fn write(cloud: &Cloud, servers: &[Server], text: &str) -> Result<()> {
    for server in servers {
        for disk in &server.disks {
            let device = disk.device.trim_start_matches("/dev/");
            cloud.write(&server.id, device, &format!("{} {device} {text}", server.name))?;
        }
    }
    Ok(())
}

async fn becomes(cloud: &Session, service: &str, path: &str, what: &str, wanted: &str) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = cloud.call(service, Method::GET, path, None).await?;
        let status = answer[what]["status"].as_str().unwrap_or_default();
        if status == wanted {
            return Ok(());
        }
        if status.eq_ignore_ascii_case("error") || Instant::now() > until {
            bail!(
                "{}: the {what} {} is {status} instead of {wanted}",
                cloud.site(),
                answer[what]["name"]
            );
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn find(cloud: &Session, service: &str, path: &str, field: &str, name: &str) -> Result<String> {
    let answer = cloud.call(service, Method::GET, path, None).await?;
    answer[field]
        .as_array()
        .into_iter()
        .flatten()
        .find(|item| item["name"] == name)
        .and_then(|item| item["id"].as_str())
        .map(str::to_owned)
        .with_context(|| format!("{} has no {name} among its {field}", cloud.site()))
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    Ok(found
        .with_context(|| format!("the cloud's answer has no {pointer}"))?
        .to_owned())
}
