//! Sagas run against a small world that remembers every effect, with failures and crashes at will.

mod behaviour;
mod crashes;
mod engine;
mod failpoints;
mod properties;
mod sweep;
mod world;
