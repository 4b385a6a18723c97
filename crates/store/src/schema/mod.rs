//! The schema and its versions. `alembic_version` says which one a database has.
//!
//! A migration is one file of statements for each database, applied one by one, and the new version number after
//! them. SQLite does that in one transaction. MariaDB commits with every statement that makes a table, so a
//! migration that breaks off is repeated from its beginning: every statement may be run again. Each release
//! reads exactly one schema: an older one is refused until `db sync` has been run, a newer one always.

mod migrations;

use protector_domain::SiteId;
use protector_ports::StoreError;
use protector_ports::store::StoreResult;
use uuid::Uuid;

use crate::columns::{self, time_text};
use crate::database::{Connection, Database, Kind, query, unavailable};
use crate::dsn::Dsn;
use crate::open::{Migrated, NewIdentity, OpenError};

use migrations::{MIGRATIONS, Migration, newest};

/// What a database has, and what this release reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaState {
    /// `None` in a database without tables.
    pub found: Option<String>,
    pub needed: &'static str,
}

async fn version(connection: &mut Connection) -> StoreResult<Option<String>> {
    let tables = match connection.kind() {
        Kind::Sqlite => {
            "SELECT count(*) AS found FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
        }
        Kind::MariaDb => {
            "SELECT count(*) AS found FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name = 'alembic_version'"
        }
    };
    let there = query(tables).fetch_one(connection).await.map_err(unavailable)?;
    if there.number("found")? == 0 {
        return Ok(None);
    }
    let row = query("SELECT version_num FROM alembic_version")
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    row.map(|row| row.text("version_num")).transpose()
}

/// The schema of a database, `None` in one without tables.
pub async fn schema_version(dsn: &Dsn) -> Result<Option<String>, OpenError> {
    if dsn.file().is_some_and(|file| !file.exists()) {
        return Ok(None);
    }
    let database = Database::open(dsn, false).await?;
    let found = async { version(&mut database.read().await?).await }.await;
    database.close().await;
    found.map_err(|error| OpenError::failed(database.name(), error))
}

pub async fn schema_state(dsn: &Dsn) -> Result<SchemaState, OpenError> {
    Ok(SchemaState {
        found: schema_version(dsn).await?,
        needed: newest(),
    })
}

/// Creates the tables where there are none (on SQLite the database as well), brings the schema to this release's,
/// and gives the site its identity. May be repeated, also by two processes at once.
pub async fn migrate(dsn: &Dsn, identity: &NewIdentity) -> Result<Migrated, OpenError> {
    let database = Database::open(dsn, true).await?;
    let migrated = migrate_alone(&database, identity).await;
    database.close().await;
    migrated
}

async fn migrate_alone(database: &Database, identity: &NewIdentity) -> Result<Migrated, OpenError> {
    let failed = |error| OpenError::failed(database.name(), error);
    let mut connection = database.write().await.map_err(failed)?;
    lock(&mut connection).await.map_err(failed)?;
    let from = version(&mut connection).await.map_err(failed)?;
    refuse_newer(database.name(), from.as_deref())?;
    // SQLite has one connection that writes.
    let guard = match database.kind() {
        Kind::Sqlite => {
            drop(connection);
            None
        }
        Kind::MariaDb => Some(connection),
    };
    for migration in MIGRATIONS {
        if from.as_deref().is_none_or(|from| from < migration.version) {
            let applied = apply(database, migration).await;
            applied.map_err(|source| OpenError::Migration {
                database: database.name().to_owned(),
                version: migration.version.to_owned(),
                source,
            })?;
        }
    }
    let site_id = give_identity(database, identity).await.map_err(failed)?;
    if let Some(mut connection) = guard {
        unlock(&mut connection).await.map_err(failed)?;
    }
    match identity.id {
        Some(wanted) if wanted != site_id => Err(OpenError::OtherSite {
            database: database.name().to_owned(),
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

/// Of two that change the schema at once the second waits, as the tables of one may be half there. SQLite's
/// transactions see to that by themselves.
async fn lock(connection: &mut Connection) -> StoreResult<()> {
    const LOCK: &str = "SELECT GET_LOCK(LEFT(CONCAT('protector-db-sync ', DATABASE()), 64), 5) AS got";
    const PATIENCE: u32 = 24;
    if connection.kind() == Kind::Sqlite {
        return Ok(());
    }
    for _ in 0..PATIENCE {
        let row = query(LOCK).fetch_one(connection).await.map_err(unavailable)?;
        if row.maybe_number("got")? == Some(1) {
            return Ok(());
        }
    }
    Err(StoreError::Busy("protector-manage db sync".to_owned()))
}

async fn unlock(connection: &mut Connection) -> StoreResult<()> {
    query("SELECT RELEASE_LOCK(LEFT(CONCAT('protector-db-sync ', DATABASE()), 64)) AS released")
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    Ok(())
}

async fn apply(database: &Database, migration: &Migration) -> StoreResult<()> {
    const VERSIONS: &str =
        "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)";
    let mut transaction = database.begin().await?;
    for statement in migration.statements(database.kind()).chain([VERSIONS.to_owned()]) {
        query(statement)
            .execute(&mut transaction)
            .await
            .map_err(unavailable)?;
    }
    // One statement that is done or not: the tables' statements may have ended the transaction.
    let changed = query("UPDATE alembic_version SET version_num = ?")
        .bind(migration.version)
        .execute(&mut transaction)
        .await
        .map_err(unavailable)?;
    if changed == 0 {
        query("INSERT INTO alembic_version (version_num) VALUES (?)")
            .bind(migration.version)
            .execute(&mut transaction)
            .await
            .map_err(unavailable)?;
    }
    transaction.commit().await
}

/// A database that knows whose it is keeps that; a public key that it wasn't given yet is added.
async fn give_identity(database: &Database, identity: &NewIdentity) -> StoreResult<SiteId> {
    let mut transaction = database.begin().await?;
    let now = transaction.now().await?;
    let row = query("SELECT id FROM site_identity")
        .for_update()
        .fetch_optional(&mut transaction)
        .await
        .map_err(unavailable)?;
    let id = match row {
        Some(row) => {
            query("UPDATE site_identity SET public_key = coalesce(public_key, ?)")
                .bind(&identity.public_key)
                .execute(&mut transaction)
                .await
                .map_err(unavailable)?;
            columns::id(&row.text("id")?)?
        }
        None => {
            let id = identity.id.unwrap_or_else(|| SiteId(Uuid::new_v4()));
            query("INSERT INTO site_identity (one, id, public_key, created_at) VALUES (1, ?, ?, ?)")
                .bind(id.to_string())
                .bind(&identity.public_key)
                .bind(time_text(now))
                .execute(&mut transaction)
                .await
                .map_err(unavailable)?;
            id
        }
    };
    transaction.commit().await?;
    Ok(id)
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
pub async fn require_current(database: &Database) -> Result<SiteId, OpenError> {
    let name = database.name();
    let failed = |error| OpenError::failed(name, error);
    let mut connection = database.read().await.map_err(failed)?;
    let found = version(&mut connection).await.map_err(failed)?;
    refuse_newer(name, found.as_deref())?;
    let empty = || OpenError::Empty {
        database: name.to_owned(),
    };
    match found {
        None => Err(empty()),
        Some(found) if found != newest() => Err(OpenError::Older {
            database: name.to_owned(),
            found,
            needed: newest().to_owned(),
        }),
        Some(_) => {
            let row = query("SELECT id FROM site_identity")
                .fetch_optional(&mut connection)
                .await
                .map_err(|error| failed(unavailable(error)))?;
            let row = row.ok_or_else(empty)?;
            row.text("id").and_then(|id| columns::id(&id)).map_err(failed)
        }
    }
}
