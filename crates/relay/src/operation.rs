//! An operation, watched at the site where it runs.

use std::time::Duration;

use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::site::Site;
use crate::types::Operation;

/// How many looks in a row a site may leave unanswered: the operation goes on without us.
const PATIENCE: u32 = 60;

impl Site {
    pub async fn operation(&self, id: &str) -> Result<Operation> {
        self.get(&format!("/operations/{id}"), "operation").await
    }

    /// Watch an operation to its end; no other site is asked. `seen` hears of every look at it.
    pub async fn watch(
        &self,
        operation: Operation,
        interval: Duration,
        mut seen: impl FnMut(&Operation),
    ) -> Result<Operation> {
        let mut operation = operation;
        let mut silent = 0;
        while !operation.has_ended() {
            seen(&operation);
            sleep(interval).await;
            match self.operation(&operation.id).await {
                Ok(next) => {
                    operation = next;
                    silent = 0;
                }
                Err(error @ Error::Unreachable { .. }) => {
                    silent += 1;
                    if silent == PATIENCE {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        seen(&operation);
        Ok(operation)
    }
}
