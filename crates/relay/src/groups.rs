//! Groups, policies and members, as a tenant makes them.

use std::time::Duration;

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::error::{Error, Result};
use crate::pair::{Change, Pair};
use crate::site::Site;
use crate::types::{Group, Member, Policy};

/// How often a thing is looked at that becomes something.
pub(crate) const INTERVAL: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug)]
pub struct NewGroup<'a> {
    pub name: &'a str,
    pub description: &'a str,
    pub volume_type: &'a str,
}

/// Which arrays, and how often.
#[derive(Clone, Debug)]
pub struct NewPolicy {
    pub primary_url: String,
    pub primary_token: SecretString,
    pub secondary_url: String,
    pub secondary_token: SecretString,
    pub array_group: String,
    pub interval_seconds: u64,
}

impl Site {
    /// A group as this site sees it.
    pub async fn group(&self, id: &str) -> Result<Group> {
        self.get(&format!("/protection-groups/{id}"), "protection_group")
            .await
    }

    /// A group's members as this site sees them.
    pub async fn members(&self, group: &str) -> Result<Vec<Member>> {
        self.get(&format!("/protection-groups/{group}/members"), "members")
            .await
    }
}

impl Pair {
    /// Make a group that runs at the first site and is recovered at the second.
    pub async fn create_group(&self, new: &NewGroup<'_>) -> Result<Group> {
        let id = uuid::Uuid::new_v4().to_string();
        let body = json!({"protection_group": {
            "id": id, "name": new.name, "description": new.description, "replication_type": "async",
            "primary_site_id": self.here().identity().id, "secondary_site_id": self.there().identity().id,
            "volume_type": new.volume_type
        }});
        let change = Change {
            method: Method::POST,
            path: "/protection-groups".to_owned(),
            body: Some(&body),
        };
        let (answer, site) = self.modify(&id, &change).await?;
        site.read(&change.path, &answer, "protection_group")
    }

    /// Wait until a group has one of these states at a site.
    pub async fn group_becomes(
        &self,
        site: &Site,
        group: &str,
        wanted: &[&str],
        patience: Duration,
    ) -> Result<Group> {
        let until = Instant::now() + patience;
        loop {
            let now = site.group(group).await?;
            if wanted.contains(&now.status.as_str()) {
                return Ok(now);
            }
            if now.status == "error" || Instant::now() > until {
                return Err(Error::Stuck(format!(
                    "{}: the group {} is {}{}",
                    site.name(),
                    now.name,
                    now.status,
                    because(now.status_reason.as_deref())
                )));
            }
            sleep(INTERVAL).await;
        }
    }

    /// Bind the group to the arrays and wait until they replicate.
    pub async fn create_policy(&self, group: &str, new: &NewPolicy, patience: Duration) -> Result<Policy> {
        let body = json!({"policy": {
            "primary_fa_url": new.primary_url, "primary_fa_token": new.primary_token.expose_secret(),
            "secondary_fa_url": new.secondary_url, "secondary_fa_token": new.secondary_token.expose_secret(),
            "pure_pg_name": new.array_group, "replication_interval": new.interval_seconds
        }});
        let path = format!("/protection-groups/{group}/policy");
        let change = Change {
            method: Method::POST,
            path: path.clone(),
            body: Some(&body),
        };
        let (_, site) = self.modify(group, &change).await?;
        let until = Instant::now() + patience;
        loop {
            let now: Policy = site.get(&path, "policy").await?;
            match now.status.as_str() {
                "active" => return Ok(now),
                "applying" if Instant::now() <= until => sleep(INTERVAL).await,
                status => {
                    return Err(Error::Stuck(format!(
                        "{}: the policy is {status}{}",
                        site.name(),
                        because(now.error_message.as_deref())
                    )));
                }
            }
        }
    }

    /// Take a server into the group; it is being protected when this returns.
    pub async fn add_member(&self, group: &str, server: &str) -> Result<Member> {
        let path = format!("/protection-groups/{group}/members");
        let body = json!({"member": {"instance_id": server}});
        let change = Change {
            method: Method::POST,
            path: path.clone(),
            body: Some(&body),
        };
        let (answer, site) = self.modify(group, &change).await?;
        site.read(&path, &answer, "member")
    }

    /// The group's members as the first site sees them.
    pub async fn members(&self, group: &str) -> Result<Vec<Member>> {
        self.here().members(group).await
    }

    /// Wait until every member is protected.
    pub async fn members_protected(&self, group: &str, patience: Duration) -> Result<Vec<Member>> {
        let until = Instant::now() + patience;
        loop {
            let members = self.members(group).await?;
            let Some(open) = members.iter().find(|member| member.status != "protected") else {
                return Ok(members);
            };
            if open.status == "error" || Instant::now() > until {
                return Err(Error::Stuck(format!(
                    "the member {} is {}{}",
                    open.instance_name,
                    open.status,
                    because(open.error_message.as_deref())
                )));
            }
            sleep(INTERVAL).await;
        }
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}
