//! What there is on a cloud, read from the cloud and its array: protector isn't asked.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use http::Method;
use protector_relay::Session;
use protector_sim::cloud::Cloud;
use serde_json::Value;

use super::workload::Workload;

/// A server as its owner sees it.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: String,
    /// Fixed addresses by network.
    pub(crate) addresses: BTreeMap<String, Vec<String>>,
    /// In the order of their devices.
    pub(crate) disks: Vec<Disk>,
}

/// A disk as the guest sees it.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) device: String,
    pub(crate) volume: String,
    pub(crate) gigabytes: u64,
    /// What was written to it, in order.
    pub(crate) markers: Vec<String>,
}

/// The servers of a workload on a cloud, by name.
pub(crate) async fn servers(tenant: &Session, cloud: &Cloud, workload: &Workload) -> Result<Vec<Server>> {
    let answer = tenant
        .call("compute", Method::GET, "/servers/detail", None)
        .await?;
    let volumes = tenant
        .call("volumev3", Method::GET, "/volumes/detail", None)
        .await?;
    let size = |id: &str| {
        let listed = volumes["volumes"].as_array().into_iter().flatten();
        let mut of = listed.filter(|volume| volume["id"] == id);
        of.next()
            .and_then(|volume| volume["size"].as_u64())
            .unwrap_or_default()
    };
    let mut servers = Vec::new();
    for found in answer["servers"].as_array().into_iter().flatten() {
        let name = found["name"].as_str().unwrap_or_default().to_owned();
        if !workload.has(&name) {
            continue;
        }
        let id = found["id"].as_str().context("a server without an id")?.to_owned();
        let mut disks = Vec::new();
        for place in cloud.disks(&id)? {
            disks.push(Disk {
                markers: cloud.read(&id, &place.device)?,
                gigabytes: size(&place.volume_id),
                device: place.device,
                volume: place.volume_id,
            });
        }
        servers.push(Server {
            id,
            name,
            status: found["status"].as_str().unwrap_or_default().to_owned(),
            addresses: addresses(&found["addresses"]),
            disks,
        });
    }
    servers.sort_by(|x, y| x.name.cmp(&y.name));
    Ok(servers)
}

fn addresses(value: &Value) -> BTreeMap<String, Vec<String>> {
    let networks = value.as_object().into_iter().flatten();
    networks
        .map(|(network, listed)| {
            let listed = listed.as_array().into_iter().flatten();
            let texts = listed.filter_map(|address| address["addr"].as_str());
            (network.clone(), texts.map(str::to_owned).collect())
        })
        .collect()
}
