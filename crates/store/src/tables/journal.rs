//! The journal of the sagas, with lease and fence checked in the transaction of every write.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use protector_domain::SagaId;
use protector_ports::StoreError;
use protector_ports::store::StoreResult;
use protector_saga::{Claim, Event, Journal, JournalError, Owner, Record, SagaHeader};

use super::sagas;
use crate::columns::{id, json, json_text, time, time_text};
use crate::database::{Connection, query, unavailable};
use crate::store::{SqlStore, persist};

/// A failure that concerns no saga in particular.
fn failed(error: StoreError) -> JournalError {
    match error {
        StoreError::Unavailable(source) => JournalError::Unavailable(source),
        other => JournalError::Unavailable(Box::new(other)),
    }
}

fn failed_for(saga: SagaId) -> impl Fn(StoreError) -> JournalError {
    move |error| match error {
        StoreError::Fenced => JournalError::Fenced(saga),
        StoreError::Corrupt(reason) => JournalError::Corrupt { saga, reason },
        other => failed(other),
    }
}

fn lease_end(now: DateTime<Utc>, lease: Duration) -> String {
    let lease = TimeDelta::from_std(lease).unwrap_or(TimeDelta::days(1));
    time_text(now.checked_add_signed(lease).unwrap_or(DateTime::<Utc>::MAX_UTC))
}

/// So many lines one statement writes.
const LINES: usize = 100;

async fn write(
    connection: &mut Connection,
    saga: SagaId,
    claim: Option<&Claim>,
    at: DateTime<Utc>,
    events: &[Event],
) -> StoreResult<Vec<Record>> {
    let row = query("SELECT coalesce(max(seq), 0) AS last FROM saga_events WHERE saga_id = ?")
        .bind(saga.to_string())
        .fetch_one(connection)
        .await
        .map_err(unavailable)?;
    let last = row.number("last")?;
    let records: Vec<Record> = (last + 1..)
        .zip(events)
        .map(|(seq, event)| Record {
            seq,
            at,
            event: event.clone(),
        })
        .collect();
    for lines in records.chunks(LINES) {
        let mut insert = query("INSERT INTO saga_events (saga_id, seq, at, event, owner, fence) VALUES ");
        for (place, line) in lines.iter().enumerate() {
            insert.push(if place == 0 {
                "(?, ?, ?, ?, ?, ?)"
            } else {
                ", (?, ?, ?, ?, ?, ?)"
            });
            insert = insert
                .bind(saga.to_string())
                .bind(line.seq)
                .bind(time_text(at))
                .bind(json_text(&line.event)?)
                .bind(claim.map(|claim| claim.owner.0.as_str()))
                .bind(claim.map(|claim| claim.fence));
        }
        insert.execute(connection).await.map_err(unavailable)?;
    }
    for event in events {
        if let Event::Ended { outcome } = event {
            let outcome = serde_json::to_value(outcome).ok();
            query("UPDATE sagas SET state = 'ended', outcome = ?, ended_at = ? WHERE id = ?")
                .bind(outcome.as_ref().and_then(|outcome| outcome.as_str()))
                .bind(time_text(at))
                .bind(saga.to_string())
                .execute(connection)
                .await
                .map_err(unavailable)?;
        }
    }
    Ok(records)
}

impl SqlStore {
    async fn take(
        &self,
        owner: &Owner,
        lease: Duration,
        limit: usize,
    ) -> StoreResult<Vec<(SagaHeader, Claim)>> {
        const FREE: &str = "SELECT * FROM sagas WHERE state = 'live' \
             AND (owner IS NULL OR lease_expires_at IS NULL OR lease_expires_at <= ?) ORDER BY created_at, id LIMIT ?";
        const TAKE: &str = "UPDATE sagas SET owner = ?, fence = ?, lease_expires_at = ? WHERE id = ?";
        let mut transaction = self.database.begin().await?;
        let now = transaction.now().await?;
        let rows = query(FREE)
            .bind(time_text(now))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .skipping_locked()
            .fetch_all(&mut transaction)
            .await
            .map_err(unavailable)?;
        let mut taken = Vec::with_capacity(rows.len());
        for row in &rows {
            let header = sagas::header(row)?;
            let fence = row.number("fence")? + 1;
            query(TAKE)
                .bind(&owner.0)
                .bind(fence)
                .bind(lease_end(now, lease))
                .bind(header.id.to_string())
                .execute(&mut transaction)
                .await
                .map_err(unavailable)?;
            let claim = Claim {
                saga: header.id,
                owner: owner.clone(),
                fence,
            };
            taken.push((header, claim));
        }
        transaction.commit().await?;
        Ok(taken)
    }

    async fn extend(&self, owner: &Owner, lease: Duration) -> StoreResult<Vec<SagaId>> {
        // A lease that ran out is gone, even if nobody took the saga yet: this engine may have been asleep
        // and must come back through a claim, with a new fence.
        const HELD: &str =
            "SELECT id FROM sagas WHERE owner = ? AND state = 'live' AND lease_expires_at > ? ORDER BY id";
        const EXTEND: &str = "UPDATE sagas SET lease_expires_at = ? WHERE id = ?";
        let mut transaction = self.database.begin().await?;
        let now = transaction.now().await?;
        let rows = query(HELD)
            .bind(&owner.0)
            .bind(time_text(now))
            .for_update()
            .fetch_all(&mut transaction)
            .await
            .map_err(unavailable)?;
        let mut held = Vec::with_capacity(rows.len());
        for row in &rows {
            let saga = row.text("id")?;
            query(EXTEND)
                .bind(lease_end(now, lease))
                .bind(&saga)
                .execute(&mut transaction)
                .await
                .map_err(unavailable)?;
            held.push(id(&saga)?);
        }
        transaction.commit().await?;
        Ok(held)
    }

    async fn give_back(&self, owner: &Owner) -> StoreResult<()> {
        const GIVE: &str =
            "UPDATE sagas SET owner = NULL, lease_expires_at = NULL WHERE owner = ? AND state = 'live'";
        let mut transaction = self.database.begin().await?;
        query(GIVE)
            .bind(&owner.0)
            .execute(&mut transaction)
            .await
            .map_err(unavailable)?;
        transaction.commit().await
    }

    async fn append_claimed(&self, claim: &Claim, events: &[Event]) -> StoreResult<Vec<Record>> {
        let mut transaction = self.database.begin().await?;
        let now = sagas::require(&mut transaction, claim).await?;
        let records = write(&mut transaction, claim.saga, Some(claim), now, events).await?;
        transaction.commit().await?;
        Ok(records)
    }

    async fn read_events(&self, saga: SagaId, after: i64) -> StoreResult<Vec<Record>> {
        let rows = query("SELECT seq, at, event FROM saga_events WHERE saga_id = ? AND seq > ? ORDER BY seq")
            .bind(saga.to_string())
            .bind(after)
            .fetch_all(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                let seq = row.number("seq")?;
                let event = json(&format!("its line {seq}"), &row.text("event")?)?;
                Ok(Record {
                    seq,
                    at: time(&row.text("at")?)?,
                    event,
                })
            })
            .collect()
    }

    async fn ask(&self, saga: SagaId, event: &Event) -> StoreResult<()> {
        let may_be_asked = matches!(
            event,
            Event::Cancelled
                | Event::Paused
                | Event::Resumed
                | Event::OperatorDecision { .. }
                | Event::Abandoned { .. }
        );
        if !may_be_asked {
            return Err(StoreError::Corrupt(
                "what only its engine may write was asked for".to_owned(),
            ));
        }
        let mut transaction = self.database.begin().await?;
        let row = query("SELECT state FROM sagas WHERE id = ?")
            .bind(saga.to_string())
            .for_update()
            .fetch_optional(&mut transaction)
            .await
            .map_err(unavailable)?;
        let Some(row) = row else {
            return Err(StoreError::Corrupt("there is no such saga".to_owned()));
        };
        // What is over can't be influenced any more; the request came too late and changes nothing.
        if row.text("state")? == "live" {
            let now = transaction.now().await?;
            write(&mut transaction, saga, None, now, std::slice::from_ref(event)).await?;
        }
        transaction.commit().await
    }
}

#[async_trait]
impl Journal for SqlStore {
    async fn claim(
        &self,
        owner: &Owner,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<(SagaHeader, Claim)>, JournalError> {
        persist(|| self.take(owner, lease, limit)).await.map_err(failed)
    }

    async fn renew(&self, owner: &Owner, lease: Duration) -> Result<Vec<SagaId>, JournalError> {
        persist(|| self.extend(owner, lease)).await.map_err(failed)
    }

    async fn release(&self, owner: &Owner) -> Result<(), JournalError> {
        persist(|| self.give_back(owner)).await.map_err(failed)
    }

    async fn check(&self, claim: &Claim) -> Result<(), JournalError> {
        let holds = async || sagas::holds(&mut self.database.read().await?, claim).await;
        match holds().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(JournalError::Fenced(claim.saga)),
            Err(error) => Err(failed_for(claim.saga)(error)),
        }
    }

    async fn append(&self, claim: &Claim, events: &[Event]) -> Result<Vec<Record>, JournalError> {
        persist(|| self.append_claimed(claim, events))
            .await
            .map_err(failed_for(claim.saga))
    }

    async fn events(&self, saga: SagaId) -> Result<Vec<Record>, JournalError> {
        self.read_events(saga, 0).await.map_err(failed_for(saga))
    }

    async fn events_after(&self, saga: SagaId, seq: i64) -> Result<Vec<Record>, JournalError> {
        self.read_events(saga, seq).await.map_err(failed_for(saga))
    }

    async fn request(&self, saga: SagaId, event: Event) -> Result<(), JournalError> {
        persist(|| self.ask(saga, &event)).await.map_err(failed_for(saga))
    }
}
