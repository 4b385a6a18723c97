//! The database behind the `Store` and `Journal` ports.
//!
//! A group is kept twice over: as the document that the sites agree on, which is what is loaded, and as rows
//! of the documented tables, which is what operators and list queries look at. Both are written in the same
//! transaction, so neither can be wrong alone. Secrets come in clear, are sealed before the statement that
//! stores them, and are opened only for the caller that asks for that one secret.
//!
//! Every statement is a constant with `?` placeholders; what differs between databases is the dialect module.

mod columns;
mod open;
mod sqlite;

pub use open::{Migrated, NewIdentity, OpenError};
pub use sqlite::{SqliteStore, migrate, schema_version, sqlite_dsn};
