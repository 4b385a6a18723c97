//! The database behind the `Store` and `Journal` ports: SQLite, the embedded default, or MariaDB.
//!
//! A group is kept twice over: as the document that the sites agree on, which is what is loaded, and as rows
//! of the documented tables, which is what operators and list queries look at. Both are written in the same
//! transaction, so neither can be wrong alone. Secrets come in clear, are sealed before the statement that
//! stores them, and are opened only for the caller that asks for that one secret.
//!
//! Every statement stands once, in `tables`, with `?` placeholders and in words that both databases know. What
//! differs between them (how one connects, locks, asks for the time, and what a refusal looks like) is in
//! `database`; the tables themselves are in `schema`.

mod columns;
mod database;
mod dsn;
mod open;
mod purge;
mod schema;
mod store;
mod tables;

pub use dsn::{Dsn, sqlite_dsn};
pub use open::{Migrated, NewIdentity, OpenError};
pub use purge::Purged;
pub use schema::{SchemaState, migrate, schema_state, schema_version};
pub use store::SqlStore;
