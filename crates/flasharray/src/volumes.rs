//! Calls about volumes and their tags.

use http::Method;
use serde_json::{Value, json};

use crate::array::Array;
use crate::error::{Error, Kind};
use crate::query::{MAX_NAMES, Query, quote};
use crate::types::{Connection, NewTag, Tag, Volume};
use crate::version::Version;

impl Array {
    /// One volume, destroyed or not.
    pub async fn volume(&self, name: &str) -> Result<Option<Volume>, Error> {
        let found: Vec<Volume> = self
            .list_known("volumes", Query::new().name("names", name)?)
            .await?;
        Ok(found.into_iter().next())
    }

    /// All volumes that aren't destroyed, or those that the filter leaves.
    pub async fn volumes(&self, filter: Option<&str>) -> Result<Vec<Volume>, Error> {
        let query = Query::new().flag("destroyed", false);
        let query = match filter {
            Some(filter) => query.text("filter", filter),
            None => query,
        };
        self.list("volumes", query).await
    }

    /// The volumes that were made from this one or from its snapshots, wherever it is or was.
    pub async fn volumes_made_from(&self, source: &str) -> Result<Vec<Volume>, Error> {
        self.volumes(Some(&format!("source.name={}", quote(source))))
            .await
    }

    /// Makes a volume out of a volume or snapshot. It joins no protection group by itself.
    pub async fn clone_volume(&self, source: &str, new_name: &str) -> Result<Option<Volume>, Error> {
        let mut query = Query::new().name("names", new_name)?;
        if self.version().await? >= Version::DEFAULT_PROTECTION {
            query = query.flag("with_default_protection", false);
        }
        let body = json!({"source": {"name": source}});
        let made = self.change(Method::POST, "volumes", query, Some(body)).await?;
        Ok(made.into_iter().next())
    }

    /// Gives a volume the content of a snapshot; it stays the same volume.
    pub async fn overwrite_volume(&self, source: &str, name: &str) -> Result<(), Error> {
        let query = Query::new().name("names", name)?.flag("overwrite", true);
        self.tell(
            Method::POST,
            "volumes",
            query,
            Some(json!({"source": {"name": source}})),
        )
        .await
    }

    /// Destroys a volume, or brings a destroyed one back.
    pub async fn set_volume_destroyed(&self, name: &str, destroyed: bool) -> Result<(), Error> {
        let query = Query::new().name("names", name)?;
        self.tell(
            Method::PATCH,
            "volumes",
            query,
            Some(json!({"destroyed": destroyed})),
        )
        .await
    }

    /// The hosts that a volume is connected to.
    pub async fn volume_connections(&self, name: &str) -> Result<Vec<Connection>, Error> {
        self.list_known("connections", Query::new().name("volume_names", name)?)
            .await
    }

    /// The tags that these volumes (by id) have in a namespace. Volumes that are gone meanwhile have none.
    ///
    /// Arrays want to be told which volumes, so finding a tag means asking about all candidates, many at a time.
    pub async fn volume_tags(&self, ids: &[String], namespace: &str) -> Result<Vec<Tag>, Error> {
        let mut tags = Vec::new();
        let mut open: Vec<&[String]> = ids.chunks(MAX_NAMES).collect();
        while let Some(some) = open.pop() {
            let query = Query::new()
                .names("resource_ids", some)?
                .text("namespaces", namespace);
            match self.list::<Tag>("volumes/tags", query).await {
                Ok(found) => tags.extend(found),
                // One that is gone spoils the call for all.
                Err(error) if error.is(Kind::NotFound) => {
                    if some.len() > 1 {
                        let (left, right) = some.split_at(some.len() / 2);
                        open.extend([left, right]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        tags.retain(|tag| tag.namespace.as_deref().is_none_or(|found| found == namespace));
        Ok(tags)
    }

    /// Sets tags of a volume.
    pub async fn tag_volume(&self, name: &str, tags: &[NewTag]) -> Result<(), Error> {
        let query = Query::new().name("resource_names", name)?;
        let body = tags
            .iter()
            .map(|tag| json!({"namespace": tag.namespace, "key": tag.key, "value": tag.value, "copyable": tag.copyable}))
            .collect();
        self.tell(Method::PUT, "volumes/tags/batch", query, Some(Value::Array(body)))
            .await
    }
}
