//! Which resource there stands for which one here.

pub(crate) mod show;
pub(crate) mod update;
