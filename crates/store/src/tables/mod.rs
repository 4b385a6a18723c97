//! The statements, table by table. Each stands once and runs on both databases.

mod along;
mod begin;
mod common;
mod facts;
mod fences;
mod graves;
mod group_rows;
mod groups;
mod journal;
mod operations;
mod page;
pub mod sagas;
mod sites;
mod sync;
mod tenants;

use protector_ports::store::StoreResult;

use crate::database::{Connection, query, unavailable};

/// Changes of groups come one after another: what a change looks for in other groups, and doesn't find, stays
/// away until it is written. It is the first lock of such a transaction. SQLite has no more than one writer.
pub async fn queue_up(connection: &mut Connection) -> StoreResult<()> {
    query("SELECT one FROM site_identity")
        .for_update()
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    Ok(())
}
