//! The schema and its versions. `alembic_version` says which one a database has.
//!
//! A migration is one file of statements that may be run again, applied in a transaction together with the
//! new version number. Each release reads exactly one schema: an older one is refused until `db sync` has
//! been run, a newer one always.

use std::path::Path;

use protector_domain::SiteId;
use sqlx::{Row, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::{file_of, options};
use crate::columns;
use crate::open::{Migrated, NewIdentity, OpenError};

/// In order; numbers never change once released.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001", include_str!("../../migrations/sqlite/0001_first.sql")),
    (
        "0002",
        include_str!("../../migrations/sqlite/0002_group_facts.sql"),
    ),
];

const HAS_VERSION: &str =
    "SELECT count(*) AS tables FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'";

fn newest() -> &'static str {
    MIGRATIONS.last().map_or("0000", |(version, _)| version)
}

async fn version(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let tables: i64 = sqlx::query(HAS_VERSION)
        .fetch_one(&mut *connection)
        .await?
        .try_get("tables")?;
    if tables == 0 {
        return Ok(None);
    }
    match sqlx::query("SELECT version_num FROM alembic_version")
        .fetch_optional(connection)
        .await?
    {
        Some(row) => row.try_get("version_num").map(Some),
        None => Ok(None),
    }
}

/// The schema of a database, `None` in one without tables.
pub async fn schema_version(dsn: &str) -> Result<Option<String>, OpenError> {
    let file = file_of(dsn)?;
    if !file.exists() {
        return Ok(None);
    }
    let database = file.display().to_string();
    let mut connection = open(&database, &file, false).await?;
    version(&mut connection)
        .await
        .map_err(|source| OpenError::Unreachable { database, source })
}

async fn open(database: &str, file: &Path, create: bool) -> Result<SqliteConnection, OpenError> {
    use sqlx::ConnectOptions;
    options(file)
        .create_if_missing(create)
        .connect()
        .await
        .map_err(|source| OpenError::Unreachable {
            database: database.to_owned(),
            source,
        })
}

/// Creates the database where there is none, brings the schema to this release's, and gives the site its
/// identity. May be repeated, also by two processes at once.
pub async fn migrate(dsn: &str, identity: &NewIdentity) -> Result<Migrated, OpenError> {
    let file = file_of(dsn)?;
    let database = file.display().to_string();
    let mut connection = open(&database, &file, true).await?;
    let unreachable = |source| OpenError::Unreachable {
        database: database.clone(),
        source,
    };
    let from = version(&mut connection).await.map_err(unreachable)?;
    refuse_newer(&database, from.as_deref())?;
    for (number, script) in MIGRATIONS {
        if from.as_deref().is_none_or(|from| from < *number) {
            apply(&mut connection, number, script)
                .await
                .map_err(|source| OpenError::Migration {
                    database: database.clone(),
                    version: (*number).to_owned(),
                    source,
                })?;
        }
    }
    give_identity(&mut connection, identity)
        .await
        .map_err(unreachable)?;
    let site_id = identity_of(&mut connection, &database).await?;
    match identity.id {
        Some(wanted) if wanted != site_id => Err(OpenError::OtherSite {
            database,
            stored: site_id,
            wanted,
        }),
        _ => Ok(Migrated {
            from,
            to: newest().to_owned(),
            site_id,
        }),
    }
}

async fn apply(
    connection: &mut SqliteConnection,
    number: &str,
    script: &'static str,
) -> Result<(), sqlx::Error> {
    use sqlx::Connection;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(script).execute(&mut *transaction).await?;
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query("DELETE FROM alembic_version")
        .execute(&mut *transaction)
        .await?;
    sqlx::query("INSERT INTO alembic_version (version_num) VALUES (?)")
        .bind(number)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

async fn give_identity(connection: &mut SqliteConnection, identity: &NewIdentity) -> Result<(), sqlx::Error> {
    let id = identity.id.unwrap_or_else(|| SiteId(Uuid::new_v4()));
    sqlx::query(
        "INSERT INTO site_identity (one, id, public_key, created_at) \
         VALUES (1, ?, ?, strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z') \
         ON CONFLICT (one) DO UPDATE SET public_key = coalesce(public_key, excluded.public_key)",
    )
    .bind(id.to_string())
    .bind(&identity.public_key)
    .execute(connection)
    .await?;
    Ok(())
}

async fn identity_of(connection: &mut SqliteConnection, database: &str) -> Result<SiteId, OpenError> {
    let unreachable = |source| OpenError::Unreachable {
        database: database.to_owned(),
        source,
    };
    let row = sqlx::query("SELECT id FROM site_identity")
        .fetch_optional(connection)
        .await
        .map_err(unreachable)?;
    let Some(row) = row else {
        return Err(OpenError::Empty {
            database: database.to_owned(),
        });
    };
    let text: String = row.try_get("id").map_err(unreachable)?;
    columns::id(&text).map_err(|error| OpenError::Corrupt {
        database: database.to_owned(),
        reason: error.to_string(),
    })
}

fn refuse_newer(database: &str, found: Option<&str>) -> Result<(), OpenError> {
    match found {
        Some(found) if found > newest() => Err(OpenError::Newer {
            database: database.to_owned(),
            found: found.to_owned(),
            known: newest().to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Refuses any schema but this release's; answers whose database it is.
pub async fn require_current(pool: &SqlitePool, database: &str) -> Result<SiteId, OpenError> {
    let unreachable = |source| OpenError::Unreachable {
        database: database.to_owned(),
        source,
    };
    let mut connection = pool.acquire().await.map_err(unreachable)?;
    let found = version(&mut connection).await.map_err(unreachable)?;
    refuse_newer(database, found.as_deref())?;
    match found {
        None => Err(OpenError::Empty {
            database: database.to_owned(),
        }),
        Some(found) if found != newest() => Err(OpenError::Older {
            database: database.to_owned(),
            found,
            needed: newest().to_owned(),
        }),
        Some(_) => identity_of(&mut connection, database).await,
    }
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn versions_rise_strictly() {
        assert!(MIGRATIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
