//! The database. One method is one transaction; none escapes.
//!
//! A group is stored and loaded whole. Writers give back the revision that they read, and a stale one is
//! refused ([`StoreError::Stale`]), so two requests can't build on the same past.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use protector_domain::{
    Document, Fence, Grave, Group, GroupId, GroupStatus, Nonce, Operation, OperationId, ProjectId, SagaId,
    ServerId, Site, SiteId, SyncEntry, TenantMapping, TenantMappingId,
};
use protector_saga::{Claim, Journal, NewSaga, SagaHeader};
use secrecy::{ExposeSecret, SecretString};

use crate::cloud::Credentials;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed it meanwhile: read again.
    #[error("{0} was changed by another request meanwhile")]
    Stale(String),
    /// A unique name or id is taken.
    #[error("{0} exists already")]
    Exists(String),
    #[error("{0} does not exist")]
    Missing(String),
    /// Something else refers to it.
    #[error("{0} is still in use")]
    InUse(String),
    /// The subject has a live saga already; it is named.
    #[error("another change of it is still running: {0}")]
    Busy(String),
    /// The nonce is unknown, used or too old.
    #[error("the statement doesn't answer a nonce of this site, or is older than 60 seconds")]
    Nonce,
    /// The engine that writes no longer owns the saga.
    #[error("this engine no longer owns the work")]
    Fenced,
    #[error("the database can't be reached or refused")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
}

pub type StoreResult<T> = Result<T, StoreError>;

/// What a change of a group takes along in its transaction.
#[derive(Default)]
pub struct Along<'a> {
    /// Used up by this change.
    pub nonce: Option<&'a str>,
    /// Work that the engine is to do because of it.
    pub saga: Option<NewSaga>,
    pub operation: Option<&'a Operation>,
    pub entry: Option<SyncEntry>,
    /// Tenant trust to keep (sealed) for the group, per site.
    pub trusts: Vec<(SiteId, SecretString)>,
    /// Array tokens to keep (sealed) for the group's policy, per site.
    pub array_tokens: Vec<(SiteId, SecretString)>,
    /// Where an engine writes: the claim that must still hold.
    pub claim: Option<&'a Claim>,
}

/// What an engine saw of a group's servers on the cloud where they run. Kept for the day when that cloud is dead.
#[derive(Clone)]
pub struct RecordedFacts {
    pub about: FactsAbout,
    /// JSON in the workflow's own form, as text because it is long. User data is in it, so it never prints.
    pub facts: SecretString,
}

impl PartialEq for RecordedFacts {
    fn eq(&self, other: &Self) -> bool {
        self.about == other.about && self.facts.expose_secret() == other.facts.expose_secret()
    }
}

/// Whom recorded facts are about, and since when they are true; no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsAbout {
    /// Where they were read.
    pub site: SiteId,
    /// When the one that is known longest was read.
    pub read_at: DateTime<Utc>,
    pub servers: BTreeSet<ServerId>,
}

impl FactsAbout {
    /// Whether they are about the group's servers as it has them now, all of them.
    pub fn are_complete(&self, group: &Group) -> bool {
        let document = &group.document;
        self.site == document.current_primary_site_id
            && document
                .members
                .iter()
                .all(|member| self.servers.contains(&member.instance_id))
    }
}

impl std::fmt::Debug for RecordedFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedFacts")
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

/// Which part of a list. Lists are sorted newest first unless the key says otherwise.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub limit: Option<usize>,
    /// The id after which to go on.
    pub marker: Option<String>,
    pub sort_key: Option<String>,
    pub ascending: bool,
}

#[derive(Debug, Clone, Default)]
pub struct GroupFilter {
    pub project: Option<ProjectId>,
    pub name: Option<String>,
    pub status: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct OperationFilter {
    pub project: Option<ProjectId>,
    pub group: Option<GroupId>,
    pub status: Option<String>,
    pub operation_type: Option<String>,
}

#[async_trait]
pub trait Store: Journal {
    /// This site's own identity, made by `protector-manage db sync`.
    async fn local_site_id(&self) -> StoreResult<SiteId>;

    // Sites
    async fn insert_site(&self, site: &Site, credentials: Option<&Credentials>) -> StoreResult<()>;
    /// `credentials` of `None` leaves the stored ones as they are.
    async fn update_site(&self, site: &Site, credentials: Option<&Credentials>) -> StoreResult<()>;
    async fn delete_site(&self, id: SiteId) -> StoreResult<()>;
    async fn sites(&self) -> StoreResult<Vec<Site>>;
    async fn site(&self, id: SiteId) -> StoreResult<Option<Site>>;
    async fn site_credentials(&self, id: SiteId) -> StoreResult<Option<Credentials>>;

    // Tenant mappings
    async fn insert_tenant_mapping(&self, mapping: &TenantMapping) -> StoreResult<()>;
    async fn delete_tenant_mapping(&self, id: TenantMappingId) -> StoreResult<()>;
    async fn tenant_mappings(&self) -> StoreResult<Vec<TenantMapping>>;

    // Groups
    async fn insert_group(&self, group: &Group, along: Along<'_>) -> StoreResult<()>;
    /// Writes the group if its stored revision is still `group.revision`; answers it with the next one.
    async fn update_group(&self, group: &Group, along: Along<'_>) -> StoreResult<Group>;
    /// Removes the group with everything of it but its operations (the audit trail stays).
    async fn delete_group(&self, id: GroupId, along: Along<'_>) -> StoreResult<()>;
    async fn group(&self, id: GroupId) -> StoreResult<Option<Group>>;
    /// What is kept of a group that was deleted here.
    async fn grave(&self, id: GroupId) -> StoreResult<Option<Grave>>;
    async fn groups(&self, filter: &GroupFilter, page: &Page) -> StoreResult<Vec<Group>>;
    /// All of them, or those in one status, by their ids: a group may have ten thousand members.
    async fn group_ids(&self, status: Option<GroupStatus>) -> StoreResult<Vec<GroupId>>;
    async fn group_trust(&self, id: GroupId, site: SiteId) -> StoreResult<Option<SecretString>>;
    async fn array_token(&self, id: GroupId, site: SiteId) -> StoreResult<Option<SecretString>>;
    /// A saga, live or ended, while its journal is kept.
    async fn saga(&self, id: SagaId) -> StoreResult<Option<SagaHeader>>;
    /// The saga that works on the group right now.
    async fn live_saga(&self, id: GroupId) -> StoreResult<Option<SagaHeader>>;

    // Facts
    /// Sealed at rest, in place of those that were kept before.
    async fn keep_facts(&self, id: GroupId, facts: &RecordedFacts) -> StoreResult<()>;
    async fn facts(&self, id: GroupId) -> StoreResult<Option<RecordedFacts>>;
    async fn facts_about(&self, id: GroupId) -> StoreResult<Option<FactsAbout>>;

    // Fences
    /// One of that group, site and epoch that is there already stays as it is.
    async fn begin_fence(&self, fence: &Fence) -> StoreResult<()>;
    /// How far it has come.
    async fn note_fence(&self, fence: &Fence) -> StoreResult<()>;
    /// Those of which something is left to do, oldest first.
    async fn open_fences(&self) -> StoreResult<Vec<Fence>>;
    /// The group's latest one.
    async fn fence(&self, id: GroupId) -> StoreResult<Option<Fence>>;

    // Sync
    async fn insert_nonce(&self, nonce: &Nonce) -> StoreResult<()>;
    /// Newest first; of one kind of event, where it is named.
    async fn sync_log(&self, id: GroupId, event: Option<&str>, limit: usize) -> StoreResult<Vec<SyncEntry>>;
    /// The version that both sites had before the one that awaits its receipt now.
    async fn common_document(&self, id: GroupId) -> StoreResult<Option<Document>>;

    // Operations
    async fn update_operation(&self, operation: &Operation, claim: Option<&Claim>) -> StoreResult<()>;
    async fn operation(&self, id: OperationId) -> StoreResult<Option<Operation>>;
    async fn operations(&self, filter: &OperationFilter, page: &Page) -> StoreResult<Vec<Operation>>;

    /// A cheap question that fails where the database is down.
    async fn ping(&self) -> StoreResult<()>;
}
