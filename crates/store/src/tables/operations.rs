//! Operations: the audit trail, every attribute a column.

use protector_domain::{Operation, OperationId, ProjectId};
use protector_ports::StoreError;
use protector_ports::store::{OperationFilter, Page, StoreResult};
use protector_saga::Claim;

use super::page::{self, Sorted};
use super::sagas;
use crate::columns::{id, json, json_text, maybe_time, time, time_text, unsigned, word};
use crate::database::{Connection, Query, Row, query, taken, unavailable};
use crate::store::SqlStore;

fn operation(row: &Row) -> StoreResult<Operation> {
    let text = row.text("id")?;
    let what = |column: &str| format!("{column} of operation {text}");
    Ok(Operation {
        id: id(&text)?,
        group_id: id(&row.text("protection_group_id")?)?,
        project_id: id(&row.text("project_id")?)?,
        operation_type: word(&row.text("operation_type")?)?,
        status: word(&row.text("status")?)?,
        outcome: row.maybe("outcome")?.as_deref().map(word).transpose()?,
        waiting_for: row.maybe("waiting_for")?,
        progress: unsigned(row.number("progress")?)?,
        current_step: row.maybe("current_step")?,
        source_site_id: id(&row.text("source_site_id")?)?,
        target_site_id: id(&row.text("target_site_id")?)?,
        created_at: time(&row.text("created_at")?)?,
        started_at: maybe_time(row.maybe("started_at")?)?,
        completed_at: maybe_time(row.maybe("completed_at")?)?,
        error_message: row.maybe("error_message")?,
        steps_completed: json(&what("steps_completed"), &row.text("steps_completed")?)?,
        steps_failed: json(&what("steps_failed"), &row.text("steps_failed")?)?,
        steps: json(&what("steps"), &row.text("steps")?)?,
        result_data: json(&what("result_data"), &row.text("result_data")?)?,
    })
}

/// Inserts the operation, or brings its row up to date. What it is about never changes.
pub async fn write(connection: &mut Connection, operation: &Operation) -> StoreResult<()> {
    const INSERT: &str = "INSERT INTO dr_operations (status, outcome, waiting_for, progress, current_step, started_at, \
         completed_at, error_message, steps_completed, steps_failed, steps, result_data, id, protection_group_id, \
         project_id, operation_type, source_site_id, target_site_id, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    if update(connection, operation).await? {
        return Ok(());
    }
    bind_columns(query(INSERT), operation)?
        .bind(operation.group_id.to_string())
        .bind(operation.project_id.as_str())
        .bind(operation.operation_type.as_str())
        .bind(operation.source_site_id.to_string())
        .bind(operation.target_site_id.to_string())
        .bind(time_text(operation.created_at))
        .execute(connection)
        .await
        .map_err(|error| match taken(&error) {
            Some(_) => StoreError::Exists(format!("operation {}", operation.id)),
            None => unavailable(error),
        })?;
    Ok(())
}

/// Answers whether there is such an operation.
async fn update(connection: &mut Connection, operation: &Operation) -> StoreResult<bool> {
    const UPDATE: &str = "UPDATE dr_operations SET status = ?, outcome = ?, waiting_for = ?, progress = ?, \
         current_step = ?, started_at = ?, completed_at = ?, error_message = ?, steps_completed = ?, steps_failed = ?, \
         steps = ?, result_data = ? WHERE id = ?";
    let done = bind_columns(query(UPDATE), operation)?.execute(connection).await;
    Ok(done.map_err(unavailable)? > 0)
}

/// The columns that both statements set, in their order, and the id.
fn bind_columns(query: Query, operation: &Operation) -> StoreResult<Query> {
    Ok(query
        .bind(operation.status.as_str())
        .bind(operation.outcome.map(|outcome| outcome.as_str()))
        .bind(&operation.waiting_for)
        .bind(i64::from(operation.progress))
        .bind(&operation.current_step)
        .bind(operation.started_at.map(time_text))
        .bind(operation.completed_at.map(time_text))
        .bind(&operation.error_message)
        .bind(json_text(&operation.steps_completed)?)
        .bind(json_text(&operation.steps_failed)?)
        .bind(json_text(&operation.steps)?)
        .bind(json_text(&operation.result_data)?)
        .bind(operation.id.to_string()))
}

const SORT_KEYS: &[&str] = &[
    "id",
    "operation_type",
    "status",
    "progress",
    "created_at",
    "started_at",
    "completed_at",
];

impl SqlStore {
    pub(crate) async fn operation_update(
        &self,
        operation: &Operation,
        claim: Option<&Claim>,
    ) -> StoreResult<()> {
        let mut transaction = self.database.begin().await?;
        if let Some(claim) = claim {
            sagas::require(&mut transaction, claim).await?;
        }
        if !update(&mut transaction, operation).await? {
            return Err(StoreError::Missing(format!("operation {}", operation.id)));
        }
        transaction.commit().await
    }

    pub(crate) async fn operation_get(&self, id: OperationId) -> StoreResult<Option<Operation>> {
        let row = query("SELECT * FROM dr_operations WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(operation).transpose()
    }

    pub(crate) async fn operation_list(
        &self,
        filter: &OperationFilter,
        page: &Page,
    ) -> StoreResult<Vec<Operation>> {
        let sorted = Sorted::new(page, SORT_KEYS)?;
        let mut query = query("SELECT * FROM dr_operations WHERE 1 = 1");
        let group = filter.group.map(|group| group.to_string());
        page::equal(
            &mut query,
            "project_id",
            filter.project.as_ref().map(ProjectId::as_str),
        );
        page::equal(&mut query, "protection_group_id", group.as_deref());
        page::equal(&mut query, "status", filter.status.as_deref());
        page::equal(&mut query, "operation_type", filter.operation_type.as_deref());
        let rows = sorted.fetch(&self.database, "dr_operations", query).await?;
        rows.iter().map(operation).collect()
    }
}
