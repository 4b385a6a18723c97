//! Which project of another site belongs to which one of ours.

use protector_domain::{TenantMapping, TenantMappingId};
use protector_ports::{StoreError, store::StoreResult};
use sqlx::sqlite::SqliteRow;

use super::{Columns, SqliteStore, refers_to_nothing, taken, unavailable};
use crate::columns::{id, time, time_text};

fn mapping(row: &SqliteRow) -> StoreResult<TenantMapping> {
    Ok(TenantMapping {
        id: id(&row.text("id")?)?,
        local_tenant: id(&row.text("local_tenant")?)?,
        remote_site: id(&row.text("remote_site_id")?)?,
        remote_tenant: id(&row.text("remote_tenant")?)?,
        description: row.text("description")?,
        created_at: time(&row.text("created_at")?)?,
    })
}

impl SqliteStore {
    pub(super) async fn mapping_insert(&self, mapping: &TenantMapping) -> StoreResult<()> {
        const INSERT: &str = "INSERT INTO tenant_mappings (id, local_tenant, remote_site_id, remote_tenant, description, \
             created_at) VALUES (?, ?, ?, ?, ?, ?)";
        let done = sqlx::query(INSERT)
            .bind(mapping.id.to_string())
            .bind(mapping.local_tenant.as_str())
            .bind(mapping.remote_site.to_string())
            .bind(mapping.remote_tenant.as_str())
            .bind(&mapping.description)
            .bind(time_text(mapping.created_at))
            .execute(&self.writes)
            .await;
        match done {
            Ok(_) => Ok(()),
            Err(error) if refers_to_nothing(&error) => {
                Err(StoreError::Missing(format!("site {}", mapping.remote_site)))
            }
            Err(error) => Err(match taken(&error) {
                Some(columns) if columns.contains("local_tenant") => StoreError::Exists(format!(
                    "a mapping of project {} for that site",
                    mapping.local_tenant
                )),
                Some(_) => StoreError::Exists(format!("tenant mapping {}", mapping.id)),
                None => unavailable(error),
            }),
        }
    }

    pub(super) async fn mapping_delete(&self, id: TenantMappingId) -> StoreResult<()> {
        let done = sqlx::query("DELETE FROM tenant_mappings WHERE id = ?")
            .bind(id.to_string())
            .execute(&self.writes)
            .await
            .map_err(unavailable)?;
        match done.rows_affected() {
            0 => Err(StoreError::Missing(format!("tenant mapping {id}"))),
            _ => Ok(()),
        }
    }

    pub(super) async fn mapping_list(&self) -> StoreResult<Vec<TenantMapping>> {
        let rows = sqlx::query("SELECT * FROM tenant_mappings ORDER BY created_at, id")
            .fetch_all(&self.reads)
            .await
            .map_err(unavailable)?;
        rows.iter().map(mapping).collect()
    }
}
