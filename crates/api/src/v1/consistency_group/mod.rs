//! The pair of Cinder groups of a protection group.

pub(crate) mod show;
