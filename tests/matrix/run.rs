//! One cell: the order, the blow, the end, and the verdict.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::cell::{Blow, Cell};
use crate::engine::Engine;
use crate::journal::{Journal, Rest};
use crate::judge::{self, Effect, Verdict};
use crate::lane::{Lane, PATIENCE, Peer};

/// What came of a cell.
pub struct Outcome {
    /// `completed` or `rolled_back`.
    pub ended: String,
    /// It waited for the operator before.
    pub waited: bool,
    /// From the start of the next engine to the first line that it wrote.
    pub resumed_ms: Option<f64>,
    pub verdict: Verdict,
    /// An engine that nobody had stopped lost its lease: the machine was too busy.
    pub lease_lost: bool,
}

/// An engine that starts after another one was hit goes on within this time.
const RESUMED_WITHIN_MS: f64 = 5000.0;

pub async fn run(lane: &mut Lane, cell: &Cell) -> Result<Outcome> {
    lane.ready(cell.kind).await?;
    let (mut journal, mut peer) = lane.begin(cell.kind).await?;
    let ended = strike(lane, cell, &mut journal, &mut peer).await;
    // The databases are exchanged next: nobody may have them open.
    if let Some(peer) = peer {
        peer.close().await?;
    }
    let ended = match ended {
        Ok((outcome, waited)) => told(cell, &mut journal, &outcome.ended, waited)
            .await
            .map(|findings| (outcome, findings)),
        Err(error) => Err(error),
    };
    journal.close().await?;
    let (mut outcome, findings) = ended?;
    outcome.verdict = judge(lane, cell, &outcome.ended).await?;
    outcome.verdict.findings.extend(findings);
    if let Some(late) = outcome.resumed_ms.filter(|took| *took > RESUMED_WITHIN_MS) {
        outcome
            .verdict
            .findings
            .push(format!("resumed after {late:.0} ms"));
    }
    Ok(outcome)
}

/// The blow, and the end that it comes to.
async fn strike(
    lane: &Lane,
    cell: &Cell,
    journal: &mut Journal,
    peer: &mut Option<Peer>,
) -> Result<(Outcome, bool)> {
    let list = failpoints(cell, journal);
    let engine = Engine::start(lane.site(cell.kind.place()), "engine-1.out", Some(&list))?;
    let mut run = Run {
        lane,
        cell,
        journal,
        resumed_ms: None,
        waited: false,
        lease_lost: false,
    };
    let ended = match cell.blow {
        Blow::Kill => run.kill(engine).await,
        Blow::Sleep => run.sleep(engine).await,
        Blow::Error | Blow::Lost | Blow::Twice => run.fail(engine).await,
    }?;
    let (resumed_ms, waited, lease_lost) = (run.resumed_ms, run.waited, run.lease_lost);
    // Who waits for something that was taken back here waits until somebody comes back for it.
    if let Some(peer) = peer
        && ended == "completed"
    {
        peer.at_rest().await?;
    }
    let outcome = Outcome {
        ended,
        waited,
        resumed_ms,
        verdict: Verdict::default(),
        lease_lost,
    };
    Ok((outcome, waited))
}

fn failpoints(cell: &Cell, journal: &Journal) -> String {
    let step = journal.long(&cell.step);
    let blow = format!("{}={}", cell.point, cell.blow.action());
    match &cell.fails {
        Some(fails) => format!("{}@before-call=error; undo:{step}@{blow}", journal.long(fails)),
        None => format!("{step}@{blow}"),
    }
}

/// The blow met another thread of the engine in the midst of a write: until that goes on or is ended, which is what
/// systemd's watchdog does, nobody writes to SQLite's file.
#[derive(Debug)]
pub struct FrozenInAWrite;

impl std::fmt::Display for FrozenInAWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the engine was frozen while it held the database's lock")
    }
}

impl std::error::Error for FrozenInAWrite {}

struct Run<'a> {
    lane: &'a Lane,
    cell: &'a Cell,
    journal: &'a mut Journal,
    resumed_ms: Option<f64>,
    waited: bool,
    lease_lost: bool,
}

impl Run<'_> {
    fn next_engine(&self) -> Result<Engine> {
        Engine::start(self.lane.site(self.cell.kind.place()), "engine-2.out", None)
    }

    async fn stopped(&mut self, engine: &mut Engine) -> Result<i64> {
        engine.stopped(self.journal).await?;
        self.journal.newest().await
    }

    /// The engine is killed, and the next one ends what it began.
    async fn kill(&mut self, mut engine: Engine) -> Result<String> {
        let newest = self.stopped(&mut engine).await?;
        engine.kill().await?;
        let started = now();
        let next = self.next_engine()?;
        self.journal.goes_on(newest, PATIENCE).await?;
        let ended = self.end(&next).await?;
        self.resumed(newest, started).await?;
        next.kill().await?;
        Ok(ended)
    }

    /// The engine sleeps, another one takes over and ends the work, and then the first one wakes up.
    async fn sleep(&mut self, mut engine: Engine) -> Result<String> {
        let newest = self.stopped(&mut engine).await?;
        if !self.journal.can_be_written().await? {
            return Err(FrozenInAWrite.into());
        }
        let started = now();
        let next = self.next_engine()?;
        self.journal.goes_on(newest, PATIENCE).await?;
        let ended = self.end(&next).await?;
        self.resumed(newest, started).await?;
        engine.wake()?;
        engine.says(LEFT).await?;
        engine.end().await?;
        next.kill().await?;
        Ok(ended)
    }

    /// The engine goes on by itself.
    async fn fail(&mut self, engine: Engine) -> Result<String> {
        let ended = self.end(&engine).await?;
        ensure!(engine.has_said("a failpoint fires")?, "the blow hit nothing");
        engine.kill().await?;
        Ok(ended)
    }

    /// Where an error was answered behind the point of no return somebody has to say that it is to go on.
    async fn end(&mut self, engine: &Engine) -> Result<String> {
        let mut rest = self.journal.at_rest(PATIENCE).await?;
        if rest == Rest::Waits {
            ensure!(
                self.cell.fails_for_good() && self.cell.fails.is_none(),
                "it waits for the operator: {}",
                self.journal.tail().await?
            );
            self.waited = true;
            self.journal.retry().await?;
            rest = self.journal.at_rest(PATIENCE).await?;
        }
        self.lease_lost |= engine.has_said("end=Lost")?;
        match rest {
            Rest::Ended(outcome) => Ok(outcome),
            Rest::Waits => anyhow::bail!("it waits again: {}", self.journal.tail().await?),
        }
    }

    async fn resumed(&mut self, newest: i64, started: f64) -> Result<()> {
        let lines = self.journal.lines().await?;
        let first = lines
            .iter()
            .find(|line| line.seq > newest)
            .context("nobody went on")?;
        self.resumed_ms = Some(first.at - started);
        Ok(())
    }
}

/// What an engine says when it has nothing more to do with an operation.
const LEFT: &str = "left a saga";

async fn judge(lane: &mut Lane, cell: &Cell, ended: &str) -> Result<Verdict> {
    let after = settled(lane).await?;
    let ready = lane.ready(cell.kind).await?;
    Ok(match ended {
        "completed" => {
            let effect = Effect::of(&ready.before, &after, &ready.known);
            judge::completed(&effect, &ready.effect, &after)
        }
        _ => {
            let elsewhere = [cell.kind.elsewhere(), cell.stays_in_doubt()].concat();
            judge::taken_back(&ready.before, &after, &elsewhere, cell.kind.gives_up())
        }
    })
}

/// The world, once nothing happens in it by itself any more.
async fn settled(lane: &Lane) -> Result<serde_json::Value> {
    loop {
        let world = lane.stack.simulation.world().await?;
        let busy = |site: &str| world[site]["under_way"].as_u64().unwrap_or_default() > 0;
        if !busy("site-a") && !busy("site-b") {
            return Ok(world);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether it ended as the blow demands, and failed where it was hit.
async fn told(cell: &Cell, journal: &mut Journal, ended: &str, waited: bool) -> Result<Vec<String>> {
    let back = cell.fails.is_some() || (cell.fails_for_good() && !waited);
    let wanted = if back { "rolled_back" } else { "completed" };
    let mut findings = Vec::new();
    if ended != wanted {
        findings.push(format!("it ended {ended} and not {wanted}"));
    }
    let lines = journal.lines().await?;
    let failed: Vec<String> = lines
        .iter()
        .filter(|line| line.is("failed") && line.event["class"] == "permanent")
        .map(|line| journal.short(line.step()))
        .collect();
    let hit = match (&cell.fails, cell.fails_for_good()) {
        (Some(fails), _) => vec![fails.clone()],
        (None, true) => vec![cell.step.clone()],
        (None, false) => Vec::new(),
    };
    if failed != hit {
        findings.push(format!("{failed:?} failed and not {hit:?}"));
    }
    Ok(findings)
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64() * 1000.0
}
