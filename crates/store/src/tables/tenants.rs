//! Which project of another site belongs to which one of ours.

use protector_domain::{TenantMapping, TenantMappingId};
use protector_ports::{StoreError, store::StoreResult};

use crate::columns::{id, time, time_text};
use crate::database::{Row, query, refers_to_nothing, taken, unavailable};
use crate::store::SqlStore;

fn mapping(row: &Row) -> StoreResult<TenantMapping> {
    Ok(TenantMapping {
        id: id(&row.text("id")?)?,
        local_tenant: id(&row.text("local_tenant")?)?,
        remote_site: id(&row.text("remote_site_id")?)?,
        remote_tenant: id(&row.text("remote_tenant")?)?,
        description: row.text("description")?,
        created_at: time(&row.text("created_at")?)?,
    })
}

impl SqlStore {
    pub(crate) async fn mapping_insert(&self, mapping: &TenantMapping) -> StoreResult<()> {
        const INSERT: &str = "INSERT INTO tenant_mappings (id, local_tenant, remote_site_id, remote_tenant, description, \
             created_at) VALUES (?, ?, ?, ?, ?, ?)";
        let done = query(INSERT)
            .bind(mapping.id.to_string())
            .bind(mapping.local_tenant.as_str())
            .bind(mapping.remote_site.to_string())
            .bind(mapping.remote_tenant.as_str())
            .bind(&mapping.description)
            .bind(time_text(mapping.created_at))
            .execute(&mut self.database.write().await?)
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

    pub(crate) async fn mapping_delete(&self, id: TenantMappingId) -> StoreResult<()> {
        let done = query("DELETE FROM tenant_mappings WHERE id = ?")
            .bind(id.to_string())
            .execute(&mut self.database.write().await?)
            .await
            .map_err(unavailable)?;
        match done {
            0 => Err(StoreError::Missing(format!("tenant mapping {id}"))),
            _ => Ok(()),
        }
    }

    pub(crate) async fn mapping_list(&self) -> StoreResult<Vec<TenantMapping>> {
        let rows = query("SELECT * FROM tenant_mappings ORDER BY created_at, id")
            .fetch_all(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        rows.iter().map(mapping).collect()
    }
}
