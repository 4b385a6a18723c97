//! What the two sites say to each other through a client.

pub(crate) mod log;
pub(crate) mod show;
pub(crate) mod update;
