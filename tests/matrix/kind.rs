//! The operations, and how each is ordered in a world in which nothing else happens.

use anyhow::{Context, Result, ensure};
use protector_tests::state::Allowed;
use protector_tests::{Pair, Session, Stack, protection::text};
use reqwest::Method;
use serde_json::{Value, json};

/// An operation, as one site's engine does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Establish,
    EstablishPeer,
    Bind,
    AddMember,
    RemoveMember,
    Dissolve,
    DissolvePeer,
    Planned,
    Unplanned,
    /// A planned failover to the site where the group was before, and where its old servers make room.
    FailoverBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    A,
    B,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Establish,
        Self::EstablishPeer,
        Self::Bind,
        Self::AddMember,
        Self::RemoveMember,
        Self::Dissolve,
        Self::DissolvePeer,
        Self::Planned,
        Self::Unplanned,
        Self::FailoverBack,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Establish => "establish",
            Self::EstablishPeer => "establish-peer",
            Self::Bind => "bind-arrays",
            Self::AddMember => "add-member",
            Self::RemoveMember => "remove-member",
            Self::Dissolve => "dissolve",
            Self::DissolvePeer => "dissolve-peer",
            Self::Planned => "planned-failover",
            Self::Unplanned => "unplanned-failover",
            Self::FailoverBack => "failover-back",
        }
    }

    /// Where the engine is that is hit.
    pub fn place(self) -> Place {
        match self {
            Self::EstablishPeer | Self::DissolvePeer | Self::Unplanned | Self::FailoverBack => Place::B,
            _ => Place::A,
        }
    }

    /// Whether the other site's engine has its own part in it.
    pub fn needs_both(self) -> bool {
        matches!(
            self,
            Self::Establish | Self::EstablishPeer | Self::Dissolve | Self::DissolvePeer
        )
    }

    /// What belongs to the other site's own part of it.
    pub fn elsewhere(self) -> &'static [&'static str] {
        match (self.needs_both(), self.place()) {
            (false, _) => &[],
            (true, Place::A) => &["site-b/", "fa-b/"],
            (true, Place::B) => &["site-a/", "fa-a/"],
        }
    }

    /// What an operation that is taken back doesn't put back: the old server that has made room is gone for good, and
    /// nothing holds what it had.
    pub fn gives_up(self) -> &'static [Allowed] {
        match self {
            Self::FailoverBack => ROOM_MADE,
            _ => &[],
        }
    }

    /// What has to be there before.
    pub async fn prepare(self, stack: &Stack, pair: &Pair) -> Result<Scene> {
        let mut scene = Scene::default();
        match self {
            Self::Establish | Self::EstablishPeer => {}
            Self::Bind => {
                scene.group = stack.bare_group(pair, "web").await?;
                let server = stack.simulation.boot("site-a", "web-0", 2, TYPE).await?;
                stack.member(pair, &scene.group, &server).await?;
            }
            Self::AddMember => {
                scene.group = stack.protected(pair, "web", 0).await?.id;
                scene.server = stack.simulation.boot("site-a", "web-0", 2, TYPE).await?;
            }
            Self::RemoveMember | Self::Dissolve | Self::DissolvePeer => {
                scene.group = stack.protected(pair, "web", 1).await?.id;
            }
            Self::Planned | Self::Unplanned => {
                scene.group = stack.protected(pair, "web", 2).await?.id;
                stack.replicated().await?;
                lose_keypair(&pair.there).await?;
            }
            Self::FailoverBack => {
                scene.group = stack.protected(pair, "web", 2).await?.id;
                stack.replicated().await?;
                let operation = pair.failover(&scene.group, json!({})).await?;
                let ended = pair.ended(&scene.group, &operation).await?;
                ensure!(ended["outcome"] == "completed", "{ended:#}");
                // The other site hears by whose trust to act over here.
                pair.reversed().push(&scene.group).await?;
                lose_keypair(&pair.here).await?;
            }
        }
        Ok(scene)
    }

    /// Order it. The engines sleep, so that it waits for the first one that comes.
    pub async fn order(self, stack: &Stack, pair: &Pair, scene: &Scene) -> Result<()> {
        let path = format!("/protection-groups/{}", scene.group);
        match self {
            Self::Establish | Self::EstablishPeer => {
                let id = uuid::Uuid::new_v4().to_string();
                let body = stack.group_body(&id, "web", TYPE, "async").await?;
                pair.modify(&id, Method::POST, "/protection-groups", Some(&body), 202)
                    .await?;
            }
            Self::Bind => {
                let body = stack.policy_body("pg-web");
                let path = format!("{path}/policy");
                pair.modify(&scene.group, Method::POST, &path, Some(&body), 202)
                    .await?;
            }
            Self::AddMember => {
                let body = json!({"member": {"instance_id": scene.server}});
                let path = format!("{path}/members");
                pair.modify(&scene.group, Method::POST, &path, Some(&body), 202)
                    .await?;
            }
            Self::RemoveMember => {
                let members: Value = pair.here.get(&format!("{path}/members")).await?;
                let member = text(&members["members"][0], "id").context("no member")?;
                let path = format!("{path}/members/{member}");
                pair.modify(&scene.group, Method::DELETE, &path, None, 202)
                    .await?;
            }
            Self::Dissolve | Self::DissolvePeer => pair.delete(&scene.group).await?,
            Self::Planned => {
                pair.failover(&scene.group, json!({})).await?;
            }
            Self::FailoverBack => {
                pair.reversed().failover(&scene.group, json!({})).await?;
            }
            Self::Unplanned => {
                let body = json!({"failover": {"type": "unplanned"}});
                let path = format!("{path}/action");
                let answer = pair.there.call(Method::POST, &path, Some(&body)).await?;
                answer.ok(202)?;
            }
        }
        Ok(())
    }
}

/// So that there is one to make.
async fn lose_keypair(target: &Session) -> Result<()> {
    let path = "/os-keypairs/demo-key";
    let gone = target.cloud("compute", Method::DELETE, path, None).await?;
    ensure!(gone.status.is_success(), "{gone:?}");
    Ok(())
}

const ROOM_MADE: &[Allowed] = &[
    Allowed {
        path: "site-a/compute/servers/*",
        why: "the server was deleted",
    },
    Allowed {
        path: "site-a/network/ports/*/device_id",
        why: "its port is free",
    },
    Allowed {
        path: "site-a/network/ports/*/device_owner",
        why: "its port is free",
    },
    Allowed {
        path: "site-a/network/ports/*/binding:host_id",
        why: "its port is free",
    },
    Allowed {
        path: "site-a/network/ports/*/binding:vif_type",
        why: "its port is free",
    },
    Allowed {
        path: "site-a/volume/volumes/*/status",
        why: "its volume is free",
    },
    Allowed {
        path: "site-a/volume/volumes/*/attachments",
        why: "its volume is free",
    },
    Allowed {
        path: "site-a/volume/volumes/*/group_id",
        why: "its volume has left the group for its successor",
    },
    Allowed {
        path: "fa-a/connections",
        why: "its volume is free",
    },
    Allowed {
        path: "fa-a/volumes/*/connections",
        why: "its volume is free",
    },
    Allowed {
        path: "fa-a/groups/*/volumes",
        why: "its volume has left the group for its successor",
    },
];

const TYPE: &str = "replicated-ssd";

#[derive(Default)]
pub struct Scene {
    group: String,
    /// Not yet protected.
    server: String,
}
