//! protector-api: serves requests. What takes time is left to the engine, through the database.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use protector_api::{App, SERVICE_TYPE, SiteFacts};
use protector_bus::Publisher;
use protector_oslo::config::Config;
use protector_oslo::healthcheck::{Health, HealthCheck};
use protector_oslo::policy::{Enforcer, POLICY_FILE};
use protector_oslo::token::{AuthToken, KeystoneValidator};
use protector_ports::{DatabaseOnly, Store, SystemClock, Wakeup};
use protector_service::{Options, Ports, Service};
use protector_workflows::Looker;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::options as opt;
use crate::{Files, parts, start, systemd};

/// How long a stop waits for requests that have begun.
const LAST_REQUESTS: Duration = Duration::from_secs(20);

/// How long the broker may hold up a stop.
const GOODBYE: Duration = Duration::from_secs(2);

struct Database(Arc<dyn Store>);

#[async_trait]
impl HealthCheck for Database {
    fn name(&self) -> &str {
        "database"
    }

    /// The answer is public: which database it is, and what it said, is for the log.
    async fn check(&self) -> Result<(), String> {
        self.0.ping().await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(cause = cause.unwrap_or_default(), "{error}");
            error.to_string()
        })
    }
}

/// Runs until the process is asked to stop.
pub fn serve(files: &Files, config: &Config) -> Result<()> {
    let workers = usize::try_from(config.get(&opt::WORKERS)).context("[api] workers")?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()?
        .block_on(listen(files, config))
}

async fn listen(files: &Files, config: &Config) -> Result<()> {
    let broker = parts::broker(config)?;
    let store = parts::store(config).await?;
    let public_key = store
        .public_key()
        .await
        .context("the site's public key can't be read")?;
    let peers = parts::peers(config, public_key.as_deref())?;
    let store: Arc<dyn Store> = store;
    let local = store
        .local_site_id()
        .await
        .context("the site's identity can't be read")?;
    let (settings, _) = parts::own_credentials(config)?;
    let settings = settings.service_type(SERVICE_TYPE);
    let challenge = settings.www_authenticate_uri.clone();
    let validator = KeystoneValidator::new(settings).context("[keystone_authtoken]")?;
    let policy_file = start::beside_config(files, &config.get(&POLICY_FILE));
    let enforcer = Enforcer::load(protector_api::policy::RULES, Some(&policy_file))
        .context("[oslo_policy] policy_file")?;
    let requests_over = CancellationToken::new();
    let (wakeup, publishing): (Arc<dyn Wakeup>, _) = match broker {
        None => (Arc::new(DatabaseOnly), None),
        Some(broker) => {
            tracing::info!("the engine is woken through the broker at {broker}");
            let (publisher, task) = Publisher::start(broker, "protector-api", requests_over.clone());
            (Arc::new(publisher), Some(task))
        }
    };
    let workflows = parts::workflows(config, store.clone(), local)?;
    let cloud = parts::cloud(config)?;
    let directory = parts::directory(config, store.clone(), cloud.clone(), local)?;
    let ports = Ports {
        store: store.clone(),
        cloud,
        clock: Arc::new(SystemClock),
        wake: wakeup,
        peers,
        preflights: Arc::new(Looker::of(&workflows)),
    };
    let options = Options {
        trust_roles: config.get(&opt::TRUST_ROLES),
        group_type: config.get(&opt::GROUP_TYPE),
        region_name: parts::region(config)?,
    };
    let service = Service::new(ports, directory, options);
    let app = App {
        service,
        enforcer: Arc::new(enforcer),
        site: Arc::new(SiteFacts {
            id: local,
            public_key,
            region_name: parts::region(config)?,
        }),
    };
    let health = Health::from_config(config).with(Arc::new(Database(store)));
    let router = protector_api::router(app, AuthToken::new(Arc::new(validator), &challenge), health);

    let (host, port) = (config.get(&opt::BIND_HOST), config.get(&opt::BIND_PORT));
    let listener = TcpListener::bind((host.as_str(), port))
        .await
        .with_context(|| format!("[api] bind_host, bind_port: can't listen on {host} port {port}"))?;
    tracing::info!(site = %local, "protector-api listens on {}", listener.local_addr()?);
    systemd::ready();

    let stop = CancellationToken::new();
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let late = async {
        start::asked_to_stop().await;
        systemd::stopping();
        tracing::info!("asked to stop: requests that have begun are finished");
        stop.cancel();
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        result = served.into_future() => result.context("serving ended")?,
        () = late => tracing::warn!("some requests did not end in time and are cut off"),
    }
    requests_over.cancel();
    if let Some(task) = publishing {
        let _ = tokio::time::timeout(GOODBYE, task).await;
    }
    tracing::info!("protector-api has stopped");
    Ok(())
}
