//! The replication policy of a protection group.

pub(crate) mod create;
pub(crate) mod show;
