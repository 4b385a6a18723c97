//! The site that moves a group to the other one is lost while it does so: the other one carries the move on with what it
//! finds. When the lost site is back, its engine leaves everything as it is.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use protector_tests::programs::Program;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::fencing::until_held;
use crate::harness::protection::Group;
use crate::harness::{Pair, Stack, Trouble, names};
use crate::takeover::take_over;

const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// All that a planned failover does after it was announced.
const STEPS: [&str; 15] = [
    "stop-server",
    "final-snapshot",
    "fence-replication",
    "create-keypairs",
    "clone-volume/0",
    "clone-volume/1",
    "import-volume/0",
    "import-volume/1",
    "hand-over-volume/0",
    "create-ports",
    "boot-server",
    "join-consistency-group",
    "commit",
    "lock-old-server",
    "reverse-replication",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The whole site is dead, and comes back later.
    Dead,
    /// Its engine stands still while all else lives, and goes on later.
    Frozen,
}

/// A group of one server whose planned failover has come so far.
struct Scene {
    stack: Stack,
    pair: Pair,
    group: Group,
    operation: String,
    /// The engine of site-a, which has stopped itself.
    engine: Option<Program>,
}

async fn stopped(engine: &Program) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !engine.is_stopped()? {
        ensure!(Instant::now() < end, "the blow hit nothing");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

impl Scene {
    async fn stopped_at(place: &str) -> Result<Self> {
        Self::stopped_meanwhile(place, &[]).await
    }

    async fn stopped_meanwhile(place: &str, troubles: &[Trouble]) -> Result<Self> {
        let mut stack = Stack::configured("[engine]\nfencing_interval_ms = 500\n").await?;
        let pair = stack.pair("demo").await?;
        let group = stack.protected(&pair, "web", 1).await?;
        stack.replicated().await?;
        if let Some(engine) = stack.a.engine.take() {
            engine.kill().await?;
        }
        let log = stack.a.directory.join("struck.log");
        let blow = format!("{place}=stop");
        let engine = stack.a.engine_with(&log, &[("PROTECTOR_FAILPOINTS", &blow)])?;
        // What the last scheduled snapshot hasn't.
        let server = &group.servers[0];
        for device in stack.simulation.devices("site-a", server).await? {
            let marker = format!("web-0 {device} last");
            stack.simulation.write("site-a", server, &device, &marker).await?;
        }
        for trouble in troubles {
            trouble.cause(&stack.simulation).await?;
        }
        let operation = pair.failover(&group.id, json!({})).await?;
        stopped(&engine).await?;
        Ok(Self {
            stack,
            pair,
            group,
            operation,
            engine: Some(engine),
        })
    }

    async fn operation(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let path = format!("/operations/{}", self.operation);
        self.pair.until(&path, "operation", wanted).await
    }

    /// One server with its two disks, and nothing else, on the array either.
    async fn is_here_once(&self) -> Result<()> {
        self.stack.arrived(&self.pair, &self.group).await?;
        let there = &self.pair.there;
        let servers = there.listed("compute", "/servers/detail", "servers").await?;
        ensure!(names(&servers) == ["web-0"], "servers: {:?}", names(&servers));
        let volumes = there.listed("volumev3", "/volumes/detail", "volumes").await?;
        ensure!(
            volumes.len() == 2 && volumes.iter().all(|volume| volume["status"] == "in-use"),
            "volumes: {volumes:#?}"
        );
        let ports = there.listed("network", "/v2.0/ports", "ports").await?;
        ensure!(
            ports.iter().all(|port| port["device_id"] == servers[0]["id"]),
            "ports: {ports:#?}"
        );
        let service = self.stack.b.sign_in("protector").await?;
        let kept = service.listed("volumev3", "/volumes/detail", "volumes").await?;
        ensure!(kept.is_empty(), "the service keeps {kept:#?}");
        let live = self.array_volumes().await?;
        ensure!(live.len() == 2, "{} volumes on the array: {live:#?}", live.len());
        Ok(())
    }

    async fn array_volumes(&self) -> Result<Vec<Value>> {
        let array = self.stack.simulation.array_state("fa-b").await?;
        let all = array["volumes"].as_array().into_iter().flatten();
        Ok(all
            .filter(|volume| volume["destroyed"] == false)
            .cloned()
            .collect())
    }

    /// Everything that was written before the server stopped is on the disks.
    async fn nothing_is_lost(&self) -> Result<()> {
        let servers = self
            .pair
            .there
            .listed("compute", "/servers/detail", "servers")
            .await?;
        let server = servers[0]["id"].as_str().context("no server")?;
        for device in self.stack.simulation.devices("site-b", server).await? {
            let read = self.stack.simulation.read("site-b", server, &device).await?;
            ensure!(read.contains(&format!("web-0 {device} last")), "{device}: {read}");
        }
        Ok(())
    }

    /// The flags of operations that were taken over.
    async fn flags(&self) -> Result<usize> {
        let array = self.stack.simulation.array_state("fa-b").await?;
        let groups = array["groups"].as_array().into_iter().flatten();
        let up =
            |group: &&Value| group["name"].to_string().contains("taken-over") && group["destroyed"] == false;
        Ok(groups.filter(up).count())
    }

    async fn lose(&mut self, loss: Loss) -> Result<()> {
        match loss {
            Loss::Dead => {
                if let Some(engine) = self.engine.take() {
                    engine.kill().await?;
                }
                self.stack.lose_site_a().await
            }
            Loss::Frozen => self.stack.a.stop().await,
        }
    }

    async fn bring_back(&mut self, loss: Loss) -> Result<()> {
        match loss {
            Loss::Dead => {
                self.stack.return_site_a().await?;
                self.stack.a.start().await
            }
            Loss::Frozen => {
                let engine = self.engine.take().context("no engine")?;
                engine.signal(Signal::CONT)?;
                self.stack.a.engine = Some(engine);
                self.stack.a.start_api().await
            }
        }
    }
}

/// The lost site has heard of the takeover.
async fn flag_down(scene: &Scene) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while scene.flags().await? > 0 {
        ensure!(Instant::now() < end, "the flag stays up");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn carried_on(place: &str, loss: Loss) -> Result<()> {
    let mut scene = Scene::stopped_at(place).await?;
    // Once the last snapshot is complete it holds all that was ever written.
    let all = !place.starts_with("stop-server");
    scene.lose(loss).await?;
    let ended = take_over(&scene.pair, &scene.group.id).await?;
    ensure!(ended["outcome"] == "completed", "{ended:#}");
    scene.is_here_once().await?;
    if all {
        scene.nothing_is_lost().await?;
    }
    ensure!(scene.flags().await? == 1, "no flag is up");
    scene.bring_back(loss).await?;
    let own = scene.operation(|now| !now["outcome"].is_null()).await?;
    // One that was past its point of no return has come to the same end.
    let committed = ["lock-old-server", "reverse-replication"]
        .iter()
        .any(|step| place.starts_with(step))
        || place.starts_with("commit@after");
    if !committed {
        ensure!(
            own["outcome"] == "abandoned"
                && own["error_message"]
                    .to_string()
                    .contains("has taken the protection group over"),
            "{own:#}"
        );
    }
    until_held(&scene.pair, &scene.group).await?;
    // The news is brought, whatever the lost site makes of its own.
    scene.pair.reversed().push(&scene.group.id).await?;
    let path = format!("/protection-groups/{}", scene.group.id);
    let seen = async |session: &crate::harness::Session| -> Result<Value> {
        let shown = session.get(&path).await?["protection_group"].clone();
        Ok(json!([
            shown["epoch"],
            shown["version"],
            shown["current_primary_site"],
            shown["status"]
        ]))
    };
    let (here, there) = (seen(&scene.pair.here).await?, seen(&scene.pair.there).await?);
    ensure!(here == there && here[2] == "site-b", "{here} and {there}");
    flag_down(&scene).await?;
    scene.is_here_once().await?;
    for site in [&scene.stack.a, &scene.stack.b] {
        let (well, said) = site.says("protector-manage", &["orphans", "list"]).await?;
        ensure!(well && !said.contains("web-0"), "orphans: {said}");
    }
    scene.stack.nobody_panicked()
}

async fn everywhere(places: Vec<String>, loss: Loss) -> Result<()> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut runs = JoinSet::new();
    for place in places {
        let permits = permits.clone();
        runs.spawn(async move {
            let _permit = permits.acquire_owned().await?;
            carried_on(&place, loss)
                .await
                .with_context(|| format!("{loss:?} at {place}"))
        });
    }
    let mut failures = Vec::new();
    while let Some(run) = runs.join_next().await {
        if let Err(error) = run? {
            failures.push(format!("{error:#}"));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o2_a_planned_failover_of_a_site_that_dies_anywhere_in_it_is_carried_on() -> Result<()> {
    everywhere(
        STEPS.iter().map(|step| format!("{step}@after-call")).collect(),
        Loss::Dead,
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o2_an_engine_that_was_frozen_leaves_what_was_carried_on_alone() -> Result<()> {
    let steps = [
        "clone-volume/0",
        "import-volume/0",
        "hand-over-volume/1",
        "create-ports",
        "boot-server",
        "commit",
    ];
    everywhere(
        steps.iter().map(|step| format!("{step}@before-call")).collect(),
        Loss::Frozen,
    )
    .await
}

#[tokio::test]
async fn o2_a_clone_that_was_on_its_way_when_the_site_was_lost_does_not_stay() -> Result<()> {
    let clone = |part: &str| Trouble::at("fa-b", "POST /volumes$").query(part).times(1);
    // The engine stops itself after the first one, which leaves the second one the time to be sent.
    let troubles = [
        clone("-0-").held_back(),
        clone("-1-").held_back_for(Duration::from_secs(30)),
    ];
    let mut scene = Scene::stopped_meanwhile("clone-volume/0@after-outcome", &troubles).await?;
    scene.lose(Loss::Frozen).await?;
    let ended = take_over(&scene.pair, &scene.group.id).await?;
    ensure!(ended["outcome"] == "completed", "{ended:#}");
    scene.is_here_once().await?;
    let end = Instant::now() + PATIENCE;
    while scene.array_volumes().await?.len() < 3 {
        ensure!(Instant::now() < end, "the clone wasn't made once more");
        sleep(Duration::from_millis(100)).await;
    }
    scene.bring_back(Loss::Frozen).await?;
    scene.operation(|now| !now["outcome"].is_null()).await?;
    until_held(&scene.pair, &scene.group).await?;
    scene.pair.reversed().push(&scene.group.id).await?;
    flag_down(&scene).await?;
    scene.is_here_once().await?;
    scene.nothing_is_lost().await?;
    scene.stack.nobody_panicked()
}
