//! Two sites with their arrays, all listening.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::control;
use super::seed::SiteSpec;
use super::site::{Cloud, Part, Served};
use crate::array::{Arrays, Fabric, FabricConfig, PersistError, ServeError};
use crate::http::{CallLog, Faults, ServeOptions, Server, TlsError, serve};

/// Why sites can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The arrays can't be made.
    #[error("the arrays can't be made")]
    Fabric(#[from] PersistError),
    /// The arrays can't be served.
    #[error("the arrays can't be served")]
    Arrays(#[from] ServeError),
    /// A site can't have a certificate.
    #[error("a site has no certificate")]
    Certificate(#[from] TlsError),
    /// An address is taken.
    #[error("{name} can't listen on {address}")]
    Listen {
        /// Which server.
        name: String,
        /// Its address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Sites that are listening. Dropping them ends them.
pub struct Sites {
    clouds: Vec<Cloud>,
    keystone: Option<Cloud>,
    served: Vec<Served>,
    fabric: Fabric,
    arrays: Arrays,
    control: Option<Server>,
}

/// How many times the arrays are asked whether they know of each other's groups. A link that is down doesn't
/// keep a cloud from starting.
const PATIENCE: usize = 300;

/// What the control interface calls a Keystone that is nobody's own.
const KEYSTONE: &str = "keystone";

fn local() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

async fn listen(cloud: &Cloud, address: SocketAddr) -> Result<Served, StartError> {
    cloud.serve(address).await.map_err(|source| StartError::Listen {
        name: cloud.name().to_owned(),
        address,
        source,
    })
}

impl Sites {
    /// `site-a` on `fa-a` and `site-b` on `fa-b`, all on free ports.
    pub async fn start_default() -> Result<Self, StartError> {
        let sites = vec![
            (SiteSpec::new("site-a", "fa-a", Some("fa-b")), local()),
            (SiteSpec::new("site-b", "fa-b", Some("fa-a")), local()),
        ];
        let arrays = FabricConfig {
            strict: false,
            ..FabricConfig::default()
        };
        Self::start(sites, arrays, Some(local()), CallLog::default()).await
    }

    /// Start these sites with these arrays. They listen when this returns.
    pub async fn start(
        sites: Vec<(SiteSpec, SocketAddr)>,
        arrays: FabricConfig,
        control: Option<SocketAddr>,
        calls: CallLog,
    ) -> Result<Self, StartError> {
        Self::start_with(sites, None, arrays, control, calls).await
    }

    /// The same, as regions of one Keystone if there is an address for that.
    pub async fn start_with(
        sites: Vec<(SiteSpec, SocketAddr)>,
        keystone: Option<SocketAddr>,
        arrays: FabricConfig,
        control: Option<SocketAddr>,
        calls: CallLog,
    ) -> Result<Self, StartError> {
        let fabric = Fabric::new(arrays)?;
        let arrays = fabric.serve(Some(local())).await?;
        let (mut clouds, mut served) = (Vec::new(), Vec::new());
        let keystone = match (keystone, sites.first()) {
            (Some(address), Some((first, _))) => {
                let spec = SiteSpec::new(KEYSTONE, &first.array, None);
                let cloud = Cloud::new(spec, Part::Keystone, fabric.clone(), calls.clone())?;
                served.push(listen(&cloud, address).await?);
                Some(cloud)
            }
            _ => None,
        };
        for (spec, address) in sites {
            let part = keystone.clone().map_or(Part::Whole, Part::Region);
            let cloud = Cloud::new(spec, part, fabric.clone(), calls.clone())?;
            served.push(listen(&cloud, address).await?);
            clouds.push(cloud);
        }
        // Cinder isn't up before its driver has set the replication up.
        for _ in 0..PATIENCE {
            if clouds.iter().all(|cloud: &Cloud| cloud.world().backend.settle()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let control = match control {
            Some(address) => {
                let options = ServeOptions {
                    address,
                    ..ServeOptions::local("sites-control", Faults::default(), CallLog::default())
                };
                let described = control::describe(&clouds, &arrays);
                let all = clouds.iter().chain(&keystone).cloned().collect();
                let router = control::router(all, fabric.clone(), described);
                Some(
                    serve(router, options)
                        .await
                        .map_err(|source| StartError::Listen {
                            name: "the control interface".to_owned(),
                            address,
                            source,
                        })?,
                )
            }
            None => None,
        };
        Ok(Self {
            clouds,
            keystone,
            served,
            fabric,
            arrays,
            control,
        })
    }

    /// The cloud of that name.
    #[must_use]
    pub fn cloud(&self, name: &str) -> Option<&Cloud> {
        self.clouds.iter().find(|cloud| cloud.name() == name)
    }

    /// The Keystone that the sites have in common, if they are its regions.
    #[must_use]
    pub fn keystone(&self) -> Option<&Cloud> {
        self.keystone.as_ref()
    }

    /// All clouds.
    #[must_use]
    pub fn clouds(&self) -> &[Cloud] {
        &self.clouds
    }

    /// The arrays' world.
    #[must_use]
    pub fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// The arrays' servers: URLs, certificates.
    #[must_use]
    pub fn arrays(&self) -> &Arrays {
        &self.arrays
    }

    /// URLs, accounts and arrays of all sites, as the control interface tells them.
    #[must_use]
    pub fn describe(&self) -> serde_json::Value {
        control::describe(&self.clouds, &self.arrays)
    }

    /// The control interface.
    #[must_use]
    pub fn control_url(&self) -> Option<String> {
        self.control.as_ref().map(Server::url)
    }

    /// Stop listening and close all connections.
    pub async fn shutdown(self) {
        for served in self.served {
            served.shutdown().await;
        }
        if let Some(control) = self.control {
            control.shutdown().await;
        }
        self.arrays.shutdown().await;
    }
}
