//! The control interface of the simulated sites: what no client can see or do.

use anyhow::{Context, Result};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::session::send;

#[derive(Clone)]
pub struct Simulation {
    pub(crate) http: Client,
    pub(crate) sites: String,
    pub(crate) arrays: String,
}

impl Simulation {
    async fn tell(&self, method: Method, url: &str, body: Option<&Value>) -> Result<Value> {
        send(&self.http, method, url, &[], body).await?.ok(200)
    }

    /// Where the arrays' control interface is.
    #[must_use]
    pub fn arrays_control(&self) -> &str {
        &self.arrays
    }

    pub async fn site(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        self.tell(method, &format!("{}/control/sites/{path}", self.sites), body)
            .await
    }

    pub async fn array(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        self.tell(method, &format!("{}/control/arrays/{path}", self.arrays), body)
            .await
    }

    /// Boot a server of the tenant at once.
    pub async fn boot(&self, site: &str, name: &str, disks: u32, volume_type: &str) -> Result<String> {
        let body = json!({"name": name, "disks": disks, "volume_type": volume_type});
        let made = self
            .site(Method::POST, &format!("{site}/servers"), Some(&body))
            .await?;
        Ok(made["id"].as_str().context("a server without id")?.to_owned())
    }

    /// A guest writes to its disk.
    pub async fn write(&self, site: &str, server: &str, device: &str, marker: &str) -> Result<()> {
        let path = format!("{site}/servers/{server}/disks/{device}");
        self.site(Method::POST, &path, Some(&json!({"marker": marker})))
            .await?;
        Ok(())
    }

    /// What a guest reads, as text.
    pub async fn read(&self, site: &str, server: &str, device: &str) -> Result<String> {
        let path = format!("{site}/servers/{server}/disks/{device}");
        Ok(self.site(Method::GET, &path, None).await?["markers"].to_string())
    }

    /// The devices of a server, the root first.
    pub async fn devices(&self, site: &str, server: &str) -> Result<Vec<String>> {
        let disks = self
            .site(Method::GET, &format!("{site}/servers/{server}/disks"), None)
            .await?;
        let disks = disks["disks"].as_array().cloned().unwrap_or_default();
        Ok(disks
            .iter()
            .filter_map(|disk| disk["device"].as_str())
            .map(|device| device.trim_start_matches("/dev/").to_owned())
            .collect())
    }

    /// Disturb a cloud (`site-a`) or an array (`fa-a`) by a rule.
    pub async fn disturb(&self, where_: &str, rule: &Value) -> Result<()> {
        if where_.starts_with("fa-") {
            self.array(Method::POST, &format!("{where_}/faults"), Some(rule))
                .await?;
        } else {
            self.site(Method::POST, &format!("{where_}/faults/rules"), Some(rule))
                .await?;
        }
        Ok(())
    }

    async fn rules(&self, where_: &str) -> Result<Vec<Value>> {
        let path = format!("{where_}/faults");
        let faults = match where_.starts_with("fa-") {
            true => self.array(Method::GET, &path, None).await?,
            false => self.site(Method::GET, &path, None).await?,
        };
        Ok(faults["rules"].as_array().cloned().unwrap_or_default())
    }

    /// How many calls the rules of a place have hit.
    pub async fn hits(&self, where_: &str) -> Result<u64> {
        let rules = self.rules(where_).await?;
        Ok(rules.iter().filter_map(|rule| rule["fired"].as_u64()).sum())
    }

    /// How often somebody has knocked at a place so far: connections, and calls on those that were open.
    pub async fn knocks(&self, cloud: &str, array: &str) -> Result<usize> {
        let mut knocks =
            self.calls(cloud, "", "").await?.len() + self.array_calls(array, "", "").await?.len();
        for faults in [
            self.site(Method::GET, &format!("{cloud}/faults"), None).await?,
            self.array(Method::GET, &format!("{array}/faults"), None).await?,
        ] {
            let connections = faults["connections"]
                .as_u64()
                .context("connections aren't counted")?;
            knocks += usize::try_from(connections)?;
        }
        Ok(knocks)
    }

    /// The rules of a place that have hit nothing.
    pub async fn idle_rules(&self, where_: &str) -> Result<Vec<String>> {
        let rules = self.rules(where_).await?;
        let idle = rules.iter().filter(|rule| rule["fired"] == 0);
        Ok(idle.map(Value::to_string).collect())
    }

    /// Time goes by in a cloud.
    pub async fn pass(&self, site: &str, time: std::time::Duration) -> Result<()> {
        let body = json!({"millis": u64::try_from(time.as_millis())?});
        self.site(Method::POST, &format!("{site}/advance"), Some(&body))
            .await?;
        Ok(())
    }

    /// End all disturbances.
    pub async fn heal(&self) -> Result<()> {
        for site in ["site-a", "site-b"] {
            self.site(Method::DELETE, &format!("{site}/faults"), None).await?;
        }
        for array in ["fa-a", "fa-b"] {
            self.array(Method::DELETE, &format!("{array}/faults"), None)
                .await?;
        }
        Ok(())
    }

    pub async fn settings(&self, site: &str, settings: &Value) -> Result<()> {
        self.site(Method::PUT, &format!("{site}/settings"), Some(settings))
            .await?;
        Ok(())
    }

    /// The calls that came to a cloud, oldest first.
    pub async fn calls(&self, site: &str, method: &str, path: &str) -> Result<Vec<Value>> {
        let query = format!("{site}/calls?method={method}&path={path}");
        let calls = self.site(Method::GET, &query, None).await?;
        Ok(calls["calls"].as_array().cloned().unwrap_or_default())
    }

    /// The calls that came to an array, oldest first.
    pub async fn array_calls(&self, array: &str, method: &str, path: &str) -> Result<Vec<Value>> {
        let url = format!(
            "{}/control/calls?service={array}&method={method}&path={path}",
            self.arrays
        );
        let calls = self.tell(Method::GET, &url, None).await?;
        Ok(calls["calls"].as_array().cloned().unwrap_or_default())
    }

    pub async fn cloud_state(&self, site: &str) -> Result<Value> {
        self.site(Method::GET, &format!("{site}/state"), None).await
    }

    pub async fn array_state(&self, array: &str) -> Result<Value> {
        self.array(Method::GET, &format!("{array}/state"), None).await
    }

    /// Everything there is: both clouds and both arrays.
    pub async fn world(&self) -> Result<Value> {
        Ok(json!({
            "site-a": self.cloud_state("site-a").await?, "site-b": self.cloud_state("site-b").await?,
            "fa-a": self.array_state("fa-a").await?, "fa-b": self.array_state("fa-b").await?
        }))
    }

    /// Keep everything as it is now, under a name.
    pub async fn keep(&self, name: &str) -> Result<()> {
        self.site(Method::PUT, &format!("checkpoints/{name}"), None)
            .await?;
        Ok(())
    }

    /// Everything is again as it was when it was kept.
    pub async fn restore(&self, name: &str) -> Result<()> {
        self.site(Method::POST, &format!("checkpoints/{name}"), None)
            .await?;
        Ok(())
    }
}
