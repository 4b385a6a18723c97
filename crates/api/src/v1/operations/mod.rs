//! Disaster-recovery operations.

pub(crate) mod action;
pub(crate) mod control;
pub(crate) mod index;
pub(crate) mod preflight;
pub(crate) mod show;
