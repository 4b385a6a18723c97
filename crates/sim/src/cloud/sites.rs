//! Two sites with their arrays, all listening.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::control;
use super::seed::SiteSpec;
use super::site::{Cloud, Served};
use crate::array::{Arrays, Fabric, FabricConfig, PersistError, ServeError};
use crate::http::{CallLog, Faults, ServeOptions, Server, serve};

/// Why sites can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The arrays can't be made.
    #[error("the arrays can't be made")]
    Fabric(#[from] PersistError),
    /// The arrays can't be served.
    #[error("the arrays can't be served")]
    Arrays(#[from] ServeError),
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
    served: Vec<Served>,
    fabric: Fabric,
    arrays: Arrays,
    control: Option<Server>,
}

/// How many times the arrays are asked whether they know of each other's groups. A link that is down doesn't
/// keep a cloud from starting.
const PATIENCE: usize = 300;

fn local() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
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
        let fabric = Fabric::new(arrays)?;
        let arrays = fabric.serve(Some(local())).await?;
        let (mut clouds, mut served) = (Vec::new(), Vec::new());
        for (spec, address) in sites {
            let cloud = Cloud::new(spec, fabric.clone(), calls.clone());
            let listening = cloud.serve(address).await.map_err(|source| StartError::Listen {
                name: cloud.name().to_owned(),
                address,
                source,
            })?;
            served.push(listening);
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
                let router = control::router(clouds.clone(), fabric.clone(), described);
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
