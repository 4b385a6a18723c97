//! Calls about the snapshots of protection groups, and their way to a target.

use http::Method;
use serde_json::json;

use crate::array::Array;
use crate::error::Error;
use crate::query::{Query, quote};
use crate::types::{GroupSnapshot, Transfer, VolumeSnapshot};

/// Everything below a dotted prefix. The dot has to be in it: without, `pg.1*` would find `pg.10` too.
fn below(prefix: &str) -> Query {
    Query::new()
        .flag("destroyed", false)
        .text("filter", &format!("name={}", quote(&format!("{prefix}.*"))))
}

impl Array {
    /// One group snapshot, destroyed or not.
    pub async fn group_snapshot(&self, name: &str) -> Result<Option<GroupSnapshot>, Error> {
        let query = Query::new().name("names", name)?;
        let found: Vec<GroupSnapshot> = self.list_known("protection-group-snapshots", query).await?;
        Ok(found.into_iter().find(|snapshot| snapshot.name == name))
    }

    /// All live snapshots of a group.
    pub async fn group_snapshots(&self, group: &str) -> Result<Vec<GroupSnapshot>, Error> {
        self.list("protection-group-snapshots", below(group)).await
    }

    /// Takes a snapshot of a group and sends it to the targets at once; it ages by the group's retention.
    pub async fn send_group_snapshot(&self, group: &str, suffix: &str) -> Result<(), Error> {
        let query = Query::new()
            .name("source_names", group)?
            .flag("apply_retention", true)
            .flag("replicate_now", true);
        let body = Some(json!({"suffix": suffix}));
        self.tell(Method::POST, "protection-group-snapshots", query, body)
            .await
    }

    pub async fn destroy_group_snapshot(&self, name: &str) -> Result<(), Error> {
        let query = Query::new().name("names", name)?;
        let body = Some(json!({"destroyed": true}));
        self.tell(Method::PATCH, "protection-group-snapshots", query, body)
            .await
    }

    /// How far one snapshot has come. A target knows nothing of it before its transfer starts.
    pub async fn transfer(&self, snapshot: &str) -> Result<Option<Transfer>, Error> {
        let query = Query::new().name("names", snapshot)?;
        let found: Vec<Transfer> = self
            .list_known("protection-group-snapshots/transfer", query)
            .await?;
        Ok(found.into_iter().find(|transfer| transfer.name == snapshot))
    }

    /// How far all live snapshots of a group have come.
    pub async fn transfers(&self, group: &str) -> Result<Vec<Transfer>, Error> {
        self.list("protection-group-snapshots/transfer", below(group))
            .await
    }

    /// The volumes in one group snapshot, or, for a group, in all of its snapshots.
    pub async fn member_snapshots(&self, prefix: &str) -> Result<Vec<VolumeSnapshot>, Error> {
        self.list("volume-snapshots", below(prefix)).await
    }
}
