//! Starting the arrays' servers and the one that controls them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::fabric::Fabric;
use super::{control, session};
use crate::http::{CallLog, Certificate, Faults, ServeOptions, Server, TlsError, serve};

/// How often the fabric looks whether something is due.
const TICK: Duration = Duration::from_millis(50);

/// Why the arrays can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address can't be listened on.
    #[error("{name} can't listen on {address}")]
    Listen {
        /// The array, or `control`.
        name: String,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An array that speaks HTTPS has no certificate.
    #[error("the array has no certificate")]
    Certificate(#[from] TlsError),
}

/// Arrays that are listening. Dropping it ends them.
#[derive(Debug)]
pub struct Arrays {
    servers: BTreeMap<String, Server>,
    certificates: BTreeMap<String, String>,
    control: Option<Server>,
    ticker: JoinHandle<()>,
}

impl Arrays {
    /// The URL of an array, without a slash at its end.
    #[must_use]
    pub fn url(&self, array: &str) -> Option<String> {
        self.servers.get(array).map(Server::url)
    }

    /// The address of an array.
    #[must_use]
    pub fn address(&self, array: &str) -> Option<SocketAddr> {
        self.servers.get(array).map(Server::address)
    }

    /// The PEM certificate of an array that speaks HTTPS.
    #[must_use]
    pub fn certificate(&self, array: &str) -> Option<&str> {
        self.certificates.get(array).map(String::as_str)
    }

    /// The URL of the control interface, without a slash at its end.
    #[must_use]
    pub fn control_url(&self) -> Option<String> {
        self.control.as_ref().map(Server::url)
    }

    /// Stop listening and close all connections.
    pub async fn shutdown(mut self) {
        self.ticker.abort();
        for server in std::mem::take(&mut self.servers)
            .into_values()
            .chain(self.control.take())
        {
            server.shutdown().await;
        }
    }
}

impl Drop for Arrays {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

impl Fabric {
    /// Listen for all arrays and, if an address is given, for the control interface. They listen when this
    /// returns.
    pub async fn serve(&self, control: Option<SocketAddr>) -> Result<Arrays, ServeError> {
        let (mut servers, mut certificates) = (BTreeMap::new(), BTreeMap::new());
        for array in &self.inner.config.arrays {
            let tls = match (array.tls, &self.inner.config.tls_dir) {
                (false, _) => None,
                (true, Some(dir)) => Some(Certificate::in_dir(dir, &array.name)?),
                (true, None) => Some(Certificate::make(&array.name)?),
            };
            if let Some(tls) = &tls {
                certificates.insert(array.name.clone(), tls.certificate.clone());
            }
            let options = ServeOptions {
                name: array.name.clone(),
                address: array.address,
                tls,
                faults: self.faults(&array.name).unwrap_or_default(),
                calls: self.calls(),
            };
            let router = session::router(self.inner.clone(), array.clone());
            servers.insert(array.name.clone(), listen(router, options).await?);
        }
        let urls = servers
            .iter()
            .map(|(name, server)| (name.clone(), server.url()))
            .collect();
        let control = match control {
            Some(address) => {
                let (faults, calls) = (Faults::default(), CallLog::default());
                let options = ServeOptions {
                    address,
                    ..ServeOptions::local("control", faults, calls)
                };
                Some(listen(control::router(self.clone(), urls), options).await?)
            }
            None => None,
        };
        let fabric = self.inner.clone();
        let ticker = tokio::spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                fabric.settle();
            }
        });
        Ok(Arrays {
            servers,
            certificates,
            control,
            ticker,
        })
    }
}

async fn listen(router: axum::Router, options: ServeOptions) -> Result<Server, ServeError> {
    let (name, address) = (options.name.clone(), options.address);
    serve(router, options).await.map_err(|source| ServeError::Listen {
        name,
        address,
        source,
    })
}
