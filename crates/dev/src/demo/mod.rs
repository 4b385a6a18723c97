//! The demo in two acts: a group of servers moves from one cloud to another with its data, addresses and networks;
//! then the first cloud is lost, and the other one brings up a second group from what had been replicated.
//!
//! What happens is ordered over public REST, as any client does it. What came of it is read from the simulated
//! clouds and arrays, so that protector isn't its own witness.

pub(crate) mod look;
mod planned;
pub(crate) mod progress;
mod protection;
pub(crate) mod unplanned;
mod verdict;
pub(crate) mod workload;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use protector_sim::cloud::SitesOptions;
use serde_json::{Value, json};

use self::verdict::Row;
use crate::programs::Programs;
use crate::screen::Screen;
use crate::sites;
use crate::stack::Stack;

/// How long one part may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Args)]
#[command(after_long_help = "\
Examples:
  protector-dev demo           both acts, less than a minute
  protector-dev demo --stay    the same, and look around at site-b afterwards

The last line is JSON with what was counted. To try things yourself: protector-dev up")]
pub(crate) struct Options {
    /// Where configuration, databases and logs go; what a former run left there is removed
    #[arg(long, value_name = "DIR", default_value = ".run/demo")]
    dir: PathBuf,
    /// Take protector's programs as they are instead of building them first
    #[arg(long)]
    no_build: bool,
    /// Leave what is still there running at the end, to look around, until Ctrl-C
    #[arg(long)]
    stay: bool,
}

/// What an act came to.
struct Ending {
    members: usize,
    volumes: usize,
    /// From the order to the end of the operation.
    seconds: f64,
}

impl Ending {
    fn of(rows: &[Row], seconds: f64) -> Self {
        Self {
            members: rows.len(),
            volumes: rows.iter().map(|row| row.before.disks.len()).sum(),
            seconds,
        }
    }
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let mut screen = Screen::new();
    let began = Instant::now();
    let show = async {
        let programs = Programs::ready(!options.no_build).await?;
        screen.step("starting two simulated clouds with their arrays, and protector on both");
        let mut stack = Stack::start(&SitesOptions::default(), &programs, &options.dir).await?;
        for line in stack.tour() {
            screen.line(&format!("          {line}"));
        }
        let told = play(&mut stack, &mut screen, began).await;
        anyhow::Ok((stack, told))
    };
    let (stack, told) = tokio::select! {
        shown = show => shown?,
        // Dropping what has been started ends it.
        stopped = crate::asked_to_stop() => {
            stopped?;
            bail!("stopped by request; what the demo had started is gone");
        }
    };
    if told.is_err() {
        screen.line(&format!(
            "          the services' logs: {}/site-*/log",
            options.dir.display()
        ));
    }
    if options.stay {
        screen.line(&format!(
            "          what is left stays up until Ctrl-C; try: OS_CLIENT_CONFIG_FILE={} openstack --os-cloud site-b server list",
            stack.clouds_yaml.display()
        ));
        crate::asked_to_stop().await?;
    }
    stack.stop().await;
    let told = told?;
    sites::say(&told);
    Ok(())
}

async fn play(stack: &mut Stack, screen: &mut Screen, began: Instant) -> Result<Value> {
    screen.step("registering the sites with each other, as their administrator");
    stack.register().await?;
    let tenant = stack.pair("demo").await?;
    workload::make_networks(tenant.here().session(), tenant.there().session()).await?;
    // Tells this run's data from that of any other.
    let mark = format!("{:08x}", std::process::id());
    let planned = planned::play(stack, &tenant, &mark, screen).await?;
    let (unplanned, age) = unplanned::play(stack, &tenant, &mark, screen).await?;
    Ok(json!({
        "demo": "planned failover", "members": planned.members, "volumes": planned.volumes, "data": "identical",
        "failover_seconds": round(planned.seconds), "seconds": round(began.elapsed().as_secs_f64()),
        "unplanned": {
            "members": unplanned.members, "volumes": unplanned.volumes, "data": "as replicated",
            "data_age_seconds": round(age), "failover_seconds": round(unplanned.seconds)
        }
    }))
}

fn round(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}
