//! What an operator may set about storage drivers.

use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// PEM bundle that arrays are verified by, instead of the system's.
    pub cafile: Option<PathBuf>,
    pub verify_tls: bool,
    /// Arrays on this machine: for a demo or a lab.
    pub allow_loopback: bool,
    /// The shortest replication interval; arrays take none below five minutes, simulated ones may.
    pub min_interval_seconds: u64,
    /// How long a new group may take to show on its target, and its permission to show on the source.
    pub announce_wait: Duration,
    /// The longest pause between two looks meanwhile.
    pub announce_poll: Duration,
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            cafile: None,
            verify_tls: true,
            allow_loopback: false,
            min_interval_seconds: 300,
            announce_wait: Duration::from_secs(180),
            announce_poll: Duration::from_secs(5),
        }
    }
}
