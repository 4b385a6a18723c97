//! A lane: two simulated sites with protector on both, on which one history runs after the other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use protector_tests::{Pair, Session, Site, Stack};
use reqwest::{Client as Http, Method};
use serde_json::json;
use tokio::sync::watch;

use crate::chance::Chance;
use crate::check::check;
use crate::client::Client;
use crate::plan::Plan;
use crate::proxy::Door;
use crate::record::{Document, Ending, Group, Record, Side};
use crate::scene::Scene;
use crate::settle::Settler;
use crate::watch::watch;
use crate::weather::blow;
use crate::wire::{Pass, Wire, http};

/// Whether clients get to a site, for both of them.
pub type Cuts = [Arc<AtomicBool>; 2];

/// Engines that are killed are followed by others soon.
const OPTIONS: &str = "[engine]\nlease_ms = 500\npoll_interval_ms = 50\n";

/// How long a history may take before something hangs.
pub const LONGEST: Duration = Duration::from_secs(240);

/// How often the groups of a history are tried to be made.
const PREPARATIONS: u32 = 3;

pub struct Lane {
    stack: Stack,
    pair: Pair,
    sites: [String; 2],
    http: Http,
    cuts: Cuts,
    /// How far the programs' output has been read.
    read: BTreeMap<PathBuf, usize>,
    /// How many histories it has seen.
    pub age: usize,
}

/// What came of a history.
pub struct Told {
    pub plan: Plan,
    pub record: Record,
    pub violations: Vec<String>,
}

pub fn site_of(stack: &mut Stack, side: Side) -> &mut Site {
    match side {
        Side::A => &mut stack.a,
        Side::B => &mut stack.b,
    }
}

impl Lane {
    pub async fn start() -> Result<Self> {
        let stack = Stack::configured(OPTIONS).await?;
        let delays = json!({"delays": {
            "build": 15, "stop": 15, "start": 15, "delete": 15, "volume": 10, "group": 10
        }});
        for site in ["site-a", "site-b"] {
            stack.simulation.settings(site, &delays).await?;
        }
        let link = json!({"transfer_millis": 20, "announce_millis": 10, "start_millis": 5});
        let url = format!("{}/control/links", stack.simulation.arrays_control());
        let answer = stack.http.request(Method::PATCH, url).json(&link).send().await?;
        answer.error_for_status()?;
        let pair = stack.pair("demo").await?;
        let (a, b) = tokio::try_join!(stack.a.identity(), stack.b.identity())?;
        let sites = [a, b].map(|site| site["id"].as_str().unwrap_or_default().to_owned());
        Ok(Self {
            stack,
            pair,
            sites,
            http: http()?,
            cuts: [Arc::default(), Arc::default()],
            read: BTreeMap::new(),
            age: 0,
        })
    }

    pub async fn run(&mut self, plan: Plan) -> Result<Told> {
        self.age += 1;
        let record = self.groups(&plan).await.context("before the history began")?;
        let scene = Scene::new(self.sites.clone(), record);
        let sessions = [self.pair.here.clone(), self.pair.there.clone()];
        let (watching, while_) = watch::channel(());
        let watcher = tokio::spawn(watch(scene.clone(), sessions.clone(), while_));
        let first = self.client(0, plan.faults, &scene).await?;
        let second = self.client(1, plan.faults, &scene).await?;
        let ((), (), weather) = tokio::join!(
            first.run(&plan.clients[0]),
            second.run(&plan.clients[1]),
            blow(&mut self.stack, &self.cuts, &plan.weather)
        );
        weather?;
        for (number, id) in scene.ids.iter().enumerate() {
            let settler = Settler {
                sessions: &sessions,
                group: id,
            };
            let deleted = scene.record().groups[number].deleted;
            let apart = settler.settle(deleted).await?.err();
            let ends = [
                settler.ending(Side::A, &self.sites).await?,
                settler.ending(Side::B, &self.sites).await?,
            ];
            if matches!(ends, [Ending::Gone, Ending::Gone]) {
                let taken = settler.haunt(&scene.bundles(number)).await?;
                scene.record().wrongly_taken.extend(taken);
            }
            let group = &mut scene.record().groups[number];
            group.apart = apart;
            group.ends = ends;
        }
        drop(watching);
        watcher.await?;
        let mut record = std::mem::take(&mut *scene.record());
        record.panics = self.panics()?;
        Ok(Told {
            violations: check(&record),
            plan,
            record,
        })
    }

    async fn groups(&self, plan: &Plan) -> Result<Record> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.prepared(plan, tries).await {
                // An engine and a client that change a group at once: one of them is told to try again.
                Err(_) if tries < PREPARATIONS => {}
                record => return record,
            }
        }
    }

    /// New groups, as the clients find them.
    async fn prepared(&self, plan: &Plan, tries: u32) -> Result<Record> {
        let mut record = Record::default();
        for number in 0..plan.groups {
            let name = format!("h{}-{number}-{tries}", plan.seed);
            let id = match plan.fresh {
                true => self.made_here(&name).await?,
                false => self.made(&name, plan.server && number == 0).await?,
            };
            let path = format!("/protection-groups/{id}/metadata");
            let bundle = self.pair.here.get(&path).await?;
            let first = Document::read(&bundle["bundle"]["document"], &self.sites);
            let first = first.context("a document that can't be read")?;
            record.groups.push(Group {
                fresh: plan.fresh,
                ..Group::new(id, first)
            });
        }
        Ok(record)
    }

    /// A group of which the other site hasn't heard yet.
    async fn made_here(&self, name: &str) -> Result<String> {
        let id = uuid::Uuid::new_v4().to_string();
        let mut body = self
            .stack
            .group_body(&id, name, "replicated-ssd", "async")
            .await?;
        body["protection_group"]["description"] = json!("");
        let path = "/protection-groups";
        let made = self.pair.change(&id, Method::POST, path, Some(&body)).await?;
        made.ok(202)?;
        Ok(id)
    }

    /// A group that both sites have, perhaps with a server.
    async fn made(&self, name: &str, with_server: bool) -> Result<String> {
        let id = match with_server {
            true => {
                let group = self.stack.protected(&self.pair, name, 1).await?;
                self.stack.group_replicated(&format!("pg-{name}")).await?;
                group.id
            }
            false => self.stack.bare_group(&self.pair, name).await?,
        };
        // The clients' marks are to stand alone in it.
        let path = format!("/protection-groups/{id}");
        let body = json!({"protection_group": {"description": ""}});
        self.pair
            .modify(&id, Method::PATCH, &path, Some(&body), 200)
            .await?;
        Ok(id)
    }

    async fn client(&self, number: usize, faults: u64, scene: &Arc<Scene>) -> Result<Client> {
        let [cut_a, cut_b] = &self.cuts;
        let doors = [
            Door::open(address(&self.stack.a)?, cut_a.clone()).await?,
            Door::open(address(&self.stack.b)?, cut_b.clone()).await?,
        ];
        let pass = |session: &Session| Pass {
            token: session.token.clone(),
            project: session.project.clone(),
        };
        Ok(Client::new(Wire {
            client: number,
            http: self.http.clone(),
            doors,
            passes: [pass(&self.pair.here), pass(&self.pair.there)],
            scene: scene.clone(),
            chance: Chance::of(0),
            faults,
            left: None,
        }))
    }

    /// What the programs have said of panics since the last history.
    fn panics(&mut self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for site in [&self.stack.a, &self.stack.b] {
            for program in ["protector-api", "protector-engine"] {
                let path = site.directory.join(format!("{program}.out"));
                let said = std::fs::read(&path)?;
                let read = self.read.entry(path).or_default();
                ensure!(*read <= said.len(), "the output of {program} has become shorter");
                let new = String::from_utf8_lossy(&said[*read..]).into_owned();
                *read = said.len();
                let lines = new.lines().filter(|line| line.contains("panicked"));
                found.extend(lines.map(|line| format!("{program} at {}: {line}", site.name)));
            }
        }
        Ok(found)
    }
}

/// Where a site's API listens.
fn address(site: &Site) -> Result<SocketAddr> {
    let address = site.root.trim_start_matches("http://");
    address
        .parse()
        .with_context(|| format!("{} is no address", site.root))
}
