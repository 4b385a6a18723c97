//! Looking at operations. They are recorded on the site where they ran.

use chrono::{DateTime, Utc};
use protector_domain::{FailoverOrder, Operation, OperationId, OperationKind, OperationStatus, ProjectId};
use protector_ports::store::{OperationFilter, Page};

use crate::error::{Error, Result};
use crate::{Caller, Service};

impl Service {
    pub async fn operation(&self, caller: &Caller, id: OperationId) -> Result<Operation> {
        match self.store.operation(id).await? {
            Some(operation) if operation.project_id == caller.project_id => Ok(operation),
            _ => Err(Error::not_found("operation", id)),
        }
    }

    pub async fn operations(
        &self,
        caller: &Caller,
        filter: OperationFilter,
        page: &Page,
    ) -> Result<Vec<Operation>> {
        let filter = OperationFilter {
            project: Some(caller.project_id.clone()),
            ..filter
        };
        Ok(self.store.operations(&filter, page).await?)
    }
}

/// The row of a failover that is about to be handed to the engine.
pub(crate) fn pending(order: &FailoverOrder, project: ProjectId, now: DateTime<Utc>) -> Operation {
    Operation {
        id: order.operation,
        group_id: order.group,
        project_id: project,
        operation_type: OperationKind::Failover,
        status: OperationStatus::Pending,
        outcome: None,
        waiting_for: None,
        progress: 0,
        current_step: None,
        source_site_id: order.source,
        target_site_id: order.target,
        created_at: now,
        started_at: None,
        completed_at: None,
        error_message: None,
        steps_completed: Vec::new(),
        steps_failed: Vec::new(),
        steps: Vec::new(),
        result_data: serde_json::json!({}),
    }
}

/// The answer to whoever wants to change a group while an operation has it.
pub(crate) fn not_over(id: OperationId, kind: OperationKind) -> Error {
    Error::conflict(format!(
        "Operation {id} ({}) of this protection group is not over yet: wait for it, or look at it with `openstack protector operation show {id}`.",
        kind.as_str()
    ))
    .with("operation_id", id.to_string())
}
