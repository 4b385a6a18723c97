//! Simulated sites for development and tests.
//!
//! Nothing of the product depends on this crate, and it shares no wire types with the product's clients: a
//! simulator that used the client's own structures would agree with every mistake in them. Answers are built
//! as plain JSON from what the vendors document.
//!
//! * [`mod@array`]: FlashArrays that keep block content and replicate it to each other;
//! * [`mod@cloud`]: OpenStack control planes, whose volumes live on those arrays;
//! * [`http`]: how a simulated service is served, disturbed and listened to.

pub mod array;
pub mod cloud;
pub mod http;
