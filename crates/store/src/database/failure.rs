//! What a failed statement means.

use protector_ports::StoreError;
use sqlx::mysql::MySqlDatabaseError;

/// A failed statement; constraint violations that mean something are told apart before this.
pub fn unavailable(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            StoreError::Corrupt(error.to_string())
        }
        other => StoreError::Unavailable(Box::new(other)),
    }
}

/// No connection came about in time, or none at all.
#[derive(Debug, thiserror::Error)]
#[error("the database {database} gives no connection: {reason}")]
struct NoConnection {
    database: String,
    reason: String,
}

pub fn no_connection(database: &str, error: sqlx::Error) -> StoreError {
    if may_be_repeated_itself(&error) {
        return unavailable(error);
    }
    let reason = match &error {
        sqlx::Error::PoolTimedOut => "it is down, or all connections are in use".to_owned(),
        other => other.to_string(),
    };
    StoreError::Unavailable(Box::new(NoConnection {
        database: database.to_owned(),
        reason,
    }))
}

/// What a write would have had twice, as `table_column` (several ones with commas on SQLite, or a key's name).
pub fn taken(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    if !error.is_unique_violation() {
        return None;
    }
    let message = error.message();
    Some(match error.try_downcast_ref::<MySqlDatabaseError>() {
        // The value that stands before it may be anything.
        Some(_) => message
            .rsplit_once(" for key ")
            .map_or("", |(_, key)| key)
            .to_owned(),
        None => message.replace('.', "_"),
    })
}

/// A reference to something that isn't there, or the removal of something that is referred to.
pub fn refers_to_nothing(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_foreign_key_violation())
}

const LOCK_WAIT_TIMEOUT: u16 = 1205;
const DEADLOCK: u16 = 1213;
/// Galera's and InnoDB's word for a row that changed since it was read.
const CHANGED_SINCE_READ: u16 = 1020;

/// Whether the server undid the transaction in favour of another one: done again, it goes through.
pub fn may_be_repeated(error: &StoreError) -> bool {
    match error {
        StoreError::Unavailable(source) => source
            .downcast_ref::<sqlx::Error>()
            .is_some_and(may_be_repeated_itself),
        _ => false,
    }
}

fn may_be_repeated_itself(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>())
        .is_some_and(|error| matches!(error.number(), LOCK_WAIT_TIMEOUT | DEADLOCK | CHANGED_SINCE_READ))
}
