//! Whether it matters how a site is lost: the same unplanned failover with the lost site refusing connections, and
//! with it taking them and never saying a word. Side by side, by turns, because machines have moods.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use protector_sim::cloud::SitesOptions;
use serde_json::json;

use crate::demo::{progress, unplanned, workload};
use crate::programs::Programs;
use crate::screen::Screen;
use crate::sites;
use crate::stack::{Loss, Stack};

#[derive(Args)]
pub(crate) struct Options {
    /// How often each way is tried
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Where configuration, databases and logs go; what a former run left there is removed
    #[arg(long, value_name = "DIR", default_value = ".run/lost-site")]
    dir: PathBuf,
    /// Take protector's programs as they are instead of building them first
    #[arg(long)]
    no_build: bool,
}

/// What one failover came to.
struct Run {
    seconds: f64,
    /// Connections to the lost site until it was completed.
    knocks: u64,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    ensure!(options.runs > 0, "nothing is to be measured");
    let programs = Programs::ready(!options.no_build).await?;
    let mut screen = Screen::new();
    let (mut refused, mut silent) = (Vec::new(), Vec::new());
    for number in 1..=options.runs {
        for (loss, runs, told) in [
            (Loss::Dark, &mut refused, "refused"),
            (Loss::Silent, &mut silent, "silent"),
        ] {
            // A run keeps its folder to itself until the program ends.
            let place = options.dir.join(format!("{number}-{told}"));
            let run = once(&programs, &place, loss).await?;
            screen.step(&format!(
                "run {number}, {told}: {:.2} s, {} knocks",
                run.seconds, run.knocks
            ));
            runs.push(run);
        }
    }
    let (usual, hanging) = (median(&refused), median(&silent));
    sites::say(&json!({
        "bench": "lost site", "runs": options.runs, "refused_seconds": round(usual), "silent_seconds": round(hanging),
        "ratio_silent": round(hanging / usual), "knocks_silent": silent.iter().map(|run| run.knocks).sum::<u64>()
    }));
    Ok(())
}

async fn once(programs: &Programs, directory: &Path, loss: Loss) -> Result<Run> {
    let mut stack = Stack::start(&SitesOptions::default(), programs, directory).await?;
    stack.register().await?;
    let tenant = stack.pair("demo").await?;
    workload::make_networks(tenant.here().session(), tenant.there().session()).await?;
    let mut quiet = Screen::nowhere();
    let (group, _) = unplanned::replicated_group(&stack, &tenant, "bench", &mut quiet).await?;
    stack.lose("site-a", loss).await?;
    let survivor = stack.site("site-b", "demo").await?;
    let before = knocks(&stack)?;
    let ordered = Instant::now();
    let operation = survivor.take_over(&group, &workload::mappings()).await?;
    let operation = survivor
        .watch(operation, Duration::from_millis(20), |_| {})
        .await?;
    let seconds = ordered.elapsed().as_secs_f64();
    let knocks = knocks(&stack)? - before;
    progress::completed(&operation)?;
    stack.stop().await;
    Ok(Run { seconds, knocks })
}

/// How often somebody has knocked at site-a so far.
fn knocks(stack: &Stack) -> Result<u64> {
    let cloud = stack.cloud("site-a")?;
    let array = stack.sites.fabric().faults(&cloud.spec().array)?;
    Ok(cloud.faults().state().connections + array.state().connections)
}

fn median(runs: &[Run]) -> f64 {
    let mut seconds: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or_default()
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
