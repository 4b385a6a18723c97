//! An empty database of either kind, and a look into it past the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protector_mariadbd::{Shared, shared};
use protector_ports::{SealError, Sealer};
use protector_store::{Dsn, NewIdentity, SqlStore, migrate, sqlite_dsn};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

/// Declares each test once for either database.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&crate::fixture::Fixture::sqlite()).await;
            })*
        }

        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&crate::fixture::Fixture::mariadb()).await;
            })*
        }
    };
}

pub(crate) use on_both;

/// Not a cipher, but no clear text either, and bound to its place.
struct Backwards;

impl Sealer for Backwards {
    fn seal(&self, plain: &SecretString, aad: &str) -> Result<String, SealError> {
        Ok(format!(
            "{}|{aad}",
            plain.expose_secret().chars().rev().collect::<String>()
        ))
    }

    fn open(&self, sealed: &str, aad: &str) -> Result<SecretString, SealError> {
        match sealed.rsplit_once('|') {
            Some((text, place)) if place == aad => Ok(text.chars().rev().collect::<String>().into()),
            _ => Err(SealError("it was sealed for another place".to_owned())),
        }
    }
}

pub fn sealer() -> Arc<dyn Sealer> {
    Arc::new(Backwards)
}

pub enum Fixture {
    Sqlite { directory: TempDir },
    MariaDb { server: Shared, database: String },
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Self::MariaDb { server, database } = self {
            let _ = server
                .client()
                .sql("mysql", &format!("DROP DATABASE IF EXISTS `{database}`"));
        }
    }
}

impl Fixture {
    pub fn sqlite() -> Fixture {
        Fixture::Sqlite {
            directory: TempDir::new().unwrap(),
        }
    }

    pub fn mariadb() -> Fixture {
        let server = shared(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("mariadbd")).unwrap();
        let database = format!("protector_{}", Uuid::new_v4().simple());
        server.client().create(&database).unwrap();
        Fixture::MariaDb { server, database }
    }

    /// Another one of the same kind.
    pub fn another(&self) -> Fixture {
        match self {
            Self::Sqlite { .. } => Fixture::sqlite(),
            Self::MariaDb { .. } => Fixture::mariadb(),
        }
    }

    fn file(directory: &TempDir) -> PathBuf {
        directory.path().join("protector.db")
    }

    pub fn dsn(&self) -> Dsn {
        match self {
            Self::Sqlite { directory } => sqlite_dsn(&Self::file(directory)),
            Self::MariaDb { server, database } => Dsn::parse(&server.client().dsn(database)).unwrap(),
        }
    }

    /// What messages call it by.
    pub fn name(&self) -> String {
        match self {
            Self::Sqlite { directory } => Self::file(directory).display().to_string(),
            Self::MariaDb { database, .. } => database.clone(),
        }
    }

    /// With this release's tables.
    pub async fn migrated(&self) -> SqlStore {
        migrate(&self.dsn(), &NewIdentity::default()).await.unwrap();
        self.open().await
    }

    pub async fn open(&self) -> SqlStore {
        SqlStore::connect(&self.dsn(), sealer()).await.unwrap()
    }

    /// The rows of any statement, as text.
    pub async fn sql(&self, statement: &str) -> Vec<Vec<String>> {
        match self {
            Self::MariaDb { server, database } => server.client().sql(database, statement).unwrap(),
            Self::Sqlite { directory } => {
                let url = format!("sqlite://{}?mode=rwc", Self::file(directory).display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                let rows = sqlx::query(AssertSqlSafe(statement.to_owned()))
                    .fetch_all(&mut connection)
                    .await
                    .unwrap();
                connection.close().await.unwrap();
                let text = |row: &sqlx::sqlite::SqliteRow, column| {
                    let value: Option<String> = row.try_get_unchecked(column).unwrap();
                    value.unwrap_or_else(|| "NULL".to_owned())
                };
                rows.iter()
                    .map(|row| (0..row.len()).map(|column| text(row, column)).collect())
                    .collect()
            }
        }
    }

    /// The one value of a statement.
    pub async fn value(&self, statement: &str) -> String {
        self.sql(statement).await.remove(0).remove(0)
    }

    pub async fn tables(&self) -> Vec<String> {
        let statement = match self {
            Self::Sqlite { .. } => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
            }
            Self::MariaDb { .. } => {
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name"
            }
        };
        self.sql(statement).await.concat()
    }

    /// All that says how the tables are made.
    pub async fn shape(&self) -> Vec<Vec<String>> {
        match self {
            Self::Sqlite { .. } => {
                self.sql("SELECT name, sql FROM sqlite_master ORDER BY name")
                    .await
            }
            Self::MariaDb { .. } => {
                let mut shape = Vec::new();
                for statement in [
                    "SELECT table_name, engine, table_collation, create_options FROM information_schema.tables \
                     WHERE table_schema = DATABASE() ORDER BY table_name",
                    "SELECT table_name, column_name, ordinal_position, column_default, is_nullable, column_type, \
                     collation_name, column_key, extra, generation_expression FROM information_schema.columns \
                     WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position",
                    "SELECT table_name, index_name, non_unique, seq_in_index, column_name \
                     FROM information_schema.statistics WHERE table_schema = DATABASE() \
                     ORDER BY table_name, index_name, seq_in_index",
                    "SELECT table_name, constraint_name, unique_constraint_name, referenced_table_name, update_rule, \
                     delete_rule FROM information_schema.referential_constraints \
                     WHERE constraint_schema = DATABASE() ORDER BY table_name, constraint_name",
                    "SELECT table_name, constraint_name, check_clause FROM information_schema.check_constraints \
                     WHERE constraint_schema = DATABASE() ORDER BY table_name, constraint_name",
                ] {
                    shape.extend(self.sql(statement).await);
                }
                shape
            }
        }
    }
}
