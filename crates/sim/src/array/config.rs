//! How a fabric of arrays is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// The REST versions that an array offers by default, as minor numbers of 2.x. Two were never released.
pub(super) fn default_versions() -> Vec<u32> {
    (0..=26).filter(|minor| ![12, 18].contains(minor)).collect()
}

/// One array.
#[derive(Clone, Debug)]
pub struct ArrayConfig {
    /// Its name, which is the prefix of what it replicates.
    pub name: String,
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// The API token that opens a session.
    pub token: SecretString,
    /// Whether it speaks HTTPS.
    pub tls: bool,
    /// Minor numbers of the REST versions 2.x it offers.
    pub versions: Vec<u32>,
    /// A session that is idle for longer is gone; 0 means never.
    pub idle_timeout_millis: u64,
    /// How long destroyed things can be recovered.
    pub eradication_delay_millis: u64,
    /// Whether a user may eradicate before that.
    pub manual_eradication: bool,
    /// The raw size in bytes.
    pub capacity: u64,
}

impl ArrayConfig {
    /// An array with HTTP on a free port of the loopback address; its token is `<name>-token`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            token: SecretString::from(format!("{name}-token")),
            tls: false,
            versions: default_versions(),
            idle_timeout_millis: 30 * 60 * 1000,
            eradication_delay_millis: 24 * 60 * 60 * 1000,
            manual_eradication: true,
            capacity: 100 * 1024 * 1024 * 1024 * 1024,
        }
    }
}

/// The replication link between two arrays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkConfig {
    /// Whether anything gets through.
    pub up: bool,
    /// How long the smallest transfer takes.
    pub transfer_millis: u64,
    /// What is added for its data; 0 sends any amount at once.
    pub bytes_per_second: u64,
    /// How long after being given a target a group shows up there.
    pub announce_millis: u64,
    /// How long after a snapshot its transfer starts; before that the target knows nothing of it.
    pub start_millis: u64,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            up: true,
            transfer_millis: 200,
            bytes_per_second: 1024 * 1024 * 1024,
            announce_millis: 100,
            start_millis: 50,
        }
    }
}

/// A fabric of arrays that are all linked to each other.
#[derive(Clone, Debug)]
pub struct FabricConfig {
    /// The arrays.
    pub arrays: Vec<ArrayConfig>,
    /// What every link starts with.
    pub link: LinkConfig,
    /// Refuse what the documentation forbids although clients in the field send it: parameters that the path
    /// doesn't know or that came with a later version, and `with_default_protection` with `overwrite`.
    pub strict: bool,
    /// How much faster than the real time the fabric's runs.
    pub time_scale: f64,
    /// Certificates are kept here; made anew at each start if absent.
    pub tls_dir: Option<PathBuf>,
    /// The state is kept here (`arrays.json`), the log of calls too (`calls.jsonl`).
    pub state_dir: Option<PathBuf>,
}

impl Default for FabricConfig {
    /// Two strict arrays, `fa-a` and `fa-b`, with a fast link and no memory.
    fn default() -> Self {
        Self {
            arrays: vec![ArrayConfig::named("fa-a"), ArrayConfig::named("fa-b")],
            link: LinkConfig::default(),
            strict: true,
            time_scale: 1.0,
            tls_dir: None,
            state_dir: None,
        }
    }
}
