//! One simulated cloud as a test holds it in its hands.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::backend::FabricBackend;
use super::door;
use super::fault::Service;
use super::region::Entered;
use super::seed::{self, SiteSpec};
use super::settings::Settings;
use super::world::World;
use crate::array::Fabric;
use crate::http::{
    Authority, CallLog, Certificate, Faults, Front, ServeOptions, Server, TlsError, front, serve,
};

/// How often a cloud looks whether something is due that nobody asks for.
const TICK: Duration = Duration::from_millis(25);

/// What is served at a cloud's port.
#[derive(Clone)]
pub(super) enum Part {
    /// Everything, Keystone too.
    Whole,
    /// Keystone alone, for several regions.
    Keystone,
    /// Everything but Keystone, which is this one.
    Region(Cloud),
}

/// The certificate of a cloud that speaks HTTPS, and whose word it is.
struct Tls {
    authority: String,
    certificate: Certificate,
}

pub(super) struct Inner {
    world: Mutex<World>,
    part: Part,
    spec: SiteSpec,
    tls: Option<Tls>,
    fronts: Mutex<Vec<Front>>,
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
    pub(super) fn new(spec: SiteSpec, part: Part, fabric: Fabric, calls: CallLog) -> Result<Self, TlsError> {
        let backend = FabricBackend::new(fabric.clone(), &spec.array, spec.peer_array.as_deref());
        let world = World::new(&spec.name, &spec.region, spec.release, Box::new(backend));
        let tls = if spec.tls {
            let authority = Authority::make(&format!("The authority of {}", spec.name))?;
            let certificate = authority.issue(&spec.name)?;
            Some(Tls {
                authority: authority.certificate(),
                certificate,
            })
        } else {
            None
        };
        let cloud = Self {
            inner: Arc::new(Inner {
                world: Mutex::new(world),
                part,
                spec,
                tls,
                fronts: Mutex::default(),
                fabric,
                faults: Faults::default(),
                calls,
                url: OnceLock::new(),
            }),
        };
        if !matches!(cloud.inner.part, Part::Keystone) {
            seed::seed(&mut cloud.world(), cloud.spec());
        }
        Ok(cloud)
    }

    /// All of it, and nobody else until this is dropped.
    pub(super) fn world(&self) -> Entered<'_> {
        let own = self.inner.world.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.inner.part {
            Part::Region(keystone) => {
                let shared = keystone.inner.world.lock();
                Entered::region(own, shared.unwrap_or_else(PoisonError::into_inner))
            }
            Part::Whole | Part::Keystone => Entered::whole(own),
        }
    }

    /// Whether calls of this service come to this cloud's port.
    pub(super) fn serves(&self, service: Service) -> bool {
        match self.inner.part {
            Part::Whole => true,
            Part::Keystone => service == Service::Identity,
            Part::Region(_) => service != Service::Identity,
        }
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
        format!("{}/v3", self.keystone_url())
    }

    /// Where its Keystone is, without a version.
    pub(super) fn keystone_url(&self) -> String {
        match &self.inner.part {
            Part::Region(keystone) => keystone.keystone_url(),
            Part::Whole | Part::Keystone => format!("{}/identity", self.url()),
        }
    }

    /// The authority (PEM) by which its endpoints are verified, if it speaks HTTPS.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.inner.tls.as_ref().map(|tls| tls.authority.as_str())
    }

    /// Where another service of this site is spoken to: at its own address, or through HTTPS in front of it if that is
    /// what this site speaks. Such a front stays as long as the cloud.
    pub async fn front(&self, service: SocketAddr) -> std::io::Result<String> {
        let Some(tls) = &self.inner.tls else {
            return Ok(format!("http://{service}"));
        };
        let front = front(&tls.certificate, service).await?;
        let url = front.url();
        let mut fronts = self.inner.fronts.lock().unwrap_or_else(PoisonError::into_inner);
        fronts.push(front);
        Ok(url)
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
        if matches!(self.inner.part, Part::Keystone) {
            return;
        }
        if self.inner.fabric.set_power(&self.inner.spec.array, on).is_err() {
            tracing::warn!(site = self.name(), "the site's array doesn't exist");
        }
    }

    /// Listen. The catalog names the address that was taken.
    pub(super) async fn serve(&self, address: SocketAddr) -> std::io::Result<Served> {
        let options = ServeOptions {
            name: self.name().to_owned(),
            address,
            tls: self.inner.tls.as_ref().map(|tls| tls.certificate.clone()),
            faults: self.faults(),
            calls: self.calls(),
        };
        let server = serve(door::router(self.clone()), options).await?;
        let url = server.url();
        let new = self.inner.url.set(url.clone()).is_ok();
        if new && !matches!(self.inner.part, Part::Keystone) {
            let keystone = self.auth_url();
            let mut world = self.world();
            seed::register(&mut world, "identity", "keystone", &keystone);
            for (kind, name, path) in [
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
