//! protector-engine: does the work that the database says there is.

use std::env::VarError;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use protector_oslo::config::Config;
use protector_ports::Store;
use protector_saga::driver::Options as DriverOptions;
use protector_saga::engine::{Engine, Planner};
use protector_saga::{Driver, Failpoints, Journal, Owner};
use protector_workflows::{Fencer, Lookout, Recorder};
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use crate::options as opt;
use crate::tenure::Tenure;
use crate::{parts, start, systemd};

/// What is to go wrong in this process: see [`protector_saga::failpoint`].
const FAILPOINTS: &str = "PROTECTOR_FAILPOINTS";

/// How long the broker may hold up a stop.
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs until the process is asked to stop; running steps end first.
pub fn work(config: &Config) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(config))
}

async fn run(config: &Config) -> Result<()> {
    let broker = parts::broker(config)?;
    let store: Arc<dyn Store> = parts::store(config).await?;
    let local = store
        .local_site_id()
        .await
        .context("the site's identity can't be read")?;
    let poll = parts::poll(config);
    let workflows = parts::workflows(config, store.clone(), local)?;
    let owner = Owner(format!(
        "{}:{}:{}",
        host(),
        std::process::id(),
        uuid::Uuid::new_v4()
    ));
    let recorder = Recorder::of(&workflows);
    let (fencer, lookout) = (Fencer::of(&workflows), Lookout::of(&workflows));
    let (mut journal, mut planner): (Arc<dyn Journal>, Arc<dyn Planner>) = (store, Arc::new(workflows));
    if let Some(failpoints) = failpoints()? {
        journal = failpoints.around_journal(journal);
        planner = failpoints.around_planner(planner);
    }
    let tenure = begin_tenure(config, &owner);
    let relieving = journal.clone();
    let driver = Driver::new(
        journal,
        owner.clone(),
        DriverOptions {
            lease: lease(config),
            poll,
            max_parallel: usize::try_from(config.get(&opt::STEPS_AT_ONCE))
                .context("[engine] steps_at_once")?,
            ..DriverOptions::default()
        },
    );
    let stop = CancellationToken::new();
    let ending = stop.clone();
    tokio::spawn(async move {
        start::asked_to_stop().await;
        systemd::stopping();
        ending.cancel();
    });
    let beside = [
        tokio::spawn(recorder.run(stop.clone())),
        tokio::spawn(fencer.run(stop.clone())),
        tokio::spawn(lookout.run(stop.clone())),
    ];
    let engine = Engine::new(driver, planner).with_pulse(systemd::alive);
    let tenure = tenure.map(|tenure| tokio::spawn(tenure.relieve(relieving, engine.waker())));
    check_watchdog(lease(config));
    let listener = broker.map(|broker| {
        tracing::info!("woken through the broker at {broker}; the database is looked at all the same");
        let waker = engine.waker();
        let stop = stop.clone();
        tokio::spawn(
            async move { protector_bus::listen(broker, "protector-engine", || waker.wake(), stop).await },
        )
    });
    tracing::info!(site = %local, %owner, "protector-engine works");
    systemd::ready();
    engine.run(stop).await;
    // What they were about is begun again after the next start.
    for task in beside {
        task.abort();
    }
    if let Some(listener) = listener {
        // It has been asked to stop along with the engine.
        let _ = tokio::time::timeout(GOODBYE, listener).await;
    }
    if let Some(tenure) = tenure {
        tenure.abort();
    }
    tracing::info!("protector-engine has stopped");
    Ok(())
}

/// Without it work goes on all the same, some seconds later after a crash.
fn begin_tenure(config: &Config, owner: &Owner) -> Option<Tenure> {
    let state = config.get(&opt::STATE_PATH);
    match Tenure::begin(Path::new(&state), owner.clone()) {
        Ok(Some(tenure)) => return Some(tenure),
        Ok(None) => tracing::info!(
            "many engines share {state}: what dead ones have left waits for the end of its lease"
        ),
        Err(error) => tracing::warn!("what dead engines have left waits for the end of its lease: {error:#}"),
    }
    None
}

fn lease(config: &Config) -> Duration {
    match config.get(&opt::LEASE_MS) {
        Some(millis) => Duration::from_millis(millis.unsigned_abs()),
        None => Duration::from_secs(config.get(&opt::LEASE).unsigned_abs()),
    }
}

/// The claims are renewed three times a lease, and each time systemd is told: more often it can't be.
fn check_watchdog(lease: Duration) {
    let often = lease / 3;
    if let Some(watchdog) = systemd::watchdog().filter(|watchdog| *watchdog < often * 2) {
        tracing::warn!(
            "systemd's watchdog wants a sign every {watchdog:?}, but with this lease it gets one every {often:?}: set WatchdogSec \
             in the unit to {:?} or more, or [engine] lease_seconds to less",
            often * 2
        );
    }
}

/// What a test wants to go wrong in this process.
fn failpoints() -> Result<Option<Failpoints>> {
    let text = match std::env::var(FAILPOINTS) {
        Ok(text) => text,
        Err(VarError::NotPresent) => return Ok(None),
        Err(error) => return Err(error).context(FAILPOINTS),
    };
    let failpoints = Failpoints::parse(&text, stop_this_process).context(FAILPOINTS)?;
    tracing::warn!("{FAILPOINTS} is set: this engine will fail as it says, which is for tests only: {text}");
    Ok(Some(failpoints))
}

/// Halts all of the process, and returns when somebody has let it go on (SIGCONT).
#[expect(
    clippy::disallowed_methods,
    reason = "the whole process is to stand still, this thread first of all"
)]
fn stop_this_process() {
    if let Err(error) = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP) {
        tracing::warn!(%error, "this process can't stop itself");
    }
    // The signal reaches one thread after the other; this one doesn't run ahead of it.
    std::thread::sleep(Duration::from_millis(20));
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
