//! Simulated FlashArrays: REST 2.x on the outside, volumes with content and replication between them inside.
//!
//! A [`Fabric`] is one world of arrays that are linked to each other. Each listens on its own port with its own
//! token and sessions and answers as the vendor documents, error texts included. What makes it worth its name:
//!
//! * volumes have content ([`Content`]): snapshots and clones carry it, so a test sees *which* data a
//!   recovered disk has, and group snapshots are of one instant;
//! * replication takes time, needs the link, the power of both arrays and the target's permission; half of it is
//!   nothing, and a dead source can't push;
//! * destroyed things keep their names until they are eradicated; snapshots age;
//! * everything can go wrong on demand: see [`crate::http::Faults`] and [`Fabric::set_power`];
//! * the time can be hurried ([`Fabric::advance`]).
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use protector_sim::array::{Fabric, FabricConfig};
//!
//! let fabric = Fabric::new(FabricConfig::default())?;
//! let arrays = fabric.serve(None).await?;
//! println!("fa-a is at {:?} with the token fa-a-token", arrays.url("fa-a"));
//! // ... a client makes the volume "v" ...
//! fabric.write("fa-a", "v", "hello")?;
//! assert_eq!(fabric.markers("fa-a", "v")?, ["hello"]);
//! # Ok(()) }
//! ```
//!
//! The same as a process is [`run`]; other processes use the control interface (module `control`).

mod aging;
mod appliance;
mod ask;
mod clock;
mod config;
mod containers;
mod content;
mod control;
mod error;
mod fabric;
mod filter;
mod group_snapshots;
mod groups;
mod hosts;
mod inprocess;
mod members;
mod names;
mod page;
mod persist;
mod query;
mod replication;
mod routes;
mod run;
mod serve;
mod session;
mod snapshots;
mod tags;
mod view;
mod volumes;
mod world;

pub use config::{ArrayConfig, FabricConfig, LinkConfig};
pub use content::{Block, Content};
pub use error::ApiError;
pub use fabric::{Fabric, FabricCheckpoint, GuestWrite};
pub use persist::PersistError;
pub use run::{ArraysOptions, Listen, ListenError, RunError, run};
pub use serve::{Arrays, ServeError};
