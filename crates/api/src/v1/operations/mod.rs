//! Disaster-recovery operations.

pub(crate) mod action;
pub(crate) mod index;
pub(crate) mod show;
