//! Nonces, and the history of what crossed between the sites.

use protector_domain::sync::SUPERSEDED;
use protector_domain::{GroupId, LostEdit, Nonce, Stamp, SyncEntry};
use protector_ports::StoreError;
use protector_ports::store::StoreResult;

use super::page::equal;
use crate::columns::{id, json, json_text, number, time, time_text, unsigned};
use crate::database::{Connection, Row, query, taken, unavailable};
use crate::store::SqlStore;

pub async fn log(connection: &mut Connection, entry: &SyncEntry) -> StoreResult<()> {
    const INSERT: &str = "INSERT INTO sync_log (protection_group_id, at, event, epoch, version, message) VALUES (?, ?, ?, ?, ?, ?)";
    query(INSERT)
        .bind(entry.group_id.to_string())
        .bind(time_text(entry.at))
        .bind(&entry.event)
        .bind(entry.stamp.map(|stamp| number(stamp.epoch)).transpose()?)
        .bind(entry.stamp.map(|stamp| number(stamp.version)).transpose()?)
        .bind(&entry.message)
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
    match &entry.lost {
        Some(lost) => keep_lost(connection, entry.group_id, lost).await,
        None => Ok(()),
    }
}

/// A version is superseded once, so its number is the name of what was lost with it.
async fn keep_lost(connection: &mut Connection, group: GroupId, lost: &LostEdit) -> StoreResult<()> {
    let stamp = lost.stamp();
    query("REPLACE INTO lost_edits (protection_group_id, epoch, version, edit) VALUES (?, ?, ?, ?)")
        .bind(group.to_string())
        .bind(number(stamp.epoch)?)
        .bind(number(stamp.version)?)
        .bind(json_text(lost)?)
        .execute(connection)
        .await
        .map_err(unavailable)?;
    Ok(())
}

fn entry(row: &Row) -> StoreResult<SyncEntry> {
    let stamp = match (row.maybe_number("epoch")?, row.maybe_number("version")?) {
        (Some(epoch), Some(version)) => Some(Stamp {
            epoch: unsigned(epoch)?,
            version: unsigned(version)?,
        }),
        _ => None,
    };
    Ok(SyncEntry {
        group_id: id(&row.text("protection_group_id")?)?,
        at: time(&row.text("at")?)?,
        event: row.text("event")?,
        stamp,
        message: row.text("message")?,
        lost: row
            .maybe("edit")?
            .map(|text| json("an edit that was lost", &text))
            .transpose()?,
    })
}

impl SqlStore {
    /// Keeps a nonce until it is used, and forgets those that were never.
    pub(crate) async fn nonce_insert(&self, nonce: &Nonce) -> StoreResult<()> {
        const INSERT: &str =
            "INSERT INTO sync_nonces (value, protection_group_id, site_id, expires_at) VALUES (?, ?, ?, ?)";
        let mut transaction = self.database.begin().await?;
        let now = transaction.now().await?;
        query("DELETE FROM sync_nonces WHERE expires_at <= ?")
            .bind(time_text(now))
            .execute(&mut transaction)
            .await
            .map_err(unavailable)?;
        query(INSERT)
            .bind(&nonce.value)
            .bind(nonce.group_id.to_string())
            .bind(nonce.site_id.to_string())
            .bind(time_text(nonce.expires_at))
            .execute(&mut transaction)
            .await
            .map_err(|error| match taken(&error) {
                Some(_) => StoreError::Exists("this nonce".to_owned()),
                None => unavailable(error),
            })?;
        transaction.commit().await
    }

    /// Newest first.
    pub(crate) async fn log_list(
        &self,
        group: GroupId,
        event: Option<&str>,
        limit: usize,
    ) -> StoreResult<Vec<SyncEntry>> {
        const SELECT: &str = "SELECT sync_log.*, lost_edits.edit FROM sync_log LEFT JOIN lost_edits \
             ON lost_edits.protection_group_id = sync_log.protection_group_id AND lost_edits.epoch = sync_log.epoch \
             AND lost_edits.version = sync_log.version AND sync_log.event = ";
        let mut list = query(SELECT);
        list.push_bind(SUPERSEDED)
            .push(" WHERE sync_log.protection_group_id = ")
            .push_bind(group.to_string());
        equal(&mut list, "sync_log.event", event);
        list.push(" ORDER BY sync_log.number DESC LIMIT ")
            .push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = list
            .fetch_all(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        rows.iter().map(entry).collect()
    }
}
