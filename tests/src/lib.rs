//! What black-box tests need: two simulated sites with protector on both, users of them, and a look at
//! everything from outside.
//!
//! No crate of the product is used here, nor its wire types: programs are started and JSON is spoken, as anybody
//! with the API's description would. Each test has sites of its own.
//!
//! The programs are taken from the directory that `PROTECTOR_BIN_DIR` names, else from `target/release`:
//! `cargo build --release -p protector-bins -p protector-dev` puts them there.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "everything here runs inside of tests, where a panic is a failure with its reason"
)]

mod programs;
mod stack;
mod tenant;
mod user;

pub use programs::{Ended, binary, run};
pub use stack::Stack;
pub use tenant::{Shop, Tenant, VOLUME_TYPE};
pub use user::{Answer, User};
