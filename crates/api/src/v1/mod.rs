//! Version 1, one file per verb.

pub(crate) mod consistency_group;
pub(crate) mod mappings;
pub(crate) mod members;
pub(crate) mod metadata;
pub(crate) mod operations;
pub(crate) mod policy;
pub(crate) mod protection_groups;
pub(crate) mod sites;
pub(crate) mod sync;
pub(crate) mod tenant_mappings;
