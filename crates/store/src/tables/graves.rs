//! What is kept of groups that were deleted here. Like the audit trail it is never forgotten; it is a line for each.

use protector_domain::{Grave, GroupId, Stamp};
use protector_ports::store::StoreResult;

use crate::columns::{id, time_text, unsigned};
use crate::database::{Connection, Row, query, unavailable};
use crate::store::SqlStore;

fn grave(row: &Row) -> StoreResult<Grave> {
    Ok(Grave {
        group_id: id(&row.text("id")?)?,
        project_id: id(&row.text("project_id")?)?,
        primary_site_id: id(&row.text("primary_site_id")?)?,
        stamp: Stamp {
            epoch: unsigned(row.number("epoch")?)?,
            version: unsigned(row.number("version")?)?,
        },
    })
}

/// For a group that is about to be deleted. One that came back after a takeover may have an older one.
pub async fn dig(connection: &mut Connection, id: GroupId) -> StoreResult<()> {
    const DIG: &str = "REPLACE INTO deleted_groups (id, project_id, primary_site_id, epoch, version, deleted_at) \
         SELECT id, project_id, current_primary_site_id, epoch, version, ? FROM protection_groups WHERE id = ?";
    let now = connection.now().await?;
    query(DIG)
        .bind(time_text(now))
        .bind(id.to_string())
        .execute(connection)
        .await
        .map_err(unavailable)?;
    Ok(())
}

impl SqlStore {
    pub(crate) async fn grave_get(&self, id: GroupId) -> StoreResult<Option<Grave>> {
        let row = query("SELECT * FROM deleted_groups WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(grave).transpose()
    }
}
