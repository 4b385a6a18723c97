//! protector-api: serves requests. What takes time is left to the engine, through the database.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use protector_api::{App, SERVICE_TYPE, SiteFacts};
use protector_oslo::config::Config;
use protector_oslo::healthcheck::{Health, HealthCheck};
use protector_oslo::policy::{Enforcer, POLICY_FILE};
use protector_oslo::token::{AuthToken, KeystoneValidator};
use protector_ports::{Store, SystemClock};
use protector_service::{Options, Service};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::options as opt;
use crate::{parts, start};

struct Database(Arc<dyn Store>);

#[async_trait]
impl HealthCheck for Database {
    fn name(&self) -> &str {
        "database"
    }

    async fn check(&self) -> Result<(), String> {
        self.0.ping().await.map_err(|error| error.to_string())
    }
}

/// Runs until the process is asked to stop.
pub fn serve(config: &Config) -> Result<()> {
    let workers = usize::try_from(config.get(&opt::WORKERS)).context("[api] workers")?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()?
        .block_on(listen(config))
}

async fn listen(config: &Config) -> Result<()> {
    let store = parts::store(config).await?;
    let public_key = store
        .public_key()
        .await
        .context("the site's public key can't be read")?;
    let store: Arc<dyn Store> = store;
    let local = store
        .local_site_id()
        .await
        .context("the site's identity can't be read")?;
    let (settings, _) = parts::own_credentials(config)?;
    let settings = settings.service_type(SERVICE_TYPE);
    let challenge = settings.www_authenticate_uri.clone();
    let validator = KeystoneValidator::new(settings).context("[keystone_authtoken]")?;
    let policy_file = config.get(&POLICY_FILE);
    let enforcer = Enforcer::load(protector_api::policy::RULES, Some(policy_file.as_ref()))
        .context("[oslo_policy] policy_file")?;
    let service = Service::new(
        store.clone(),
        parts::cloud(config)?,
        Arc::new(SystemClock),
        parts::directory(config, store.clone(), local)?,
        Options {
            trust_roles: config.get(&opt::TRUST_ROLES),
            group_type: config.get(&opt::GROUP_TYPE),
        },
        Arc::new(Notify::new()),
    );
    let app = App {
        service,
        enforcer: Arc::new(enforcer),
        site: Arc::new(SiteFacts {
            id: local,
            public_key,
            region_name: config.get(&opt::REGION_NAME),
        }),
    };
    let health = Health::from_config(config).with(Arc::new(Database(store)));
    let router = protector_api::router(app, AuthToken::new(Arc::new(validator), &challenge), health);

    let address = format!("{}:{}", config.get(&opt::BIND_HOST), config.get(&opt::BIND_PORT));
    let listener = TcpListener::bind(&address)
        .await
        .with_context(|| format!("[api] bind_host, bind_port: can't listen on {address}"))?;
    tracing::info!(site = %local, "protector-api listens on {}", listener.local_addr()?);
    axum::serve(listener, router)
        .with_graceful_shutdown(start::asked_to_stop())
        .await
        .context("serving ended")?;
    tracing::info!("protector-api has stopped");
    Ok(())
}
