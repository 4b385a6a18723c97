//! The port, method by method.

use async_trait::async_trait;
use protector_domain::{
    Group, GroupId, Nonce, Operation, OperationId, Site, SiteId, SyncEntry, TenantMapping, TenantMappingId,
};
use protector_ports::Store;
use protector_ports::cloud::Credentials;
use protector_ports::store::{
    Along, FactsAbout, GroupFilter, OperationFilter, Page, RecordedFacts, StoreResult,
};
use protector_saga::{Claim, SagaHeader};
use secrecy::SecretString;

use super::{SqliteStore, sagas, unavailable};

#[async_trait]
impl Store for SqliteStore {
    async fn local_site_id(&self) -> StoreResult<SiteId> {
        Ok(self.site)
    }

    async fn insert_site(&self, site: &Site, credentials: Option<&Credentials>) -> StoreResult<()> {
        self.site_insert(site, credentials).await
    }

    async fn update_site(&self, site: &Site, credentials: Option<&Credentials>) -> StoreResult<()> {
        self.site_update(site, credentials).await
    }

    async fn delete_site(&self, id: SiteId) -> StoreResult<()> {
        self.site_delete(id).await
    }

    async fn sites(&self) -> StoreResult<Vec<Site>> {
        self.site_list().await
    }

    async fn site(&self, id: SiteId) -> StoreResult<Option<Site>> {
        self.site_get(id).await
    }

    async fn site_credentials(&self, id: SiteId) -> StoreResult<Option<Credentials>> {
        self.credentials_get(id).await
    }

    async fn insert_tenant_mapping(&self, mapping: &TenantMapping) -> StoreResult<()> {
        self.mapping_insert(mapping).await
    }

    async fn delete_tenant_mapping(&self, id: TenantMappingId) -> StoreResult<()> {
        self.mapping_delete(id).await
    }

    async fn tenant_mappings(&self) -> StoreResult<Vec<TenantMapping>> {
        self.mapping_list().await
    }

    async fn insert_group(&self, group: &Group, along: Along<'_>) -> StoreResult<()> {
        self.group_insert(group, along).await
    }

    async fn update_group(&self, group: &Group, along: Along<'_>) -> StoreResult<Group> {
        self.group_update(group, along).await
    }

    async fn delete_group(&self, id: GroupId, along: Along<'_>) -> StoreResult<()> {
        self.group_delete(id, along).await
    }

    async fn group(&self, id: GroupId) -> StoreResult<Option<Group>> {
        self.group_get(id).await
    }

    async fn groups(&self, filter: &GroupFilter, page: &Page) -> StoreResult<Vec<Group>> {
        self.group_list(filter, page).await
    }

    async fn group_trust(&self, id: GroupId, site: SiteId) -> StoreResult<Option<SecretString>> {
        self.trust_get(id, site).await
    }

    async fn array_token(&self, id: GroupId, site: SiteId) -> StoreResult<Option<SecretString>> {
        self.token_get(id, site).await
    }

    async fn live_saga(&self, id: GroupId) -> StoreResult<Option<SagaHeader>> {
        sagas::live(&self.reads, &id.to_string()).await
    }

    async fn keep_facts(&self, id: GroupId, facts: &RecordedFacts) -> StoreResult<()> {
        self.facts_keep(id, facts).await
    }

    async fn facts_about(&self, id: GroupId) -> StoreResult<Option<FactsAbout>> {
        self.facts_about_get(id).await
    }

    async fn facts(&self, id: GroupId) -> StoreResult<Option<RecordedFacts>> {
        self.facts_get(id).await
    }

    async fn insert_nonce(&self, nonce: &Nonce) -> StoreResult<()> {
        self.nonce_insert(nonce).await
    }

    async fn sync_log(&self, id: GroupId, limit: usize) -> StoreResult<Vec<SyncEntry>> {
        self.log_list(id, limit).await
    }

    async fn update_operation(&self, operation: &Operation, claim: Option<&Claim>) -> StoreResult<()> {
        self.operation_update(operation, claim).await
    }

    async fn operation(&self, id: OperationId) -> StoreResult<Option<Operation>> {
        self.operation_get(id).await
    }

    async fn operations(&self, filter: &OperationFilter, page: &Page) -> StoreResult<Vec<Operation>> {
        self.operation_list(filter, page).await
    }

    /// Through the connection that writes: a database that can only be read is down for us.
    async fn ping(&self) -> StoreResult<()> {
        sqlx::query("SELECT 1 FROM site_identity")
            .fetch_one(&self.writes)
            .await
            .map_err(unavailable)?;
        Ok(())
    }
}
