//! protector-engine: does the work that the database says there is.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use protector_oslo::config::Config;
use protector_ports::{Store, SystemClock};
use protector_saga::driver::Options as DriverOptions;
use protector_saga::engine::Engine;
use protector_saga::{Driver, Journal, Owner};
use protector_workflows::{ImportAs, Options, Recorder, Workflows};
use tokio_util::sync::CancellationToken;

use crate::options as opt;
use crate::{parts, start};

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
    let options = Options {
        group_type: config.get(&opt::GROUP_TYPE),
        import_as: ImportAs::from_word(&config.get(&opt::IMPORT_AS)).unwrap_or_default(),
        poll,
        facts_age: Duration::from_secs(config.get(&opt::FACTS_AGE).unsigned_abs()),
        receipt_patience: Duration::from_secs(config.get(&opt::RECEIPT_TIMEOUT).unsigned_abs()),
        privileged_networks: config.get(&opt::PRIVILEGED_NETWORKS),
        ..Options::default()
    };
    let cloud = parts::cloud(config)?;
    let workflows = Workflows::new(
        store.clone(),
        cloud.clone(),
        parts::array(config)?,
        Arc::new(SystemClock),
        parts::directory(config, store.clone(), cloud, local)?,
        options,
    );
    let owner = Owner(format!(
        "{}:{}:{}",
        host(),
        std::process::id(),
        uuid::Uuid::new_v4()
    ));
    let journal: Arc<dyn Journal> = store;
    let lease = Duration::from_secs(config.get(&opt::LEASE).unsigned_abs());
    let driver = Driver::new(
        journal,
        owner.clone(),
        DriverOptions {
            lease,
            poll,
            ..DriverOptions::default()
        },
    );
    let stop = CancellationToken::new();
    let ending = stop.clone();
    tokio::spawn(async move {
        start::asked_to_stop().await;
        ending.cancel();
    });
    let recorder = tokio::spawn(Recorder::of(&workflows).run(stop.clone()));
    let engine = Engine::new(driver, Arc::new(workflows));
    let listener = broker.map(|broker| {
        tracing::info!("woken through the broker at {broker}; the database is looked at all the same");
        let waker = engine.waker();
        let stop = stop.clone();
        tokio::spawn(
            async move { protector_bus::listen(broker, "protector-engine", || waker.wake(), stop).await },
        )
    });
    tracing::info!(site = %local, %owner, "protector-engine works");
    engine.run(stop).await;
    // What it was reading is read again after the next start.
    recorder.abort();
    if let Some(listener) = listener {
        // It has been asked to stop along with the engine.
        let _ = tokio::time::timeout(GOODBYE, listener).await;
    }
    tracing::info!("protector-engine has stopped");
    Ok(())
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
