//! SQLite: the embedded default.
//!
//! Writes go through one connection that begins with the write lock, so a transaction that has read never
//! fails when it comes to write; readers have connections of their own and see the last commit (WAL). The
//! API and the engine may share the file: the busy timeout covers the moments in which both write.

mod along;
mod begin;
mod facts;
mod group_rows;
mod groups;
mod journal;
mod migrations;
mod operations;
mod page;
mod sagas;
mod sites;
mod store;
mod sync;
mod tenants;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use protector_domain::SiteId;
use protector_ports::{Sealer, StoreError, store::StoreResult};
use secrecy::SecretString;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};

use crate::columns;
use crate::open::OpenError;

pub use migrations::{migrate, schema_version};

/// Longer than any transaction of ours; a database that is locked for longer counts as down.
const BUSY: Duration = Duration::from_secs(10);

pub struct SqliteStore {
    database: String,
    reads: SqlitePool,
    writes: SqlitePool,
    sealer: Arc<dyn Sealer>,
    site: SiteId,
}

/// The connection string of a database file.
pub fn sqlite_dsn(path: &Path) -> String {
    format!("sqlite:///{}", path.display())
}

/// As SQLAlchemy reads it: three slashes and a path relative to the working directory, or four and an
/// absolute one.
fn file_of(dsn: &str) -> Result<PathBuf, OpenError> {
    match dsn.strip_prefix("sqlite:///") {
        Some(path) if !path.is_empty() && path != ":memory:" => Ok(PathBuf::from(path)),
        // The text may be another database's, with a password in it: only what stands before the host is shown.
        _ => Err(OpenError::Dsn(
            dsn.split_once("://").map_or("?", |(scheme, _)| scheme).to_owned() + "://...",
        )),
    }
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        // What the journal says happened must survive a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
}

async fn pools(database: &str, file: &Path) -> Result<(SqlitePool, SqlitePool), OpenError> {
    let unreachable = |source| OpenError::Unreachable {
        database: database.to_owned(),
        source,
    };
    let pool = |size| {
        SqlitePoolOptions::new()
            .max_connections(size)
            .acquire_timeout(BUSY * 2)
    };
    let writes = pool(1).connect_with(options(file)).await.map_err(unreachable)?;
    let reads = pool(4).connect_with(options(file)).await.map_err(unreachable)?;
    Ok((reads, writes))
}

impl SqliteStore {
    /// Opens a database that `migrate` has brought to this release's schema.
    pub async fn connect(dsn: &str, sealer: Arc<dyn Sealer>) -> Result<SqliteStore, OpenError> {
        let file = file_of(dsn)?;
        let database = file.display().to_string();
        match file.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(OpenError::Empty { database }),
            // No file can ever be there, so making tables is no remedy.
            Err(error) => {
                let source = sqlx::Error::Io(error);
                return Err(OpenError::Unreachable { database, source });
            }
        }
        let (reads, writes) = pools(&database, &file).await?;
        let site = migrations::require_current(&reads, &database).await?;
        Ok(SqliteStore {
            database,
            reads,
            writes,
            sealer,
            site,
        })
    }

    /// The file, for messages.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// This site's public key, if the database was given one.
    pub async fn public_key(&self) -> StoreResult<Option<String>> {
        let row = sqlx::query("SELECT public_key FROM site_identity")
            .fetch_one(&self.reads)
            .await
            .map_err(unavailable)?;
        row.try_get("public_key").map_err(unavailable)
    }

    pub async fn close(&self) {
        self.reads.close().await;
        self.writes.close().await;
    }

    async fn begin(&self) -> StoreResult<Transaction<'static, Sqlite>> {
        self.writes
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(unavailable)
    }

    fn seal(&self, secret: &SecretString, aad: &str) -> StoreResult<String> {
        self.sealer
            .seal(secret, aad)
            .map_err(|error| StoreError::Corrupt(format!("{aad} can't be sealed: {error}")))
    }

    fn open(&self, sealed: &str, aad: &str) -> StoreResult<SecretString> {
        self.sealer
            .open(sealed, aad)
            .map_err(|error| StoreError::Corrupt(format!("{aad} can't be opened: {error}")))
    }
}

/// A failed statement; constraint violations that mean something are told apart before this.
fn unavailable(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            StoreError::Corrupt(error.to_string())
        }
        other => StoreError::Unavailable(Box::new(other)),
    }
}

/// The columns whose uniqueness a write violated, as SQLite names them.
fn taken(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    error.is_unique_violation().then(|| error.message().to_owned())
}

fn refers_to_nothing(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_foreign_key_violation())
}

/// The database's time: leases and nonces of several processes are measured by one clock.
async fn now(connection: &mut SqliteConnection) -> StoreResult<DateTime<Utc>> {
    const NOW: &str = "SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now') || 'Z' AS now";
    let row = sqlx::query(NOW)
        .fetch_one(connection)
        .await
        .map_err(unavailable)?;
    columns::time(row.try_get("now").map_err(unavailable)?)
}

/// Reading columns of a row with errors of the port.
trait Columns {
    fn text(&self, column: &str) -> StoreResult<String>;
    fn maybe(&self, column: &str) -> StoreResult<Option<String>>;
    fn number(&self, column: &str) -> StoreResult<i64>;
}

impl Columns for sqlx::sqlite::SqliteRow {
    fn text(&self, column: &str) -> StoreResult<String> {
        self.try_get(column).map_err(unavailable)
    }

    fn maybe(&self, column: &str) -> StoreResult<Option<String>> {
        self.try_get(column).map_err(unavailable)
    }

    fn number(&self, column: &str) -> StoreResult<i64> {
        self.try_get(column).map_err(unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_string_is_read_as_sqlalchemy_reads_it() {
        assert_eq!(
            file_of("sqlite:////var/lib/p.db").unwrap(),
            PathBuf::from("/var/lib/p.db")
        );
        assert_eq!(file_of("sqlite:///p.db").unwrap(), PathBuf::from("p.db"));
        assert_eq!(
            file_of(&sqlite_dsn(Path::new("/tmp/p.db"))).unwrap(),
            PathBuf::from("/tmp/p.db")
        );
    }

    #[test]
    fn a_refused_connection_string_shows_no_password() {
        let error = file_of("mysql://protector:hunter2@db/protector")
            .unwrap_err()
            .to_string();
        assert!(
            !error.contains("hunter2") && error.contains("mysql://..."),
            "{error}"
        );
        assert!(file_of("sqlite://").is_err() && file_of("sqlite:///:memory:").is_err());
    }
}
