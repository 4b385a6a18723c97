//! SQLite: the embedded default.
//!
//! Writes go through one connection that begins with the write lock; readers have connections of their own
//! and see the last commit (WAL). The API and the engine may share the file: the busy timeout covers the
//! moments in which both write.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

/// Longer than any transaction of ours; a database that is locked for longer counts as down.
const BUSY: Duration = Duration::from_secs(10);

pub const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'";

/// For readers, and for the one writer.
pub async fn pools(file: &Path, create: bool) -> Result<(SqlitePool, SqlitePool), sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        // What the journal says happened must survive a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY);
    let pool = |size| {
        SqlitePoolOptions::new()
            .max_connections(size)
            .acquire_timeout(BUSY * 2)
    };
    let writes = pool(1).connect_with(options.clone()).await?;
    let reads = pool(4).connect_with(options).await?;
    Ok((reads, writes))
}
