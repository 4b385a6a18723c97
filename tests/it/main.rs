//! Black-box tests of the release programs on simulated sites.

#![allow(clippy::unwrap_used, reason = "a panic is a failed test, in helpers too")]

mod arrays;
mod failover;
mod groups;
mod platform;
mod sites;
