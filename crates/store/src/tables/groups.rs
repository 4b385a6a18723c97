//! Groups, stored and loaded whole.

use std::collections::BTreeMap;

use protector_domain::{
    ConsistencyGroup, Group, GroupId, GroupStatus, MemberId, MemberState, PolicyStatus, ProjectId, SyncState,
};
use protector_ports::StoreError;
use protector_ports::store::{Along, GroupFilter, Page, StoreResult};
use serde::{Deserialize, Serialize};

use super::along::{self, Change};
use super::page::{self, Sorted};
use super::{common, graves, group_rows};
use crate::columns::{id, json, json_text, number, time, time_text, word};
use crate::database::{Connection, Query, Row, query, refers_to_nothing, taken, unavailable};
use crate::store::SqlStore;

/// What this site alone knows and no column says.
#[derive(Serialize, Deserialize)]
struct LocalState {
    member_states: BTreeMap<MemberId, MemberState>,
    consistency_group: ConsistencyGroup,
    policy_status: Option<PolicyStatus>,
    policy_reason: Option<String>,
    array_group_made: bool,
    sync: SyncState,
}

impl LocalState {
    fn of(group: &Group) -> LocalState {
        LocalState {
            member_states: group.member_states.clone(),
            consistency_group: group.consistency_group.clone(),
            policy_status: group.policy_status,
            policy_reason: group.policy_reason.clone(),
            array_group_made: group.array_group_made,
            sync: group.sync.clone(),
        }
    }
}

fn group(row: &Row) -> StoreResult<Group> {
    let id = row.text("id")?;
    let state: LocalState = json(
        &format!("the state of protection group {id}"),
        &row.text("state")?,
    )?;
    Ok(Group {
        document: json(
            &format!("the document of protection group {id}"),
            &row.text("document")?,
        )?,
        status: word(&row.text("status")?)?,
        status_reason: row.maybe("status_reason")?,
        member_states: state.member_states,
        consistency_group: state.consistency_group,
        policy_status: state.policy_status,
        policy_reason: state.policy_reason,
        array_group_made: state.array_group_made,
        sync: state.sync,
        created_at: time(&row.text("created_at")?)?,
        updated_at: time(&row.text("updated_at")?)?,
        revision: row.number("revision")?,
    })
}

const SORT_KEYS: &[&str] = &[
    "id",
    "name",
    "status",
    "created_at",
    "updated_at",
    "replication_type",
    "failover_count",
];

impl SqlStore {
    fn project_here<'a>(&self, group: &'a Group) -> StoreResult<&'a ProjectId> {
        group.project(self.site).ok_or_else(|| {
            StoreError::Missing(format!(
                "the project of protection group '{}' on this site",
                group.document.name
            ))
        })
    }

    fn refused(&self, group: &Group, error: sqlx::Error) -> StoreError {
        match taken(&error) {
            Some(columns) if columns.contains("protection_groups_name") => {
                StoreError::Exists(format!("a protection group named '{}'", group.document.name))
            }
            Some(_) => StoreError::Exists(format!("protection group {}", group.id())),
            None if refers_to_nothing(&error) => {
                StoreError::Missing(format!("a site of protection group '{}'", group.document.name))
            }
            None => unavailable(error),
        }
    }

    pub(crate) async fn group_insert(&self, group: &Group, along: &Along<'_>) -> StoreResult<()> {
        const INSERT: &str = "INSERT INTO protection_groups (project_id, name, description, status, status_reason, \
             replication_type, primary_site_id, secondary_site_id, current_primary_site_id, consistency_group_id, \
             volume_type_id, failover_count, epoch, version, sync_status, document, state, updated_at, revision, \
             id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let mut transaction = self.database.begin().await?;
        along::before(&mut transaction, group.id(), along).await?;
        let insert = self.bind_columns(query(INSERT), group)?;
        insert
            .bind(group.revision)
            .bind(group.id().to_string())
            .bind(time_text(group.created_at))
            .execute(&mut transaction)
            .await
            .map_err(|error| self.refused(group, error))?;
        group_rows::write(&mut transaction, group, self.site).await?;
        self.write_along(&mut transaction, Change::Written(group), along)
            .await?;
        transaction.commit().await
    }

    pub(crate) async fn group_update(&self, group: &Group, along: &Along<'_>) -> StoreResult<Group> {
        const UPDATE: &str = "UPDATE protection_groups SET project_id = ?, name = ?, description = ?, status = ?, \
             status_reason = ?, replication_type = ?, primary_site_id = ?, secondary_site_id = ?, \
             current_primary_site_id = ?, consistency_group_id = ?, volume_type_id = ?, failover_count = ?, epoch = ?, \
             version = ?, sync_status = ?, document = ?, state = ?, updated_at = ?, revision = ? \
             WHERE id = ? AND revision = ?";
        let mut transaction = self.database.begin().await?;
        along::before(&mut transaction, group.id(), along).await?;
        common::keep(&mut transaction, group).await?;
        let revision = group.revision + 1;
        let done = self
            .bind_columns(query(UPDATE), group)?
            .bind(revision)
            .bind(group.id().to_string())
            .bind(group.revision)
            .execute(&mut transaction)
            .await
            .map_err(|error| self.refused(group, error))?;
        if done == 0 {
            return Err(stale_or_missing(&mut transaction, group).await?);
        }
        group_rows::write(&mut transaction, group, self.site).await?;
        self.write_along(&mut transaction, Change::Written(group), along)
            .await?;
        transaction.commit().await?;
        Ok(Group {
            revision,
            ..group.clone()
        })
    }

    /// The columns that both statements set, in their order.
    fn bind_columns(&self, query: Query, group: &Group) -> StoreResult<Query> {
        let document = &group.document;
        Ok(query
            .bind(self.project_here(group)?.as_str())
            .bind(&document.name)
            .bind(&document.description)
            .bind(group.status.as_str())
            .bind(&group.status_reason)
            .bind(document.replication_type.as_str())
            .bind(document.primary_site.id.to_string())
            .bind(document.secondary_site.id.to_string())
            .bind(document.current_primary_site_id.to_string())
            .bind(group.consistency_group.id.to_string())
            .bind(
                document
                    .volume_types
                    .get(&self.site)
                    .map(|volume_type| volume_type.id.as_str()),
            )
            .bind(number(document.failover_count)?)
            .bind(number(document.stamp.epoch)?)
            .bind(number(document.stamp.version)?)
            .bind(group.sync.status.as_str())
            .bind(json_text(document)?)
            .bind(json_text(&LocalState::of(group))?)
            .bind(time_text(group.updated_at)))
    }

    pub(crate) async fn group_delete(&self, id: GroupId, along: &Along<'_>) -> StoreResult<()> {
        let mut transaction = self.database.begin().await?;
        along::before(&mut transaction, id, along).await?;
        along::refuse_other_saga(&mut transaction, id, along.claim).await?;
        graves::dig(&mut transaction, id).await?;
        let done = query("DELETE FROM protection_groups WHERE id = ?")
            .bind(id.to_string())
            .execute(&mut transaction)
            .await
            .map_err(unavailable)?;
        if done == 0 {
            return Err(StoreError::Missing(format!("protection group {id}")));
        }
        for leftover in [
            "DELETE FROM sync_nonces WHERE protection_group_id = ?",
            "DELETE FROM sync_log WHERE protection_group_id = ?",
            "DELETE FROM lost_edits WHERE protection_group_id = ?",
            "DELETE FROM common_documents WHERE protection_group_id = ?",
        ] {
            query(leftover)
                .bind(id.to_string())
                .execute(&mut transaction)
                .await
                .map_err(unavailable)?;
        }
        self.write_along(&mut transaction, Change::Deleted, along).await?;
        transaction.commit().await
    }

    pub(crate) async fn group_get(&self, id: GroupId) -> StoreResult<Option<Group>> {
        let row = query("SELECT * FROM protection_groups WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(group).transpose()
    }

    pub(crate) async fn group_list(&self, filter: &GroupFilter, page: &Page) -> StoreResult<Vec<Group>> {
        let sorted = Sorted::new(page, SORT_KEYS)?;
        let mut query = query("SELECT * FROM protection_groups WHERE 1 = 1");
        page::equal(
            &mut query,
            "project_id",
            filter.project.as_ref().map(ProjectId::as_str),
        );
        page::equal(&mut query, "name", filter.name.as_deref());
        page::equal(&mut query, "status", filter.status.as_deref());
        let rows = sorted.fetch(&self.database, "protection_groups", query).await?;
        rows.iter().map(group).collect()
    }

    pub(crate) async fn group_id_list(&self, status: Option<GroupStatus>) -> StoreResult<Vec<GroupId>> {
        let mut query = query("SELECT id FROM protection_groups WHERE 1 = 1");
        page::equal(&mut query, "status", status.map(|status| status.as_str()));
        query.push(" ORDER BY created_at, id");
        let rows = query
            .fetch_all(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| id(&row.text("id")?)).collect()
    }
}

async fn stale_or_missing(connection: &mut Connection, group: &Group) -> StoreResult<StoreError> {
    let row = query("SELECT 1 FROM protection_groups WHERE id = ?")
        .bind(group.id().to_string())
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    Ok(match row {
        Some(_) => StoreError::Stale(format!("protection group '{}'", group.document.name)),
        None => StoreError::Missing(format!("protection group {}", group.id())),
    })
}
