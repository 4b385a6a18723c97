//! A protection group with servers in it, from which most tests start.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use tokio::time::{Instant, sleep};

use super::pair::Pair;
use super::stack::Stack;

/// A group that runs at `site-a`, as the tenant made it.
pub struct Group {
    pub id: String,
    /// At `site-a`.
    pub servers: Vec<String>,
}

/// A field that has to be a text.
pub fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field]
        .as_str()
        .with_context(|| format!("no text '{field}' in {value}"))
}

/// The names of a list, sorted.
#[must_use]
pub fn names(list: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = list
        .iter()
        .filter_map(|one| one["name"].as_str())
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

impl Stack {
    /// The body that creates a group.
    pub async fn group_body(&self, id: &str, name: &str, volume_type: &str, kind: &str) -> Result<Value> {
        Ok(json!({"protection_group": {
            "id": id, "name": name, "description": "of the tests", "replication_type": kind,
            "primary_site_id": self.a.identity().await?["id"], "secondary_site_id": self.b.identity().await?["id"],
            "volume_type": volume_type
        }}))
    }

    /// Make a group without policy and members, and wait until it is active.
    pub async fn bare_group(&self, pair: &Pair, name: &str) -> Result<String> {
        let id = uuid::Uuid::new_v4().to_string();
        let body = self.group_body(&id, name, "replicated-ssd", "async").await?;
        pair.modify(&id, Method::POST, "/protection-groups", Some(&body), 202)
            .await?;
        for side in [pair, &pair.reversed()] {
            side.until(&format!("/protection-groups/{id}"), "protection_group", |group| {
                group["status"] == "active"
            })
            .await?;
        }
        Ok(id)
    }

    #[must_use]
    pub fn policy_body(&self, array_group: &str) -> Value {
        json!({"policy": {
            "primary_fa_url": self.a.array_url, "primary_fa_token": "fa-a-token",
            "secondary_fa_url": self.b.array_url, "secondary_fa_token": "fa-b-token",
            "pure_pg_name": array_group, "replication_interval": 300, "rpo_minutes": 15
        }})
    }

    /// Bind a group to the arrays.
    pub async fn policy(&self, pair: &Pair, group: &str, array_group: &str) -> Result<()> {
        let path = format!("/protection-groups/{group}/policy");
        let body = self.policy_body(array_group);
        pair.modify(group, Method::POST, &path, Some(&body), 202).await?;
        pair.until(&path, "policy", |policy| policy["status"] == "active")
            .await?;
        Ok(())
    }

    /// Take a server in and wait until it is protected.
    pub async fn member(&self, pair: &Pair, group: &str, server: &str) -> Result<String> {
        let path = format!("/protection-groups/{group}/members");
        let body = json!({"member": {"instance_id": server}});
        let answer = pair.modify(group, Method::POST, &path, Some(&body), 202).await?;
        let id = text(&answer["member"], "id")?.to_owned();
        pair.until(&format!("{path}/{id}"), "member", |member| {
            member["status"] == "protected"
        })
        .await?;
        Ok(id)
    }

    /// A group with policy and so many servers of two disks each, each disk with `<server> <device>` on it.
    pub async fn protected(&self, pair: &Pair, name: &str, servers: u32) -> Result<Group> {
        let id = self.bare_group(pair, name).await?;
        self.policy(pair, &id, &format!("pg-{name}")).await?;
        let mut made = Vec::new();
        for number in 0..servers {
            let label = format!("{name}-{number}");
            let server = self
                .simulation
                .boot("site-a", &label, 2, "replicated-ssd")
                .await?;
            for device in self.simulation.devices("site-a", &server).await? {
                self.simulation
                    .write("site-a", &server, &device, &format!("{label} {device}"))
                    .await?;
            }
            self.member(pair, &id, &server).await?;
            made.push(server);
        }
        // Both engines have read what the servers look like. That makes things too: Neutron gives a project its
        // default security group when it is first asked for one.
        for side in [pair, &pair.reversed()] {
            side.until(&format!("/protection-groups/{id}"), "protection_group", |group| {
                servers == 0 || group["facts_complete"] == true
            })
            .await?;
        }
        Ok(Group { id, servers: made })
    }

    /// The servers of a group run at site-b on what was written at site-a.
    pub async fn arrived(&self, pair: &Pair, group: &Group) -> Result<()> {
        let servers = pair.there.listed("compute", "/servers/detail", "servers").await?;
        let number = group.servers.len();
        ensure!(servers.len() == number, "{:?} and not {number}", names(&servers));
        for server in &servers {
            let (id, name) = (text(server, "id")?, text(server, "name")?);
            ensure!(server["status"] == "ACTIVE", "{server}");
            for device in self.simulation.devices("site-b", id).await? {
                let read = self.simulation.read("site-b", id, &device).await?;
                ensure!(
                    read.contains(&format!("{name} {device}")),
                    "{name} {device}: {read}"
                );
            }
        }
        Ok(())
    }

    /// What was written has come over by the schedule.
    pub async fn replicated(&self) -> Result<()> {
        self.group_replicated("pg-web").await
    }

    /// What was written to the volumes of this array group has come over by the schedule.
    pub async fn group_replicated(&self, array_group: &str) -> Result<()> {
        self.advance(Duration::from_secs(301)).await?;
        let end = Instant::now() + Duration::from_secs(30);
        let name = format!("fa-a:{array_group}");
        loop {
            let there = self.simulation.array_state("fa-b").await?;
            let mut arrived = there["group_snapshots"].as_array().into_iter().flatten();
            if arrived.any(|snapshot| snapshot.to_string().contains(&name)) {
                return Ok(());
            }
            ensure!(Instant::now() < end, "no snapshot arrives: {there}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}
