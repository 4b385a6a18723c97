//! The client against clouds that misbehave.
#![allow(clippy::unwrap_used)]

mod auth;
mod calls;
mod failures;
mod mock;
mod secrets;
mod tls;
