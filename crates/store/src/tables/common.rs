//! The version that both sites had, kept while a later one awaits the other site's receipt.

use protector_domain::{Document, Group, GroupId, SyncStatus};
use protector_ports::store::StoreResult;

use crate::columns::json;
use crate::database::{Connection, query, unavailable};
use crate::store::SqlStore;

/// Before a group is written over the revision that it was read at: whoever changes it, API or engine, the last version that was confirmed stays. Later
/// changes of an unconfirmed version leave it as it is.
pub async fn keep(connection: &mut Connection, group: &Group) -> StoreResult<()> {
    const KEEP: &str = "REPLACE INTO common_documents (protection_group_id, document) \
         SELECT id, document FROM protection_groups WHERE id = ? AND revision = ? AND sync_status = ?";
    if group.sync.status == SyncStatus::Synced {
        return Ok(());
    }
    query(KEEP)
        .bind(group.id().to_string())
        .bind(group.revision)
        .bind(SyncStatus::Synced.as_str())
        .execute(connection)
        .await
        .map_err(unavailable)?;
    Ok(())
}

impl SqlStore {
    pub(crate) async fn common_get(&self, id: GroupId) -> StoreResult<Option<Document>> {
        let row = query("SELECT document FROM common_documents WHERE protection_group_id = ?")
            .bind(id.to_string())
            .fetch_optional(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        let what = || format!("the common document of protection group {id}");
        row.map(|row| json(&what(), &row.text("document")?)).transpose()
    }
}
