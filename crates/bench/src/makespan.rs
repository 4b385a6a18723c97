//! A planned failover of 1 to 1,000 servers with three volumes each, and what ten thousand cost in memory.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use protector_domain::Outcome;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::calls::{About, Counter};
use crate::engine::{Cost, Engine};
use crate::profile::R1;
use crate::world::World;

const VOLUMES_EACH: usize = 3;
/// Sizes whose times are compared with the bound, and how many times faster than R1 their clouds are.
const TIMED: [(usize, f64); 4] = [(1, 1.0), (10, 1.0), (100, 1.0), (1_000, 2.0)];
/// The size whose memory is measured. The machine is the limit there, not the clouds.
const LARGE: (usize, f64) = (10_000, 20.0);

#[derive(Args)]
pub struct Sizes {
    /// Only this many servers
    #[arg(long, value_name = "N")]
    servers: Option<usize>,
    /// How many times faster than the profile the clouds are, for --servers
    #[arg(long, default_value_t = 4.0, value_name = "FACTOR", requires = "servers")]
    scale: f64,
    /// Leave out the ten thousand servers whose memory is measured
    #[arg(long)]
    without_large: bool,
    /// Have the last server's address taken, so that everything is taken back, and tell what that costs
    #[arg(long, requires = "servers")]
    rollback: bool,
}

/// What one run has shown.
struct Run {
    servers: usize,
    outcome: Outcome,
    bound: f64,
    measured: f64,
    calls: u64,
    per_volume: f64,
    per_server: f64,
    per_port: f64,
    cpu_ms: f64,
    peak_mb: f64,
}

impl Run {
    fn ratio(&self) -> f64 {
        self.measured / self.bound
    }

    fn json(&self) -> Value {
        if self.outcome != Outcome::Completed {
            // The bound is that of the way forward.
            return json!({
                "servers": self.servers, "outcome": self.outcome, "measured_seconds": round(self.measured),
                "calls": self.calls, "cpu_ms_per_vm": round(self.cpu_ms), "peak_mb": round(self.peak_mb),
            });
        }
        json!({
            "servers": self.servers, "bound_seconds": round(self.bound), "measured_seconds": round(self.measured),
            "ratio": round(self.ratio()), "calls": self.calls, "calls_per_volume": round(self.per_volume),
            "calls_per_server": round(self.per_server), "calls_per_port": round(self.per_port),
            "cpu_ms_per_vm": round(self.cpu_ms), "peak_mb": round(self.peak_mb),
        })
    }
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
pub async fn measure(sizes: &Sizes) -> Result<()> {
    println!("{}", R1.explained());
    if let Some(servers) = sizes.servers {
        let outcome = match sizes.rollback {
            true => Outcome::RolledBack,
            false => Outcome::Completed,
        };
        let run = one(servers, sizes.scale, outcome).await?;
        println!("{}", run.json());
        return Ok(());
    }
    let mut figures = Map::new();
    let mut runs = Vec::new();
    for (servers, scale) in TIMED {
        let run = one(servers, scale, Outcome::Completed).await?;
        figures.insert(format!("ratio_{servers}"), json!(round(run.ratio())));
        if servers == 1_000 {
            let all = (run.calls as f64) / servers as f64;
            figures.insert("calls_per_vm".to_owned(), json!(round(all)));
            figures.insert("cpu_ms_per_vm".to_owned(), json!(round(run.cpu_ms)));
        }
        runs.push(run.json());
    }
    if !sizes.without_large {
        let run = one(LARGE.0, LARGE.1, Outcome::Completed).await?;
        figures.insert(format!("peak_mb_{}", LARGE.0), json!(round(run.peak_mb)));
        runs.push(run.json());
    }
    figures.insert("runs".to_owned(), json!(runs));
    println!("{}", Value::Object(figures));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
async fn one(servers: usize, scale: f64, outcome: Outcome) -> Result<Run> {
    let begun = Instant::now();
    let world = World::with(servers, VOLUMES_EACH, scale).await?;
    println!(
        "{servers} servers, clouds {scale} times faster than R1 (set up in {:.0?})",
        begun.elapsed()
    );
    let mut engine = Engine::start(&world.conf, &world.directory.path().join("engine.log"))?;
    world.slow_down(scale)?;
    if outcome == Outcome::RolledBack {
        world.take_last_address(servers)?;
    }
    // It looks around at its start; that isn't part of the work.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = engine.cost()?;
    let counter = Counter::start(world.call_logs());
    let ordered = Instant::now();
    let operation = world.order().await?;
    let bound = R1.bound(servers, VOLUMES_EACH);
    let patience = Duration::from_secs_f64(bound / scale * 20.0 + 120.0);
    let ended = loop {
        ensure!(engine.is_alive()?, "the engine has ended:\n{}", world.log());
        let now = world.operation(operation).await?;
        if now.status.is_final() {
            break now;
        }
        ensure!(
            now.waiting_for.is_none() && ordered.elapsed() < patience,
            "the failover doesn't end: {} %, {:?}, {:?}\n{}",
            now.progress,
            now.current_step,
            now.error_message,
            world.log()
        );
        tokio::time::sleep(Duration::from_millis(5).max(patience / 20_000)).await;
    };
    let measured = ordered.elapsed().as_secs_f64() * scale;
    ensure!(
        ended.outcome == Some(outcome),
        "the failover was to end as {outcome:?}: {:?}",
        ended.error_message
    );
    let cost = engine.cost()?;
    let tally = counter.end().await;
    let run = report(servers, outcome, measured, idle, cost, &tally);
    println!(
        "  bound {:.2} s, measured {:.2} s, ratio {:.3}; {} calls: {:.2} a volume, {:.2} a server, {:.2} a port; \
         engine {:.2} ms CPU a server, {:.0} MB at most\n{}",
        run.bound,
        run.measured,
        run.ratio(),
        run.calls,
        run.per_volume,
        run.per_server,
        run.per_port,
        run.cpu_ms,
        run.peak_mb,
        tally.told()
    );
    Ok(run)
}

fn report(
    servers: usize,
    outcome: Outcome,
    measured: f64,
    idle: Cost,
    cost: Cost,
    tally: &crate::calls::Tally,
) -> Run {
    let per = |about, things: usize| tally.of(about) as f64 / things as f64;
    Run {
        servers,
        outcome,
        bound: R1.bound(servers, VOLUMES_EACH),
        measured,
        calls: tally.total(),
        per_volume: per(About::Volume, servers * VOLUMES_EACH),
        per_server: per(About::Server, servers),
        per_port: per(About::Port, servers),
        cpu_ms: (cost.cpu_seconds - idle.cpu_seconds) * 1000.0 / servers as f64,
        peak_mb: cost.peak_mb,
    }
}
