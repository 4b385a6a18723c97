//! SQLite: the embedded default.
//!
//! Writes go through one connection that begins with the write lock; readers have connections of their own
//! and see the last commit (WAL). The API and the engine may share the file: the busy timeout covers the
//! moments in which both write.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::time::sleep;

/// Longer than any transaction of ours; a database that is locked for longer counts as down.
const BUSY: Duration = Duration::from_secs(10);
/// Turning a file to WAL takes milliseconds.
const AGAIN: Duration = Duration::from_millis(20);

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
    let writes = first_alone(|| pool(1).connect_with(options.clone())).await?;
    let reads = pool(4).connect_with(options).await?;
    Ok((reads, writes))
}

/// Several processes may open a new file at once. One of them turns it to WAL, and SQLite tells the others that
/// it is locked without waiting for the busy timeout (<https://sqlite.org/wal.html>, section 8): they come again.
async fn first_alone<F>(connect: impl Fn() -> F) -> Result<SqlitePool, sqlx::Error>
where
    F: Future<Output = Result<SqlitePool, sqlx::Error>>,
{
    let end = Instant::now() + BUSY;
    loop {
        match connect().await {
            Err(error) if is_busy(&error) && Instant::now() < end => sleep(AGAIN).await,
            opened => return opened,
        }
    }
}

/// `SQLITE_BUSY`, or one of its extended codes, whose lowest byte it is.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}
