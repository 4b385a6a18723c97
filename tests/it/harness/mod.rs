//! The ground of the tests.
//!
//! A test starts the release programs as an operator would: two simulated sites, and protector's api and engine
//! at each of them with a configuration file of its own. Everything after that is HTTP: to protector as its API is
//! described in docs/api.md, to the simulated clouds as OpenStack's services are spoken to, and to the control
//! interface of the simulation for what no client can do (write to a disk, cause a fault). No crate of the product
//! and none of the simulator is used: what passes here passes for everybody who has the documents.
//!
//! * [`Stack`]: all of it, one per test, gone when it is dropped;
//! * [`Session`]: one user at one site;
//! * [`Pair`]: the same user at both sites, with the way that a change takes to both;
//! * `Simulation`: the control interface;
//! * [`database`]: what lies in a site's database;
//! * [`Trouble`]: what calls meet instead of an answer; [`Case`]: a failover that meets it and is taken back;
//! * [`state`]: what two looks at the whole world differ in.

pub mod array;
pub mod database;
mod pair;
pub mod programs;
pub mod protection;
pub mod refused;
mod session;
pub mod setback;
mod simulation;
pub mod stack;
pub mod state;
mod trouble;

pub use pair::Pair;
pub use protection::{names, text};
pub use session::{Answer, Login, Session};
pub use setback::Case;
pub use stack::{Plan, Site, Stack};
pub use trouble::Trouble;
