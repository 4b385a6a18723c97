//! Opening a database, whichever it is: what can be wrong with it, and what a migration did.

use protector_domain::SiteId;
use protector_ports::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the database connection is not understood; it looks like sqlite:////var/lib/protector/protector.db or mysql+pymysql://user:password@host/database"
    )]
    Dsn,
    #[error("the database {database} can't be used: {reason}")]
    Refused { database: String, reason: String },
    #[error("the database {database} can't be opened")]
    Unreachable {
        database: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("the database {database} has no tables yet: run protector-manage db sync")]
    Empty { database: String },
    #[error(
        "the database {database} has schema {found}, this release needs {needed}: run protector-manage db sync"
    )]
    Older {
        database: String,
        found: String,
        needed: String,
    },
    #[error(
        "the database {database} has schema {found}, this release knows up to {known}: a newer release has run protector-manage db sync on it, so install that one"
    )]
    Newer {
        database: String,
        found: String,
        known: String,
    },
    #[error("the database {database} belongs to site {stored}, not to site {wanted}")]
    OtherSite {
        database: String,
        stored: SiteId,
        wanted: SiteId,
    },
    #[error("the schema of database {database} can't be brought to {version}")]
    Migration {
        database: String,
        version: String,
        #[source]
        source: StoreError,
    },
    #[error("the database {database} can't be read")]
    Failed {
        database: String,
        #[source]
        source: StoreError,
    },
}

impl OpenError {
    pub(crate) fn failed(database: &str, source: StoreError) -> OpenError {
        OpenError::Failed {
            database: database.to_owned(),
            source,
        }
    }
}

/// What a new database is told about its site; one that knows already keeps what it knows.
#[derive(Debug, Clone, Default)]
pub struct NewIdentity {
    /// A fresh one is made where none is given.
    pub id: Option<SiteId>,
    pub public_key: Option<String>,
}

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The schema that was found; `None` in a new database.
    pub from: Option<String>,
    pub to: String,
    pub site_id: SiteId,
}
