//! Tenant mappings: which project there is which project here.

use protector_domain::{ProjectId, SiteId, TenantMapping, TenantMappingId};

use crate::error::{Error, Result};
use crate::{Caller, Service};

pub struct NewTenantMapping {
    pub id: Option<TenantMappingId>,
    pub local_tenant: ProjectId,
    pub remote_site: SiteId,
    pub remote_tenant: ProjectId,
    pub description: String,
}

impl Service {
    pub async fn create_tenant_mapping(&self, new: NewTenantMapping) -> Result<TenantMapping> {
        if new.remote_site == self.local_site() {
            return Err(Error::Invalid(
                "The remote site of a tenant mapping can't be this site itself.".into(),
            ));
        }
        if self.store.site(new.remote_site).await?.is_none() {
            return Err(Error::not_found("site", new.remote_site));
        }
        let mapping = TenantMapping {
            id: new.id.unwrap_or_else(|| TenantMappingId(uuid::Uuid::new_v4())),
            local_tenant: new.local_tenant,
            remote_site: new.remote_site,
            remote_tenant: new.remote_tenant,
            description: new.description,
            created_at: self.clock.now(),
        };
        self.store.insert_tenant_mapping(&mapping).await?;
        Ok(mapping)
    }

    pub async fn tenant_mappings(&self) -> Result<Vec<TenantMapping>> {
        Ok(self.store.tenant_mappings().await?)
    }

    pub async fn tenant_mapping(&self, id: TenantMappingId) -> Result<TenantMapping> {
        let found = self
            .store
            .tenant_mappings()
            .await?
            .into_iter()
            .find(|mapping| mapping.id == id);
        found.ok_or_else(|| Error::not_found("tenant mapping", id))
    }

    pub async fn delete_tenant_mapping(&self, id: TenantMappingId) -> Result<()> {
        Ok(self.store.delete_tenant_mapping(id).await?)
    }

    /// The caller's project on the other site.
    pub(crate) async fn mapped_project(
        &self,
        caller: &Caller,
        site: SiteId,
        site_name: &str,
    ) -> Result<ProjectId> {
        let mappings = self.store.tenant_mappings().await?;
        let there: Vec<_> = mappings
            .iter()
            .filter(|mapping| mapping.remote_site == site)
            .collect();
        let own = &caller.project_id;
        if let Some(mapping) = there.iter().find(|mapping| mapping.local_tenant == *own) {
            return Ok(mapping.remote_tenant.clone());
        }
        // In one Keystone a project is itself, unless an administrator has given its name there to another one.
        let taken = there.iter().any(|mapping| mapping.remote_tenant == *own);
        if !taken && self.shares_keystone_with(site).await? {
            return Ok(own.clone());
        }
        Err(Error::conflict(format!(
            "Project '{}' has no tenant mapping to site '{site_name}': an administrator makes one with \
             `openstack dr tenant mapping create --local-tenant {own} --remote-site {site_name} --remote-tenant PROJECT`.",
            caller.project_name
        )))
    }

    /// Whether that site is another region of this site's Keystone.
    async fn shares_keystone_with(&self, site: SiteId) -> Result<bool> {
        let local = self.store.site(self.local_site()).await?;
        let remote = self.store.site(site).await?;
        let both = local.zip(remote);
        Ok(both.is_some_and(|(local, remote)| local.shares_keystone_with(&remote)))
    }
}
