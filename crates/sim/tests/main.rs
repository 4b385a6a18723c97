//! The simulated sites, seen from outside.

mod http;
