//! The storage drivers against simulated arrays.
