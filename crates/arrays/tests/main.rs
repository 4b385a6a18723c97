//! The storage drivers against simulated arrays.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adopt;
mod clones;
mod lost;
mod outage;
mod sequence;

use std::sync::Arc;
use std::time::{Duration, Instant};

use protector_arrays::{DriverConfig, driver};
use protector_flasharray as fa;
use protector_ports::Array;
use protector_ports::array::{ArrayAccess, ArrayPair, GroupSpec, Mark, Replica};
use protector_sim::array::{Arrays, Fabric, FabricConfig};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

pub const GROUP: &str = "pg-orders";

/// Two simulated arrays, the driver, and a way to act on an array behind its back.
pub struct Lab {
    pub fabric: Fabric,
    /// Kept, as the arrays end with it.
    _arrays: Arrays,
    pub driver: Arc<dyn Array>,
    pub pair: ArrayPair,
    operator: fa::Client,
}

pub fn options() -> DriverConfig {
    DriverConfig {
        allow_loopback: true,
        announce_wait: Duration::from_secs(3),
        announce_poll: Duration::from_millis(50),
        ..DriverConfig::default()
    }
}

impl Lab {
    pub async fn start() -> Self {
        Self::with(FabricConfig::default()).await
    }

    pub async fn with(config: FabricConfig) -> Self {
        let fabric = Fabric::new(config).unwrap();
        let arrays = fabric.serve(None).await.unwrap();
        let access = |name: &str| ArrayAccess {
            url: arrays.url(name).unwrap(),
            token: SecretString::from(format!("{name}-token")),
            timeout: Duration::from_secs(5),
        };
        let pair = ArrayPair {
            source: access("fa-a"),
            target: access("fa-b"),
            lost_source: None,
        };
        let operator = fa::Client::new(&fa::ClientConfig {
            allow_loopback: true,
            ..fa::ClientConfig::default()
        });
        Self {
            fabric,
            _arrays: arrays,
            driver: driver("pure", options()).unwrap(),
            pair,
            operator: operator.unwrap(),
        }
    }

    /// With volumes in a group that replicates.
    pub async fn protecting(volumes: &[&str]) -> Self {
        let lab = Self::start().await;
        for volume in volumes {
            lab.make_volume("fa-a", volume).await;
        }
        lab.driver.ensure_group(&lab.pair, &spec(), &[]).await.unwrap();
        lab.driver
            .add_volumes(&lab.pair.source, GROUP, &names(volumes))
            .await
            .unwrap();
        lab
    }

    /// A driver that remembers nothing, as after a restart.
    pub fn restarted(&mut self) {
        self.driver = driver("pure", options()).unwrap();
    }

    pub fn access(&self, array: &str) -> &ArrayAccess {
        if array == "fa-a" {
            &self.pair.source
        } else {
            &self.pair.target
        }
    }

    pub fn as_operator(&self, array: &str) -> fa::Array {
        let access = self.access(array);
        self.operator
            .array(&access.url, &access.token, access.timeout)
            .unwrap()
    }

    pub async fn do_as_operator(
        &self,
        array: &str,
        method: Method,
        path: &str,
        names: &[(&str, &str)],
        body: Value,
    ) {
        let array = self.as_operator(array);
        let query = names.iter().fold(fa::Query::new(), |query, (key, name)| {
            query.name(key, name).unwrap()
        });
        array.tell(method, path, query, Some(body)).await.unwrap();
    }

    pub async fn make_volume(&self, array: &str, name: &str) {
        let body = json!({"provisioned": 1_u64 << 30});
        self.do_as_operator(array, Method::POST, "volumes", &[("names", name)], body)
            .await;
    }

    pub async fn make_group(&self, name: &str, volumes: &[&str]) {
        self.do_as_operator(
            "fa-a",
            Method::POST,
            "protection-groups",
            &[("names", name)],
            json!({}),
        )
        .await;
        for volume in volumes {
            let names = [("group_names", name), ("member_names", volume)];
            self.do_as_operator(
                "fa-a",
                Method::POST,
                "protection-groups/volumes",
                &names,
                json!({}),
            )
            .await;
        }
    }

    pub async fn connect(&self, array: &str, volume: &str) {
        self.do_as_operator(
            array,
            Method::POST,
            "hosts",
            &[("names", "h1")],
            json!({"iqns": ["iqn.2026-11.x:h1"]}),
        )
        .await;
        let names = [("host_names", "h1"), ("volume_names", volume)];
        self.do_as_operator(array, Method::POST, "connections", &names, json!({}))
            .await;
    }

    /// Waits for a replica as a workflow does.
    pub async fn arrived(&self, suffix: &str) -> Replica {
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            let replica = self.driver.replica(&self.pair, GROUP, suffix).await.unwrap();
            if let Some(replica) = replica.filter(Replica::is_complete) {
                return replica;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{suffix} has not arrived within 10 s");
    }

    pub async fn sent(&self, suffix: &str) -> Replica {
        self.driver.snapshot(&self.pair, GROUP, suffix).await.unwrap();
        self.arrived(suffix).await
    }

    pub fn markers(&self, array: &str, name: &str) -> Vec<String> {
        self.fabric.markers(array, name).unwrap()
    }

    /// An object in the array's own state.
    pub fn state(&self, array: &str, table: &str, name: &str) -> Option<Value> {
        let state = self.fabric.state(array).unwrap();
        state[table]
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["name"] == name)
            .cloned()
    }
}

pub fn spec() -> GroupSpec {
    GroupSpec {
        name: GROUP.to_owned(),
        interval_seconds: 300,
    }
}

pub fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub fn mark(volume: &str) -> Mark {
    Mark {
        operation: "op-1".to_owned(),
        member: "member-1".to_owned(),
        volume: volume.to_owned(),
    }
}
