//! The store against real database files. What any database must do is in `suite`; what is SQLite's own
//! stands in `sqlite`.

// Helpers of tests may fall over as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod sqlite;
mod suite;
