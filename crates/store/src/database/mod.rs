//! One way to talk to either database: connections, transactions, statements, rows.
//!
//! A statement runs the same way on both, so one that is right on the one is not forgotten on the other. Here
//! stands all that differs between them.

mod failure;
mod mariadb;
mod query;
mod row;
mod sqlite;

use chrono::{DateTime, Utc};
use protector_ports::store::StoreResult;
use sqlx::pool::PoolConnection;
use sqlx::{MySql, MySqlConnection, MySqlPool, Sqlite, SqliteConnection, SqlitePool};

use crate::columns;
use crate::dsn::{Dsn, Place};
use crate::open::OpenError;

pub use failure::{may_be_repeated, refers_to_nothing, taken, unavailable};
pub use query::{Query, query};
pub use row::Row;

/// The connections to a database.
pub struct Database {
    /// For messages.
    name: String,
    pools: Pools,
}

enum Pools {
    Sqlite { reads: SqlitePool, writes: SqlitePool },
    MariaDb(MySqlPool),
}

/// Which of the two it is, where the words differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    MariaDb,
}

/// One connection, in a transaction or not.
pub struct Connection(Held);

enum Held {
    Sqlite(PoolConnection<Sqlite>),
    SqliteWriting(sqlx::Transaction<'static, Sqlite>),
    MariaDb(PoolConnection<MySql>),
    MariaDbWriting(sqlx::Transaction<'static, MySql>),
}

enum Raw<'c> {
    Sqlite(&'c mut SqliteConnection),
    MariaDb(&'c mut MySqlConnection),
}

impl Database {
    /// Opens what is there; a file that isn't there is made only if `create` says so.
    pub async fn open(dsn: &Dsn, create: bool) -> Result<Database, OpenError> {
        let pools = match &dsn.0 {
            Place::Sqlite(file) => sqlite::pools(file, create)
                .await
                .map(|(reads, writes)| Pools::Sqlite { reads, writes }),
            Place::MariaDb { options, .. } => mariadb::pool(options).await.map(Pools::MariaDb),
        };
        let name = dsn.to_string();
        match pools {
            Ok(pools) => Ok(Database { name, pools }),
            Err(source) => Err(OpenError::Unreachable {
                database: name,
                source,
            }),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn kind(&self) -> Kind {
        match &self.pools {
            Pools::Sqlite { .. } => Kind::Sqlite,
            Pools::MariaDb(_) => Kind::MariaDb,
        }
    }

    /// A connection that sees the last commit.
    pub async fn read(&self) -> StoreResult<Connection> {
        let held = match &self.pools {
            Pools::Sqlite { reads, .. } => reads.acquire().await.map(Held::Sqlite),
            Pools::MariaDb(pool) => pool.acquire().await.map(Held::MariaDb),
        };
        held.map(Connection).map_err(|error| self.no_connection(error))
    }

    /// A connection that writes, each statement by itself.
    pub async fn write(&self) -> StoreResult<Connection> {
        match &self.pools {
            Pools::Sqlite { writes, .. } => {
                let held = writes.acquire().await.map(Held::Sqlite);
                held.map(Connection).map_err(|error| self.no_connection(error))
            }
            Pools::MariaDb(_) => self.read().await,
        }
    }

    /// All or nothing: what isn't committed is undone. On SQLite it begins with the write lock, so that a
    /// transaction that has read never fails when it comes to write.
    pub async fn begin(&self) -> StoreResult<Transaction> {
        let held = match &self.pools {
            Pools::Sqlite { writes, .. } => writes
                .begin_with("BEGIN IMMEDIATE")
                .await
                .map(Held::SqliteWriting),
            Pools::MariaDb(pool) => pool.begin().await.map(Held::MariaDbWriting),
        };
        held.map(|held| Transaction(Connection(held)))
            .map_err(|error| self.no_connection(error))
    }

    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { reads, writes } => {
                reads.close().await;
                writes.close().await;
            }
            Pools::MariaDb(pool) => pool.close().await,
        }
    }

    /// Says which database it is that gives no connection: the reason alone could be anybody's.
    fn no_connection(&self, error: sqlx::Error) -> protector_ports::StoreError {
        failure::no_connection(&self.name, error)
    }
}

pub struct Transaction(Connection);

impl std::ops::Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl std::ops::DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl Transaction {
    pub async fn commit(self) -> StoreResult<()> {
        match self.0.0 {
            Held::SqliteWriting(transaction) => transaction.commit().await.map_err(unavailable),
            Held::MariaDbWriting(transaction) => {
                query::in_time(transaction.commit()).await.map_err(unavailable)
            }
            Held::Sqlite(_) | Held::MariaDb(_) => Ok(()),
        }
    }
}

impl Connection {
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Held::Sqlite(_) | Held::SqliteWriting(_) => Kind::Sqlite,
            Held::MariaDb(_) | Held::MariaDbWriting(_) => Kind::MariaDb,
        }
    }

    /// The database's time: leases and nonces of several processes are measured by one clock.
    pub async fn now(&mut self) -> StoreResult<DateTime<Utc>> {
        let clock = format!("SELECT {} AS now", self.clock());
        let row = query(clock).fetch_one(self).await.map_err(unavailable)?;
        columns::time(&row.text("now")?)
    }

    /// The words for that time within a statement: when the statement began, so before it waited for any lock.
    pub fn clock(&self) -> &'static str {
        match self.kind() {
            Kind::Sqlite => sqlite::NOW,
            Kind::MariaDb => mariadb::NOW,
        }
    }

    fn raw(&mut self) -> Raw<'_> {
        match &mut self.0 {
            Held::Sqlite(connection) => Raw::Sqlite(connection),
            Held::SqliteWriting(transaction) => Raw::Sqlite(transaction),
            Held::MariaDb(connection) => Raw::MariaDb(connection),
            Held::MariaDbWriting(transaction) => Raw::MariaDb(transaction),
        }
    }
}
