//! The simulated arrays over their REST interface, with a client that knows nothing but HTTP and JSON.

mod control;
mod faults;
mod replication;
mod rules;

use std::time::{Duration, Instant};

use protector_sim::array::{Arrays, Fabric, FabricConfig, LinkConfig};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

pub const GIB: u64 = 1024 * 1024 * 1024;

/// A fabric with its servers and a session on each array.
pub struct Site {
    pub fabric: Fabric,
    pub arrays: Arrays,
    http: Client,
    tokens: std::sync::Mutex<std::collections::BTreeMap<String, String>>,
    pub version: String,
}

/// What a call answered.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub body: Value,
}

impl Got {
    pub fn items(&self) -> &Vec<Value> {
        assert_eq!(self.status, 200, "{self:?}");
        self.body["items"].as_array().unwrap()
    }

    pub fn names(&self) -> Vec<&str> {
        self.items()
            .iter()
            .map(|item| item["name"].as_str().unwrap())
            .collect()
    }

    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    /// A refusal as arrays word it: 400, and a message that contains this.
    pub fn refused(&self, text: &str) {
        assert_eq!(self.status, 400, "{self:?}");
        let message = self.body["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(text), "{message:?} doesn't contain {text:?}");
        assert!(self.body["errors"][0]["context"].is_string());
    }
}

impl Site {
    pub async fn start() -> Self {
        Self::with(FabricConfig::default()).await
    }

    pub async fn with(config: FabricConfig) -> Self {
        Self::with_version(config, "2.26").await
    }

    /// With sessions of this REST version.
    pub async fn with_version(config: FabricConfig, version: &str) -> Self {
        let fabric = Fabric::new(config).unwrap();
        let arrays = fabric.serve(Some(([127, 0, 0, 1], 0).into())).await.unwrap();
        let http = Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
        let site = Self {
            fabric,
            arrays,
            http,
            tokens: Default::default(),
            version: version.to_owned(),
        };
        for array in site.fabric.arrays() {
            site.login(&array).await;
        }
        site
    }

    pub async fn login(&self, array: &str) {
        let url = format!("{}/api/{}/login", self.arrays.url(array).unwrap(), self.version);
        let answer = self
            .http
            .post(url)
            .header("api-token", format!("{array}-token"))
            .send()
            .await
            .unwrap();
        let token = answer.headers()["x-auth-token"].to_str().unwrap().to_owned();
        self.tokens.lock().unwrap().insert(array.to_owned(), token);
    }

    pub async fn try_call(
        &self,
        method: Method,
        array: &str,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Response> {
        let url = format!("{}/api/{}/{path}", self.arrays.url(array).unwrap(), self.version);
        let token = self.tokens.lock().unwrap()[array].clone();
        let mut request = self.http.request(method, url).header("x-auth-token", token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await
    }

    async fn call(&self, method: Method, array: &str, path: &str, body: Option<Value>) -> Got {
        let answer = self.try_call(method, array, path, body).await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        Got {
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
        }
    }

    pub async fn get(&self, array: &str, path: &str) -> Got {
        self.call(Method::GET, array, path, None).await
    }

    pub async fn post(&self, array: &str, path: &str, body: Value) -> Got {
        self.call(Method::POST, array, path, Some(body)).await
    }

    pub async fn patch(&self, array: &str, path: &str, body: Value) -> Got {
        self.call(Method::PATCH, array, path, Some(body)).await
    }

    pub async fn put(&self, array: &str, path: &str, body: Value) -> Got {
        self.call(Method::PUT, array, path, Some(body)).await
    }

    pub async fn delete(&self, array: &str, path: &str) -> Got {
        self.call(Method::DELETE, array, path, None).await
    }

    pub async fn volume(&self, array: &str, name: &str) -> Value {
        let path = format!("volumes?names={name}&with_default_protection=false");
        self.post(array, &path, json!({"provisioned": GIB})).await.items()[0].clone()
    }

    pub async fn clone_of(&self, array: &str, name: &str, source: &str) -> Got {
        let path = format!("volumes?names={name}&with_default_protection=false");
        self.post(array, &path, json!({"source": {"name": source}})).await
    }

    /// A group `pg` on fa-a with these volumes, replicating to fa-b, which allows it.
    pub async fn protect(&self, volumes: &[&str]) {
        for volume in volumes {
            self.volume("fa-a", volume).await;
        }
        self.post("fa-a", "protection-groups?names=pg", json!({}))
            .await
            .ok();
        self.post(
            "fa-a",
            "protection-groups/targets?group_names=pg&member_names=fa-b",
            json!({}),
        )
        .await
        .ok();
        self.eventually("the group shows on its target", async || {
            self.get("fa-b", "protection-groups?names=fa-a:pg").await.status == 200
        })
        .await;
        self.allow(true).await;
        self.eventually("the source knows it is allowed", async || {
            self.get("fa-a", "protection-groups/targets?group_names=pg")
                .await
                .items()[0]["allowed"]
                == true
        })
        .await;
        let path = format!(
            "protection-groups/volumes?group_names=pg&member_names={}",
            volumes.join(",")
        );
        self.post("fa-a", &path, json!({})).await.ok();
    }

    pub async fn allow(&self, allowed: bool) {
        let path = "protection-groups/targets?group_names=fa-a:pg";
        self.patch("fa-b", path, json!({"allowed": allowed})).await.ok();
    }

    /// A snapshot of `pg` that is sent at once.
    pub async fn replicate(&self, suffix: &str) -> Got {
        let path = "protection-group-snapshots?source_names=pg&replicate_now=true&apply_retention=true";
        self.post("fa-a", path, json!({"suffix": suffix})).await
    }

    /// The transfer of a snapshot of `pg` as the target tells it, if it does.
    pub async fn transfer(&self, suffix: &str) -> Option<Value> {
        let path = format!("protection-group-snapshots/transfer?names=fa-a:pg.{suffix}");
        let got = self.get("fa-b", &path).await;
        if got.status == 400 {
            None
        } else {
            got.items().first().cloned()
        }
    }

    pub async fn arrived(&self, suffix: &str) {
        self.eventually("the snapshot has arrived", async || {
            let transfer = self.transfer(suffix).await;
            transfer.is_some_and(|transfer| transfer["progress"] == 1.0 && transfer["completed"].is_u64())
        })
        .await;
    }

    pub async fn eventually(&self, what: &str, probe: impl AsyncFn() -> bool) {
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            if probe().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}: not within 5 s");
    }

    pub fn markers(&self, array: &str, name: &str) -> Vec<String> {
        self.fabric.markers(array, name).unwrap()
    }
}

/// A link with a transfer that takes long enough to be caught half-way.
pub fn slow(millis: u64) -> FabricConfig {
    FabricConfig {
        link: LinkConfig {
            transfer_millis: millis,
            ..LinkConfig::default()
        },
        ..FabricConfig::default()
    }
}
