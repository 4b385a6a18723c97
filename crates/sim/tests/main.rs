//! The simulated sites, seen from outside.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod array;
mod cloud;
mod http;
