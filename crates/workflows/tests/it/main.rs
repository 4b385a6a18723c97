//! The workflows against simulated clouds and arrays, through the real adapters and a database file.

// Helpers of tests may fall over as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod import;
mod keypairs;
mod lab;
mod rollback;
