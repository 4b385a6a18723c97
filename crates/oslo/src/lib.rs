//! What OpenStack services have in common, whatever they serve.
//!
//! Operators know how an OpenStack service is configured, what its policy file looks like, how it asks Keystone
//! about a token and what its log lines look like. This crate keeps these habits in one place; it knows nothing
//! of the product that is built on it.

pub mod config;
pub mod faults;
pub mod healthcheck;
pub mod logging;
pub mod microversion;
pub mod policy;
pub mod request_id;
pub mod token;
