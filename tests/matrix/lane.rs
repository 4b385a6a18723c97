//! A lane: two simulated sites with protector on both, and situations in them that are taken up again and again.
//!
//! Making a group and protecting servers takes far longer than hitting an engine. So each operation is ordered once,
//! while no engine runs; then simulation and databases are kept as they are, and every cell begins from there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use protector_tests::{Pair, Site, Stack};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cell::Course;
use crate::engine::Engine;
use crate::journal::{self, Journal, Rest};
use crate::judge::{self, Effect};
use crate::kind::{Kind, Place};

/// Where nothing was ordered yet.
const BASE: &str = "base";
/// How long an operation may take that nobody disturbs any more.
pub const PATIENCE: Duration = Duration::from_secs(25);

/// How often a situation is tried to be brought about.
const PREPARATIONS: u32 = 3;

pub struct Lane {
    pub stack: Stack,
    ready: BTreeMap<Kind, Ready>,
}

/// An operation that waits for an engine.
pub struct Ready {
    pub before: Value,
    pub known: BTreeSet<String>,
    /// What it makes of the world when nobody disturbs it.
    pub effect: Effect,
}

///
/// One step at a time, so that a blow falls on the step that the cell names. An engine that is stalled between its last
/// look at the claim and the import of *another* volume leaves, when it goes on, a row in Cinder that no call removes
/// (docs/crash-matrix.md tells of it).
///
/// What the engine does beside operations would change the world while it is compared: facts are read once, and no
/// site is fenced within the time of a cell.
const OPTIONS: &str = "[engine]\nlease_ms = 500\npoll_interval_ms = 50\nsteps_at_once = 1\nfacts_interval_seconds = 86400\n\
     fencing_interval_ms = 60000\n";

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
        // Neutron gives a project its default security group when it is first asked for one; that is nobody's doing.
        for (site, user) in [&stack.a, &stack.b]
            .into_iter()
            .flat_map(|site| ["demo", "admin", "protector"].map(|user| (site, user)))
        {
            let session = site.sign_in(user).await?;
            session
                .listed("network", "/v2.0/security-groups", "security_groups")
                .await?;
        }
        let mut lane = Self {
            stack,
            ready: BTreeMap::new(),
        };
        lane.keep(BASE).await?;
        Ok(lane)
    }

    /// Ends all programs and keeps what there is.
    async fn keep(&mut self, name: &str) -> Result<()> {
        for site in [&mut self.stack.a, &mut self.stack.b] {
            site.stop().await?;
            let kept = kept(site, name);
            std::fs::create_dir_all(&kept)?;
            copy_database(&site.state(), &kept)?;
        }
        self.stack.simulation.keep(name).await
    }

    /// As it was when it was kept. No program may run.
    async fn restore(&self, name: &str) -> Result<()> {
        for site in [&self.stack.a, &self.stack.b] {
            copy_database(&kept(site, name), &site.state())?;
        }
        self.stack.simulation.restore(name).await
    }

    pub fn site(&self, place: Place) -> &Site {
        match place {
            Place::A => &self.stack.a,
            Place::B => &self.stack.b,
        }
    }

    /// The site whose engine isn't hit.
    pub fn other(&self, kind: Kind) -> &Site {
        match kind.place() {
            Place::A => &self.stack.b,
            Place::B => &self.stack.a,
        }
    }

    /// The operation is ordered, and no engine has seen it yet.
    pub async fn begin(&self, kind: Kind) -> Result<(Journal, Option<Peer>)> {
        self.restore(kind.name()).await?;
        let journal = Journal::open(&self.site(kind.place()).database()).await?;
        let peer = match kind.needs_both() {
            true => Some(Peer::start(self.other(kind)).await?),
            false => None,
        };
        Ok((journal, peer))
    }

    /// What the lane knows of an operation; it is tried undisturbed when it is asked for first.
    pub async fn ready(&mut self, kind: Kind) -> Result<&Ready> {
        let mut tries = 0;
        while !self.ready.contains_key(&kind) {
            tries += 1;
            match self.make_ready(kind).await {
                Ok(ready) => {
                    self.ready.insert(kind, ready);
                }
                // Two who change a group at once are told to try again; that is no part of the cell.
                Err(_) if tries < PREPARATIONS => {}
                Err(error) => return Err(error.context(format!("preparing {}", kind.name()))),
            }
        }
        self.ready.get(&kind).context("just made")
    }

    async fn make_ready(&mut self, kind: Kind) -> Result<Ready> {
        for site in [&mut self.stack.a, &mut self.stack.b] {
            site.stop().await?;
        }
        self.restore(BASE).await?;
        for site in [&mut self.stack.a, &mut self.stack.b] {
            site.start().await?;
        }
        let pair: Pair = self.stack.pair("demo").await?;
        let scene = kind.prepare(&self.stack, &pair).await?;
        for site in [&self.stack.a, &self.stack.b] {
            journal::idle(&site.database(), PATIENCE).await?;
        }
        for site in [&mut self.stack.a, &mut self.stack.b] {
            if let Some(engine) = site.engine.take() {
                engine.kill().await?;
            }
        }
        kind.order(&self.stack, &pair, &scene).await?;
        self.keep(kind.name()).await?;
        let before = self.stack.simulation.world().await?;
        let journal = Journal::open(&self.site(kind.place()).database()).await?;
        let mut known = judge::ids(&before.to_string());
        known.extend(judge::ids(&journal.order()));
        journal.close().await?;
        let (_, after) = self.undisturbed(kind).await?;
        let effect = Effect::of(&before, &after, &known);
        Ok(Ready {
            before,
            known,
            effect,
        })
    }

    /// The steps of an undisturbed run, and the world after it.
    async fn undisturbed(&self, kind: Kind) -> Result<(Vec<String>, Value)> {
        let (steps, outcome, after) = self.whole(kind, None).await?;
        ensure!(
            outcome == Rest::Ended("completed".to_owned()),
            "it ends {outcome:?}"
        );
        Ok((steps.0, after))
    }

    async fn whole(
        &self,
        kind: Kind,
        failpoints: Option<&str>,
    ) -> Result<((Vec<String>, Vec<String>), Rest, Value)> {
        let (mut journal, peer) = self.begin(kind).await?;
        let list = failpoints.map(|step| format!("{}@before-call=error", journal.long(step)));
        let engine = Engine::start(self.site(kind.place()), "engine-1.out", list.as_deref())?;
        let rest = journal.at_rest(PATIENCE).await?;
        if let Some(mut peer) = peer {
            if rest == Rest::Ended("completed".to_owned()) {
                peer.at_rest().await?;
            }
            peer.close().await?;
        }
        engine.kill().await?;
        let lines = journal.lines().await?;
        let mut steps = (Vec::new(), Vec::new());
        for line in &lines {
            let list = match line.event["event"].as_str() {
                Some("intent") => &mut steps.0,
                Some("undo_intent") => &mut steps.1,
                _ => continue,
            };
            let step = journal.short(line.step());
            if !list.contains(&step) {
                list.push(step);
            }
        }
        journal.close().await?;
        let after = self.stack.simulation.world().await?;
        Ok((steps, rest, after))
    }

    /// All that there is to hit.
    pub async fn course(&mut self, kind: Kind) -> Result<Course> {
        self.ready(kind).await?;
        let (steps, _) = self.undisturbed(kind).await?;
        let mut course = Course {
            kind,
            steps,
            turns_at: None,
            undone: Vec::new(),
        };
        for step in course.steps.iter().rev() {
            let ((_, undone), rest, _) = self.whole(kind, Some(step)).await?;
            if rest == Rest::Ended("rolled_back".to_owned()) {
                course.turns_at = Some(step.clone());
                course.undone = undone;
                break;
            }
        }
        Ok(course)
    }
}

/// The other site's engine with its part of the operation.
pub struct Peer {
    engine: Engine,
    journal: Journal,
}

impl Peer {
    async fn start(site: &Site) -> Result<Self> {
        Ok(Self {
            journal: Journal::open(&site.database()).await?,
            engine: Engine::start(site, "engine-peer.out", None)?,
        })
    }

    /// Until it has done its part.
    pub async fn at_rest(&mut self) -> Result<()> {
        self.journal
            .at_rest(PATIENCE)
            .await
            .context("at the other site")?;
        Ok(())
    }

    pub async fn close(self) -> Result<()> {
        self.engine.kill().await?;
        self.journal.close().await
    }
}

fn kept(site: &Site, name: &str) -> PathBuf {
    site.directory.join("kept").join(name)
}

/// The database and what isn't in its file yet.
fn copy_database(from: &Path, to: &Path) -> Result<()> {
    for end in ["", "-wal", "-shm"] {
        let (source, target) = (
            from.join(format!("protector.db{end}")),
            to.join(format!("protector.db{end}")),
        );
        if target.exists() {
            std::fs::remove_file(&target)?;
        }
        if end != "-shm" && source.exists() {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
