//! Deterministic simulation: two whole sites in one thread, driven by one seed.
//!
//! The engine, its driver and the workflows are the product's own. Around them everything is simulated: clouds, arrays,
//! databases, clocks, processes, and time itself, which stands still while somebody works and jumps when all wait. So
//! a run of hours takes milliseconds, and the same seed gives the same history, byte for byte.

#![cfg(any(test, feature = "run"))]

mod chance;
mod checks;
mod database;
mod director;
mod engines;
mod hands;
mod history;
mod orders;
mod planted;
mod setup;
mod sim;
mod watch;
mod weather;
mod world;

pub use director::{Report, run};
pub use planted::Bug;

#[cfg(test)]
mod tests;
