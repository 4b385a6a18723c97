//! The store, and its port, method by method.

use std::sync::Arc;

use async_trait::async_trait;
use protector_domain::{
    Document, Fence, Grave, Group, GroupId, GroupStatus, Nonce, Operation, OperationId, SagaId, Site, SiteId,
    SyncEntry, TenantMapping, TenantMappingId,
};
use protector_ports::cloud::Credentials;
use protector_ports::store::{
    Along, FactsAbout, GroupFilter, OperationFilter, Page, RecordedFacts, StoreResult,
};
use protector_ports::{Sealer, Store, StoreError};
use protector_saga::{Claim, SagaHeader};
use secrecy::SecretString;

use crate::database::{Database, may_be_repeated, query, unavailable};
use crate::dsn::Dsn;
use crate::open::OpenError;
use crate::schema;
use crate::tables::sagas;

/// How often a transaction is begun that the server undoes in favour of others.
const TRIES: u32 = 6;

/// `Store` and `Journal` on either database.
pub struct SqlStore {
    pub(crate) database: Database,
    sealer: Arc<dyn Sealer>,
    pub(crate) site: SiteId,
}

impl SqlStore {
    /// Opens a database that `migrate` has brought to this release's schema.
    pub async fn connect(dsn: &Dsn, sealer: Arc<dyn Sealer>) -> Result<SqlStore, OpenError> {
        if let Some(file) = dsn.file() {
            let database = dsn.to_string();
            match file.try_exists() {
                Ok(true) => {}
                Ok(false) => return Err(OpenError::Empty { database }),
                // No file can ever be there, so making tables is no remedy.
                Err(error) => {
                    let source = sqlx::Error::Io(error);
                    return Err(OpenError::Unreachable { database, source });
                }
            }
        }
        let database = Database::open(dsn, false).await?;
        let site = schema::require_current(&database).await?;
        Ok(SqlStore {
            database,
            sealer,
            site,
        })
    }

    /// The file, or database and host, for messages.
    pub fn database(&self) -> &str {
        self.database.name()
    }

    /// This site's public key, if the database was given one.
    pub async fn public_key(&self) -> StoreResult<Option<String>> {
        query("SELECT public_key FROM site_identity")
            .fetch_one(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?
            .maybe("public_key")
    }

    pub async fn close(&self) {
        self.database.close().await;
    }

    pub(crate) fn seal(&self, secret: &SecretString, aad: &str) -> StoreResult<String> {
        self.sealer
            .seal(secret, aad)
            .map_err(|error| StoreError::Corrupt(format!("{aad} can't be sealed: {error}")))
    }

    pub(crate) fn open(&self, sealed: &str, aad: &str) -> StoreResult<SecretString> {
        self.sealer
            .open(sealed, aad)
            .map_err(|error| StoreError::Corrupt(format!("{aad} can't be opened: {error}")))
    }
}

/// Does a whole transaction again that had to give way to another one.
pub(crate) async fn persist<T, Done>(transaction: impl Fn() -> Done) -> StoreResult<T>
where
    Done: Future<Output = StoreResult<T>>,
{
    let mut tries = 1;
    loop {
        match transaction().await {
            Err(error) if may_be_repeated(&error) && tries < TRIES => tries += 1,
            done => return done,
        }
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn local_site_id(&self) -> StoreResult<SiteId> {
        Ok(self.site)
    }

    async fn insert_site(&self, site: &Site, credentials: Option<&Credentials>) -> StoreResult<()> {
        persist(|| self.site_insert(site, credentials)).await
    }

    async fn update_site(&self, site: &Site, credentials: Option<&Credentials>) -> StoreResult<()> {
        persist(|| self.site_update(site, credentials)).await
    }

    async fn delete_site(&self, id: SiteId) -> StoreResult<()> {
        persist(|| self.site_delete(id)).await
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
        persist(|| self.mapping_insert(mapping)).await
    }

    async fn delete_tenant_mapping(&self, id: TenantMappingId) -> StoreResult<()> {
        persist(|| self.mapping_delete(id)).await
    }

    async fn tenant_mappings(&self) -> StoreResult<Vec<TenantMapping>> {
        self.mapping_list().await
    }

    async fn insert_group(&self, group: &Group, along: Along<'_>) -> StoreResult<()> {
        persist(|| self.group_insert(group, &along)).await
    }

    async fn update_group(&self, group: &Group, along: Along<'_>) -> StoreResult<Group> {
        persist(|| self.group_update(group, &along)).await
    }

    async fn delete_group(&self, id: GroupId, along: Along<'_>) -> StoreResult<()> {
        persist(|| self.group_delete(id, &along)).await
    }

    async fn group(&self, id: GroupId) -> StoreResult<Option<Group>> {
        self.group_get(id).await
    }

    async fn grave(&self, id: GroupId) -> StoreResult<Option<Grave>> {
        self.grave_get(id).await
    }

    async fn groups(&self, filter: &GroupFilter, page: &Page) -> StoreResult<Vec<Group>> {
        self.group_list(filter, page).await
    }

    async fn group_ids(&self, status: Option<GroupStatus>) -> StoreResult<Vec<GroupId>> {
        self.group_id_list(status).await
    }

    async fn group_trust(&self, id: GroupId, site: SiteId) -> StoreResult<Option<SecretString>> {
        self.trust_get(id, site).await
    }

    async fn array_token(&self, id: GroupId, site: SiteId) -> StoreResult<Option<SecretString>> {
        self.token_get(id, site).await
    }

    async fn saga(&self, id: SagaId) -> StoreResult<Option<SagaHeader>> {
        sagas::one(&mut self.database.read().await?, id).await
    }

    async fn live_saga(&self, id: GroupId) -> StoreResult<Option<SagaHeader>> {
        sagas::live(&mut self.database.read().await?, &id.to_string()).await
    }

    async fn keep_facts(&self, id: GroupId, facts: &RecordedFacts) -> StoreResult<()> {
        persist(|| self.facts_keep(id, facts)).await
    }

    async fn facts_about(&self, id: GroupId) -> StoreResult<Option<FactsAbout>> {
        self.facts_about_get(id).await
    }

    async fn facts(&self, id: GroupId) -> StoreResult<Option<RecordedFacts>> {
        self.facts_get(id).await
    }

    async fn begin_fence(&self, fence: &Fence) -> StoreResult<()> {
        persist(|| self.fence_begin(fence)).await
    }

    async fn note_fence(&self, fence: &Fence) -> StoreResult<()> {
        persist(|| self.fence_note(fence)).await
    }

    async fn open_fences(&self) -> StoreResult<Vec<Fence>> {
        self.fences_open().await
    }

    async fn fence(&self, id: GroupId) -> StoreResult<Option<Fence>> {
        self.fence_of(id).await
    }

    async fn insert_nonce(&self, nonce: &Nonce) -> StoreResult<()> {
        persist(|| self.nonce_insert(nonce)).await
    }

    async fn sync_log(&self, id: GroupId, event: Option<&str>, limit: usize) -> StoreResult<Vec<SyncEntry>> {
        self.log_list(id, event, limit).await
    }

    async fn common_document(&self, id: GroupId) -> StoreResult<Option<Document>> {
        self.common_get(id).await
    }

    async fn update_operation(&self, operation: &Operation, claim: Option<&Claim>) -> StoreResult<()> {
        persist(|| self.operation_update(operation, claim)).await
    }

    async fn operation(&self, id: OperationId) -> StoreResult<Option<Operation>> {
        self.operation_get(id).await
    }

    async fn operations(&self, filter: &OperationFilter, page: &Page) -> StoreResult<Vec<Operation>> {
        self.operation_list(filter, page).await
    }

    /// Through the connection that writes: a database that can only be read is down for us.
    async fn ping(&self) -> StoreResult<()> {
        query("SELECT 1 FROM site_identity")
            .fetch_one(&mut self.database.write().await?)
            .await
            .map_err(unavailable)?;
        Ok(())
    }
}
