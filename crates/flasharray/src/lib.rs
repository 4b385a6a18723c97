//! FlashArray REST 2.x: what goes over the wire, and a client for it.
//!
//! The client knows the interface and nothing of what it is used for. It speaks the highest version that both
//! sides know, keeps sessions, reads lists to their end, waits when an array is busy, and sorts failures: the
//! one thing a caller has to know of a failed change is whether it may have happened ([`Kind::Ambiguous`]).
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use protector_flasharray::{Client, ClientConfig};
//!
//! let client = Client::new(&ClientConfig::default())?;
//! let array = client.array("https://fa-a.example.com", &"token".into(), std::time::Duration::from_secs(30))?;
//! println!("{} runs {}", array.info().await?.name, array.version().await?);
//! # Ok(()) }
//! ```

mod address;
mod array;
mod client;
mod config;
mod error;
mod groups;
mod query;
mod retry;
mod session;
mod snapshots;
mod transport;
mod types;
mod version;
mod volumes;

pub use array::Array;
pub use client::Client;
pub use config::{ClientConfig, ConfigError};
pub use error::{Error, Kind};
pub use query::{Query, quote};
pub use types::{
    ArrayConnection, ArrayInfo, Connection, GroupMember, GroupPatch, GroupSnapshot, GroupTarget, NewTag,
    ProtectionGroup, Reference, Retention, Schedule, SchedulePatch, Tag, Transfer, Volume, VolumeSnapshot,
};
pub use version::Version;
