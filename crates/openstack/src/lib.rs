//! One OpenStack cloud over its REST APIs: the adapter behind [`protector_ports::Cloud`].
//!
//! About forty calls of Keystone, Barbican, Nova, Cinder and Neutron, each bound to a deadline and each failure sorted
//! by what may be done about it. Layers, from the wire inwards:
//!
//! * `address`, `transport`: one HTTP exchange; where it may go, how long it may take, how much it may answer.
//! * `failure`: what an answer, or its absence, means.
//! * `auth`, `catalog`: tokens and the endpoints that come with them.
//! * `session`: a call with token, endpoint, microversion, renewal and paging.
//! * `wire`: what the services send; `identity`, `key_manager`, `compute`, `volume`, `network`: the calls themselves.
//!
//! Whatever a cloud answers is untrusted: sizes are bounded, every field may be missing, ids go through the
//! domain's constructors before they enter another URL.

mod address;
mod auth;
mod catalog;
mod client;
mod compute;
mod config;
mod failure;
mod identity;
mod key_manager;
mod network;
mod session;
mod transport;
mod volume;
mod volume_groups;
mod wire;

pub use address::AddressPolicy;
pub use client::OpenStackClient;
pub use config::{ClientConfig, ConfigError};

/// Microversions: the newest that the oldest supported release (Victoria) speaks. Everything needed exists there.
pub mod microversion {
    pub const COMPUTE: &str = "2.87";
    pub const VOLUME: &str = "3.62";
}
