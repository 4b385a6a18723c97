//! The bundle, on its way from one site to the other.

pub(crate) mod show;
pub(crate) mod update;
