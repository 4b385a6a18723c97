//! Which project there is which project here.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod index;
pub(crate) mod show;
