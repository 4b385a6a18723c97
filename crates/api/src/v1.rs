//! Version 1 of the API, a module for each resource.

pub(crate) mod consistency_groups;
pub(crate) mod members;
pub(crate) mod metadata;
pub(crate) mod operations;
pub(crate) mod policies;
pub(crate) mod protection_groups;
pub(crate) mod sites;
pub(crate) mod sync;
pub(crate) mod tenant_mappings;
