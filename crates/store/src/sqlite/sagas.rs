//! The rows of sagas: inserted with the change that calls for them, claimed by engines.

use protector_ports::StoreError;
use protector_ports::store::StoreResult;
use protector_saga::{Claim, Event, NewSaga, SagaHeader};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{Columns, now, taken, unavailable};
use crate::columns::{id, json, json_text, time, time_text, unsigned};

pub fn header(row: &SqliteRow) -> StoreResult<SagaHeader> {
    let saga = row.text("id")?;
    Ok(SagaHeader {
        id: id(&saga)?,
        kind: row.text("kind")?,
        version: unsigned(row.number("version")?)?,
        subject: row.text("subject")?,
        params: json(&format!("the parameters of saga {saga}"), &row.text("params")?)?,
        created_at: time(&row.text("created_at")?)?,
    })
}

/// Writes the saga with the first line of its journal.
pub async fn insert(connection: &mut SqliteConnection, saga: &NewSaga) -> StoreResult<()> {
    const INSERT: &str = "INSERT INTO sagas (id, kind, version, subject, params, state, fence, created_at) \
         VALUES (?, ?, ?, ?, ?, 'live', 0, ?)";
    if let Some(running) = live(&mut *connection, &saga.subject).await? {
        return Err(StoreError::Busy(format!("{} {}", running.kind, running.id)));
    }
    let at = now(connection).await?;
    sqlx::query(INSERT)
        .bind(saga.id.to_string())
        .bind(&saga.kind)
        .bind(i64::from(saga.version))
        .bind(&saga.subject)
        .bind(json_text(&saga.params)?)
        .bind(time_text(at))
        .execute(&mut *connection)
        .await
        .map_err(|error| match taken(&error) {
            Some(_) => StoreError::Exists(format!("saga {}", saga.id)),
            None => unavailable(error),
        })?;
    let planned = Event::Planned {
        kind: saga.kind.clone(),
        version: saga.version,
        params: saga.params.clone(),
    };
    sqlx::query("INSERT INTO saga_events (saga_id, seq, at, event) VALUES (?, 1, ?, ?)")
        .bind(saga.id.to_string())
        .bind(time_text(at))
        .bind(json_text(&planned)?)
        .execute(connection)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// The saga that works on a subject right now.
pub async fn live<'c>(
    connection: impl sqlx::SqliteExecutor<'c>,
    subject: &str,
) -> StoreResult<Option<SagaHeader>> {
    let row = sqlx::query("SELECT * FROM sagas WHERE subject = ? AND state = 'live'")
        .bind(subject)
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    row.as_ref().map(header).transpose()
}

/// Whether owner and fence are the last ones given out, the lease runs and the saga isn't over.
pub async fn holds(connection: &mut SqliteConnection, claim: &Claim) -> StoreResult<bool> {
    const HOLDS: &str = "SELECT 1 FROM sagas WHERE id = ? AND owner = ? AND fence = ? AND state = 'live' \
         AND lease_expires_at > ?";
    let now = now(connection).await?;
    let row = sqlx::query(HOLDS)
        .bind(claim.saga.to_string())
        .bind(&claim.owner.0)
        .bind(claim.fence)
        .bind(time_text(now))
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    Ok(row.is_some())
}

pub async fn require(connection: &mut SqliteConnection, claim: &Claim) -> StoreResult<()> {
    if holds(connection, claim).await? {
        Ok(())
    } else {
        Err(StoreError::Fenced)
    }
}
