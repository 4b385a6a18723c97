//! Looking at operations. They are recorded on the site where they ran.

use protector_domain::{Operation, OperationId};
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
