//! Puts the parts together. Everything else knows ports; here stand the adapters behind them.

pub mod api;
pub mod engine;
pub mod manage;
pub mod options;
mod parts;
mod start;
pub mod status;
mod systemd;
mod tenure;

pub use start::{Files, log, run};
