//! How the client behaves towards every array.

use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// PEM bundle that arrays are verified by, instead of the system's.
    pub cafile: Option<PathBuf>,
    /// Whether an array's certificate is verified.
    pub verify: bool,
    /// For a demo or a lab where everything is on one machine; plain `http://` is possible only then.
    pub allow_loopback: bool,
    /// Well below any call's time: a change that could not even connect is known not to have happened.
    pub connect_timeout: Duration,
    /// A longer answer is refused.
    pub max_body_bytes: usize,
    /// A list with more items than that is refused.
    pub max_items: usize,
    /// The longest pause before an array that was busy is asked again.
    pub max_pause: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            cafile: None,
            verify: true,
            allow_loopback: false,
            connect_timeout: Duration::from_secs(5),
            max_body_bytes: 16 << 20,
            max_items: 200_000,
            max_pause: Duration::from_secs(30),
        }
    }
}

/// The client can't be built as configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("The CA file '{}' of the storage arrays can't be read.", path.display())]
    CaFile { path: PathBuf, source: std::io::Error },
    #[error("The CA file '{}' of the storage arrays holds no usable PEM certificate.", path.display())]
    CaContent {
        path: PathBuf,
        source: Option<reqwest::Error>,
    },
    #[error("The HTTP client for storage arrays can't be set up.")]
    Http(#[source] reqwest::Error),
}
