//! The traits by which the inside asks for the outside world.
//!
//! Workflows and use cases know clouds, arrays and the database only from here. Every failure is sorted by
//! what may be done about it ([`Class`]), because that, and not its cause, decides the next move.

pub mod access;
pub mod array;
pub mod clock;
pub mod cloud;
pub mod error;
pub mod preflight;
pub mod secrets;
pub mod store;
mod token_cache;
pub mod wakeup;

pub use access::{AccessError, Directory};
pub use array::Array;
pub use clock::{Clock, SystemClock};
pub use cloud::Cloud;
pub use error::{Class, Kind, PortError, PortResult};
pub use preflight::Preflights;
pub use secrets::{PeerKeys, SealError, Sealer};
pub use store::{Store, StoreError};
pub use wakeup::{DatabaseOnly, Wakeup};
