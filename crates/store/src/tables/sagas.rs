//! The rows of sagas: inserted with the change that calls for them, claimed by engines.

use chrono::{DateTime, Utc};
use protector_domain::SagaId;
use protector_ports::StoreError;
use protector_ports::store::StoreResult;
use protector_saga::{Claim, Event, NewSaga, SagaHeader};

use crate::columns::{id, json_text, time, time_text, unsigned};
use crate::database::{Connection, Query, Row, query, taken, unavailable};

pub fn header(row: &Row) -> StoreResult<SagaHeader> {
    let saga = row.text("id")?;
    Ok(SagaHeader {
        id: id(&saga)?,
        kind: row.text("kind")?,
        version: unsigned(row.number("version")?)?,
        subject: row.text("subject")?,
        params: row.text("params")?.into(),
        created_at: time(&row.text("created_at")?)?,
    })
}

/// Writes the saga with the first line of its journal.
pub async fn insert(connection: &mut Connection, saga: &NewSaga) -> StoreResult<()> {
    const INSERT: &str = "INSERT INTO sagas (id, kind, version, subject, params, state, fence, created_at) \
         VALUES (?, ?, ?, ?, ?, 'live', 0, ?)";
    if let Some(running) = live(connection, &saga.subject).await? {
        return Err(StoreError::Busy(format!("{} {}", running.kind, running.id)));
    }
    let at = connection.now().await?;
    query(INSERT)
        .bind(saga.id.to_string())
        .bind(&saga.kind)
        .bind(i64::from(saga.version))
        .bind(&saga.subject)
        .bind(&*saga.params)
        .bind(time_text(at))
        .execute(connection)
        .await
        .map_err(|error| match taken(&error) {
            Some(_) => StoreError::Exists(format!("saga {}", saga.id)),
            None => unavailable(error),
        })?;
    let planned = Event::Planned {
        kind: saga.kind.clone(),
        version: saga.version,
    };
    query("INSERT INTO saga_events (saga_id, seq, at, event) VALUES (?, 1, ?, ?)")
        .bind(saga.id.to_string())
        .bind(time_text(at))
        .bind(json_text(&planned)?)
        .execute(connection)
        .await
        .map_err(unavailable)?;
    Ok(())
}

pub async fn one(connection: &mut Connection, saga: SagaId) -> StoreResult<Option<SagaHeader>> {
    let row = query("SELECT * FROM sagas WHERE id = ?")
        .bind(saga.to_string())
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    row.as_ref().map(header).transpose()
}

/// The saga that works on a subject right now.
pub async fn live(connection: &mut Connection, subject: &str) -> StoreResult<Option<SagaHeader>> {
    let row = query("SELECT * FROM sagas WHERE subject = ? AND state = 'live'")
        .bind(subject)
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    row.as_ref().map(header).transpose()
}

/// Whether owner and fence are the last ones given out, the lease runs and the saga isn't over.
pub async fn holds(connection: &mut Connection, claim: &Claim) -> StoreResult<bool> {
    // It waits for nothing, so the time may be asked for along with the rest.
    let words = format!("SELECT lease_expires_at, {} AS now{OF_CLAIM}", connection.clock());
    let row = of_claim(query(words), claim)
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    let Some(row) = row else { return Ok(false) };
    runs(&row, time(&row.text("now")?)?)
}

/// That the claim holds, and goes on holding until the transaction ends: nobody else gets the saga meanwhile.
/// Answers what time it is.
pub async fn require(connection: &mut Connection, claim: &Claim) -> StoreResult<DateTime<Utc>> {
    let words = format!("SELECT lease_expires_at{OF_CLAIM}");
    let row = of_claim(query(words), claim)
        .for_update()
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    let row = row.ok_or(StoreError::Fenced)?;
    // Asked now and not before: the row may have been waited for.
    let now = connection.now().await?;
    if runs(&row, now)? {
        Ok(now)
    } else {
        Err(StoreError::Fenced)
    }
}

const OF_CLAIM: &str = " FROM sagas WHERE id = ? AND owner = ? AND fence = ? AND state = 'live'";

fn of_claim(query: Query, claim: &Claim) -> Query {
    query
        .bind(claim.saga.to_string())
        .bind(&claim.owner.0)
        .bind(claim.fence)
}

/// Whether the lease does.
fn runs(row: &Row, now: DateTime<Utc>) -> StoreResult<bool> {
    let end = row.maybe("lease_expires_at")?;
    Ok(end.is_some_and(|end| end > time_text(now)))
}
