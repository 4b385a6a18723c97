//! One simulated cloud as a test holds it in its hands.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::backend::FabricBackend;
use super::door;
use super::seed::{self, SiteSpec};
use super::settings::Settings;
use super::world::World;
use crate::array::Fabric;
use crate::http::{CallLog, Faults, ServeOptions, Server, serve};

/// How often a cloud looks whether something is due that nobody asks for.
const TICK: Duration = Duration::from_millis(25);

pub(super) struct Inner {
    world: Mutex<World>,
    spec: SiteSpec,
    pub(super) fabric: Fabric,
    faults: Faults,
    calls: CallLog,
    url: OnceLock<String>,
}

/// A simulated cloud. Clones share it.
#[derive(Clone)]
pub struct Cloud {
    pub(super) inner: Arc<Inner>,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl Cloud {
    /// Make a cloud whose volumes live on an array of this fabric.
    #[must_use]
    pub fn new(spec: SiteSpec, fabric: Fabric, calls: CallLog) -> Self {
        let backend = FabricBackend::new(fabric.clone(), &spec.array, spec.peer_array.as_deref());
        let mut world = World::new(&spec.name, &spec.region, spec.release, Box::new(backend));
        seed::seed(&mut world, &spec);
        Self {
            inner: Arc::new(Inner {
                world: Mutex::new(world),
                spec,
                fabric,
                faults: Faults::default(),
                calls,
                url: OnceLock::new(),
            }),
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.inner.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.spec.name
    }

    /// How it was set up: accounts, region, array.
    #[must_use]
    pub fn spec(&self) -> &SiteSpec {
        &self.inner.spec
    }

    /// The root of its one port, once it is served.
    #[must_use]
    pub fn url(&self) -> &str {
        self.inner.url.get().map_or("", String::as_str)
    }

    /// What clients take as `auth_url`.
    #[must_use]
    pub fn auth_url(&self) -> String {
        format!("{}/identity/v3", self.url())
    }

    /// Its disturbances. Paths begin with the service: `/compute/v2.1/servers`.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.inner.faults.clone()
    }

    /// Every call to it.
    #[must_use]
    pub fn calls(&self) -> CallLog {
        self.inner.calls.clone()
    }

    /// Everything in it, for a look or a comparison. No secrets, no tokens.
    #[must_use]
    pub fn state(&self) -> Value {
        let mut world = self.world();
        world.tick();
        json!({
            "site": world.name, "identity": world.identity, "compute": world.compute, "volume": world.volume,
            "network": world.network, "images": world.images,
            "key_manager": world.key_manager, "under_way": world.jobs.len()
        })
    }

    /// Move its time forward. Everything due until then happens.
    pub fn advance(&self, by: Duration) {
        self.world().advance(by);
    }

    /// Change what can be changed while it runs.
    pub fn set(&self, settings: Settings) {
        settings.apply(&mut self.world());
    }

    /// Register an endpoint for all three interfaces. `%(tenant_id)s` stands for the project of a token.
    pub fn register(&self, kind: &str, name: &str, url: &str) {
        seed::register(&mut self.world(), kind, name, url);
    }

    /// Take the power of the whole site away, its array included, or give it back.
    pub fn set_power(&self, on: bool) {
        self.inner.faults.set_dark(!on);
        if self.inner.fabric.set_power(&self.inner.spec.array, on).is_err() {
            tracing::warn!(site = self.name(), "the site's array doesn't exist");
        }
    }

    /// Listen. The catalog names the address that was taken.
    pub(super) async fn serve(&self, address: SocketAddr) -> std::io::Result<Served> {
        let options = ServeOptions {
            name: self.name().to_owned(),
            address,
            tls: None,
            faults: self.faults(),
            calls: self.calls(),
        };
        let server = serve(door::router(self.clone()), options).await?;
        let url = server.url();
        if self.inner.url.set(url.clone()).is_ok() {
            let mut world = self.world();
            for (kind, name, path) in [
                ("identity", "keystone", "/identity/v3"),
                ("compute", "nova", "/compute/v2.1"),
                ("block-storage", "cinder", "/volume/v3/%(project_id)s"),
                ("volumev3", "cinderv3", "/volume/v3/%(project_id)s"),
                ("network", "neutron", "/network"),
                ("image", "glance", "/image"),
                ("key-manager", "barbican", "/key-manager"),
            ] {
                seed::register(&mut world, kind, name, &format!("{url}{path}"));
            }
        }
        let cloud = self.clone();
        let ticker = tokio::spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                cloud.world().tick();
            }
        });
        Ok(Served { server, ticker })
    }
}

/// A cloud that is listening.
pub(super) struct Served {
    server: Server,
    ticker: tokio::task::JoinHandle<()>,
}

impl Served {
    pub async fn shutdown(self) {
        self.ticker.abort();
        self.server.shutdown().await;
    }
}
