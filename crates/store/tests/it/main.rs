//! The store against real databases: files of SQLite, and a MariaDB server. Every test of `suite`, `schema` and
//! `contents` runs once on each; `mariadb` holds what one server and many connections can do to each other.

// Helpers of tests may fall over as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contents;
mod fixture;
mod mariadb;
mod schema;
mod suite;
