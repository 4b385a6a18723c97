//! Calls to an array from inside the process, as the storage driver of a simulated cloud makes them.

use serde_json::Value;

use super::ask::Ask;
use super::error::{ApiError, ApiResult};
use super::fabric::Fabric;
use super::query::Query;
use super::routes::dispatch;

/// The REST version in which these calls are understood.
const VERSION: u32 = 26;

impl Fabric {
    /// Carry a call out as the REST interface would, disturbances of the whole array included.
    pub(crate) fn call(
        &self,
        array: &str,
        method: &str,
        path: &str,
        query: &str,
        body: &Value,
    ) -> ApiResult<Value> {
        let faults = self.faults(array)?.state();
        if faults.dark || faults.down || faults.hang {
            return Err(ApiError::with_status(503, array, "The array does not answer."));
        }
        let query = Query::parse(query);
        let answer = self.inner.with_world(method != "GET", |world, now| {
            let ask = Ask {
                array,
                query: &query,
                body,
                version: VERSION,
                strict: false,
                now,
            };
            dispatch(world, method, path, &ask)
        })?;
        Ok(answer.unwrap_or_default())
    }
}
