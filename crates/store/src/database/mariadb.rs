//! MariaDB: for sites whose databases are looked after by an administrator.
//!
//! Statements read what is committed at their time, and rows that decide something are locked where they are
//! read. That, and no gap locks, is what leases and fences need; two transactions that lock each other out
//! all the same are undone by the server, and repeated by the store.

use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};

/// A start that gets no answer is over after this.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// How long a connection is waited for while the server is away: whoever asks wants to be told within a second.
const NO_CONNECTION: Duration = Duration::from_millis(700);

/// API and engine have as many each, as most services of OpenStack have.
const CONNECTIONS: u32 = 10;

const SESSION: [&str; 3] = [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    // Longer than any transaction of ours holds a row.
    "SET SESSION innodb_lock_wait_timeout = 4",
    // A process that stands still in a transaction keeps its rows, and nobody could take its work over.
    "SET SESSION idle_transaction_timeout = 5",
];

pub const NOW: &str = "DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')";

/// The pool makes new connections by itself after the server was away. That the first one comes about is
/// seen here, so that a wrong password ends the start at once and isn't tried again and again.
pub async fn pool(options: &MySqlConnectOptions) -> Result<MySqlPool, sqlx::Error> {
    let first = tokio::time::timeout(FIRST_ANSWER, options.connect());
    let first = first.await.map_err(|_| {
        let silent = format!("it doesn't answer within {} s", FIRST_ANSWER.as_secs());
        sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, silent))
    })??;
    first.close().await?;
    Ok(MySqlPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(NO_CONNECTION)
        .after_connect(|connection, _| {
            Box::pin(async move {
                for setting in SESSION {
                    connection.execute(setting).await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(options.clone()))
}
