//! The numbered promises, tried on the release programs. A test's name begins with the promise that it is about;
//! docs/requirements.md lists which tests prove which clause.

mod access;
mod adoption;
mod authorities;
mod bad_answers;
mod bad_input;
mod bad_luck;
mod barbican;
mod control;
mod demo_saga;
mod fencing;
mod groups;
mod kill;
mod lost_edits;
mod lost_snapshots;
mod mariadb;
mod names;
mod operations;
mod orphans;
mod platform;
mod preflight;
mod regions;
mod restarts;
mod rollback;
mod schema;
mod secrets;
mod settings;
mod signatures;
mod sites;
mod storage;
mod systemd;
mod takeover;
mod trusts;
mod used_up;

use protector_tests as harness;
