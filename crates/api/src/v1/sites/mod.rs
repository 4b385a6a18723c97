//! The address book of sites.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod index;
pub(crate) mod show;
pub(crate) mod update;
pub(crate) mod validate;
pub(crate) mod volume_types;
