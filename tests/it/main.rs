//! The numbered promises, tried on the release programs. A test's name begins with the promise that it is about;
//! docs/requirements.md lists which tests prove which clause.

mod access;
mod barbican;
mod control;
mod groups;
mod harness;
mod kill;
mod operations;
mod platform;
mod rollback;
mod secrets;
mod sites;
mod takeover;
