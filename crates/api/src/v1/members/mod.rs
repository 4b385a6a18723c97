//! Members of a protection group.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod index;
pub(crate) mod show;
