//! The API over a real database file, with a Keystone that knows four tokens and a cloud that nobody answers for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod faults;
mod fuzz;
mod graves;
mod groups;
mod mutation;
mod routes;
mod sealed;
mod site;
mod sites;
mod takeover;
