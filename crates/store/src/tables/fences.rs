//! Which sites have lost which groups, and how far that they stay away from them has come.

use protector_domain::{Fence, GroupId};
use protector_ports::store::StoreResult;

use crate::columns::{id, json, json_text, maybe_time, number, time, time_text, unsigned};
use crate::database::{Row, query, unavailable};
use crate::store::SqlStore;

impl SqlStore {
    /// One that is there already stays as it is: it may be done by now.
    pub(crate) async fn fence_begin(&self, fence: &Fence) -> StoreResult<()> {
        let mut transaction = self.database.begin().await?;
        let there =
            query("SELECT epoch FROM fences WHERE protection_group_id = ? AND site_id = ? AND epoch = ?")
                .bind(fence.group_id.to_string())
                .bind(fence.site_id.to_string())
                .bind(number(fence.epoch)?)
                .for_update()
                .fetch_optional(&mut transaction)
                .await
                .map_err(unavailable)?;
        if there.is_some() {
            return Ok(());
        }
        query(
            "INSERT INTO fences (protection_group_id, site_id, epoch, since, servers, replaced, array_group) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(fence.group_id.to_string())
        .bind(fence.site_id.to_string())
        .bind(number(fence.epoch)?)
        .bind(time_text(fence.since))
        .bind(json_text(&fence.servers)?)
        .bind(json_text(&fence.replaced)?)
        .bind(fence.array_group.as_deref())
        .execute(&mut transaction)
        .await
        .map_err(unavailable)?;
        transaction.commit().await
    }

    pub(crate) async fn fence_note(&self, fence: &Fence) -> StoreResult<()> {
        query(
            "UPDATE fences SET fenced_at = ?, replicated_back_at = ?, trouble = ? \
             WHERE protection_group_id = ? AND site_id = ? AND epoch = ?",
        )
        .bind(fence.fenced_at.map(time_text))
        .bind(fence.replicated_back_at.map(time_text))
        .bind(fence.trouble.as_deref())
        .bind(fence.group_id.to_string())
        .bind(fence.site_id.to_string())
        .bind(number(fence.epoch)?)
        .execute(&mut self.database.write().await?)
        .await
        .map_err(unavailable)?;
        Ok(())
    }

    pub(crate) async fn fences_open(&self) -> StoreResult<Vec<Fence>> {
        let rows = query(
            "SELECT * FROM fences WHERE fenced_at IS NULL OR replicated_back_at IS NULL ORDER BY since",
        )
        .fetch_all(&mut self.database.read().await?)
        .await
        .map_err(unavailable)?;
        rows.iter().map(fence).collect()
    }

    pub(crate) async fn fence_of(&self, group: GroupId) -> StoreResult<Option<Fence>> {
        let row = query("SELECT * FROM fences WHERE protection_group_id = ? ORDER BY epoch DESC LIMIT 1")
            .bind(group.to_string())
            .fetch_optional(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(fence).transpose()
    }
}

fn fence(row: &Row) -> StoreResult<Fence> {
    Ok(Fence {
        group_id: id(&row.text("protection_group_id")?)?,
        site_id: id(&row.text("site_id")?)?,
        epoch: unsigned(row.number("epoch")?)?,
        servers: json("the servers of a fence", &row.text("servers")?)?,
        replaced: json("what a fence replaces", &row.text("replaced")?)?,
        array_group: row.maybe("array_group")?,
        since: time(&row.text("since")?)?,
        fenced_at: maybe_time(row.maybe("fenced_at")?)?,
        replicated_back_at: maybe_time(row.maybe("replicated_back_at")?)?,
        trouble: row.maybe("trouble")?,
    })
}
