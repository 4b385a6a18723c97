//! Forgetting what is long over: operations, and the journals of ended sagas.

use chrono::{DateTime, Utc};
use protector_ports::store::StoreResult;
use protector_saga::SagaHeader;

use crate::columns::time_text;
use crate::database::{query, unavailable};
use crate::store::{SqlStore, persist};
use crate::tables::sagas;

/// A macro, as the condition of two statements: an operation has the id of its saga, which may still have to end.
macro_rules! over {
    () => {
        "FROM dr_operations WHERE completed_at < ? AND id NOT IN (SELECT id FROM sagas WHERE state = 'live')"
    };
}

/// How much was, or would be, forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    pub operations: u64,
    pub journals: u64,
}

impl SqlStore {
    /// How many operations and journals ended before a time.
    pub async fn ended_before(&self, time: DateTime<Utc>) -> StoreResult<Purged> {
        let mut connection = self.database.read().await?;
        let mut count = async |statement: &'static str| -> StoreResult<u64> {
            let row = query(statement)
                .bind(time_text(time))
                .fetch_one(&mut connection)
                .await
                .map_err(unavailable)?;
            crate::columns::unsigned(row.number("found")?)
        };
        Ok(Purged {
            operations: count(concat!("SELECT count(*) AS found ", over!())).await?,
            journals: count("SELECT count(*) AS found FROM sagas WHERE state = 'ended' AND ended_at < ?")
                .await?,
        })
    }

    /// Removes them. What is still going on stays, however old it is.
    pub async fn purge(&self, before: DateTime<Utc>) -> StoreResult<Purged> {
        persist(|| self.purge_once(before)).await
    }

    async fn purge_once(&self, before: DateTime<Utc>) -> StoreResult<Purged> {
        let mut transaction = self.database.begin().await?;
        let mut remove = async |statement: &'static str| -> StoreResult<u64> {
            query(statement)
                .bind(time_text(before))
                .execute(&mut transaction)
                .await
                .map_err(unavailable)
        };
        let operations = remove(concat!("DELETE ", over!())).await?;
        remove(
            "DELETE FROM saga_events WHERE saga_id IN (SELECT id FROM sagas WHERE state = 'ended' AND ended_at < ?)",
        )
        .await?;
        let journals = remove("DELETE FROM sagas WHERE state = 'ended' AND ended_at < ?").await?;
        transaction.commit().await?;
        Ok(Purged { operations, journals })
    }

    /// The work that is still going on, or waits for an engine or an operator.
    pub async fn live_sagas(&self) -> StoreResult<Vec<SagaHeader>> {
        let rows = query("SELECT * FROM sagas WHERE state = 'live' ORDER BY created_at, id")
            .fetch_all(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        rows.iter().map(sagas::header).collect()
    }
}
