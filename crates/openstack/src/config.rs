//! How the client behaves towards every cloud.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::address::AddressPolicy;

#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// PEM bundle that endpoints are verified by, instead of the system's.
    pub cafile: Option<PathBuf>,
    /// The same for single sites, by their names.
    pub site_cafiles: BTreeMap<String, PathBuf>,
    /// Accept any certificate. For a lab only.
    pub insecure: bool,
    pub addresses: AddressPolicy,
    /// Well below any call's time: a change that could not even connect is known not to have happened.
    pub connect_timeout: Duration,
    /// A longer answer is refused.
    pub max_body_bytes: usize,
    /// Calls at once to one site; a site that hangs never takes another's places.
    pub max_concurrency: usize,
    /// Which of a service's endpoints: `public`, `internal` or `admin`.
    pub interface: String,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            cafile: None,
            site_cafiles: BTreeMap::new(),
            insecure: false,
            addresses: AddressPolicy::default(),
            connect_timeout: Duration::from_secs(5),
            max_body_bytes: 32 << 20,
            max_concurrency: 32,
            interface: "public".to_owned(),
        }
    }
}

/// The client can't be built as configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("The CA file '{}' can't be read.", path.display())]
    CaFile { path: PathBuf, source: std::io::Error },
    #[error("The CA file '{}' holds no usable PEM certificate.", path.display())]
    CaContent {
        path: PathBuf,
        source: Option<reqwest::Error>,
    },
    #[error("The HTTP client can't be set up.")]
    Http(#[source] reqwest::Error),
}
