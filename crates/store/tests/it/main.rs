//! The store against real database files. What any database must do is in `suite`; what is SQLite's own
//! stands in `sqlite`.

mod sqlite;
mod suite;
