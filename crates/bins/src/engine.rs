//! protector-engine: does the work that the database says there is.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use protector_oslo::config::Config;
use protector_ports::{Store, SystemClock};
use protector_saga::driver::Options as DriverOptions;
use protector_saga::engine::Engine;
use protector_saga::{Driver, Journal, Owner};
use protector_workflows::{ImportAs, Options, Workflows};
use tokio_util::sync::CancellationToken;

use crate::options as opt;
use crate::{parts, start};

/// Runs until the process is asked to stop; running steps end first.
pub fn work(config: &Config) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(config))
}

async fn run(config: &Config) -> Result<()> {
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
        receipt_patience: Duration::from_secs(config.get(&opt::RECEIPT_TIMEOUT).unsigned_abs()),
        privileged_networks: config.get(&opt::PRIVILEGED_NETWORKS),
        ..Options::default()
    };
    let workflows = Workflows::new(
        store.clone(),
        parts::cloud(config)?,
        parts::array(config)?,
        Arc::new(SystemClock),
        parts::directory(config, store.clone(), local)?,
        options,
    );
    if config.get(&opt::TRANSPORT_URL).is_some() || config.get(&opt::RABBIT_HOST).is_some() {
        tracing::info!(
            "a message broker is configured; this release doesn't use it, work is found in the database"
        );
    }
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
    tracing::info!(site = %local, %owner, "protector-engine works");
    Engine::new(driver, Arc::new(workflows)).run(stop).await;
    tracing::info!("protector-engine has stopped");
    Ok(())
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
