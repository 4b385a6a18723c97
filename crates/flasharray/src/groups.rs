//! Calls about protection groups, their members and their targets.

use futures::{TryStreamExt, stream};
use http::Method;
use serde_json::json;

use crate::array::Array;
use crate::error::{Error, Kind};
use crate::query::{MAX_NAMES, Query, quote};
use crate::types::{GroupMember, GroupPatch, GroupTarget, ProtectionGroup};

/// So many calls change the members of a large group side by side.
const CHANGES_AT_ONCE: usize = 4;

impl Array {
    /// One group, destroyed or not. On a target its name has the source's in front: `fa-a:pg`.
    pub async fn group(&self, name: &str) -> Result<Option<ProtectionGroup>, Error> {
        let found = self
            .list_known("protection-groups", Query::new().name("names", name)?)
            .await?;
        Ok(found.into_iter().next())
    }

    /// The groups of this local name that other arrays replicate to this one.
    pub async fn replicated_groups(&self, local_name: &str) -> Result<Vec<ProtectionGroup>, Error> {
        let query = Query::new()
            .flag("destroyed", false)
            .text("filter", &format!("name={}", quote(&format!("*:{local_name}"))));
        let mut found: Vec<ProtectionGroup> = self.list("protection-groups", query).await?;
        found.retain(|group| {
            !group.is_local()
                && group
                    .name
                    .rsplit_once(':')
                    .is_some_and(|(_, name)| name == local_name)
        });
        Ok(found)
    }

    pub async fn create_group(&self, name: &str) -> Result<(), Error> {
        self.tell(
            Method::POST,
            "protection-groups",
            Query::new().name("names", name)?,
            None,
        )
        .await
    }

    pub async fn patch_group(&self, name: &str, patch: &GroupPatch) -> Result<(), Error> {
        let body = serde_json::to_value(patch)
            .map_err(|error| Error::invalid("the change can't be written").caused_by(error))?;
        let query = Query::new().name("names", name)?;
        self.tell(Method::PATCH, "protection-groups", query, Some(body))
            .await
    }

    pub async fn group_volumes(&self, group: &str) -> Result<Vec<GroupMember>, Error> {
        self.list(
            "protection-groups/volumes",
            Query::new().name("group_names", group)?,
        )
        .await
    }

    pub async fn add_group_volumes(&self, group: &str, volumes: &[String]) -> Result<(), Error> {
        self.group_members(Method::POST, group, volumes).await
    }

    pub async fn remove_group_volumes(&self, group: &str, volumes: &[String]) -> Result<(), Error> {
        self.group_members(Method::DELETE, group, volumes).await
    }

    async fn group_members(&self, method: Method, group: &str, volumes: &[String]) -> Result<(), Error> {
        let change = async |some: &[String]| {
            let query = Query::new()
                .name("group_names", group)?
                .names("member_names", some)?;
            self.tell(method.clone(), "protection-groups/volumes", query, None)
                .await
        };
        stream::iter(volumes.chunks(MAX_NAMES).map(Ok))
            .try_for_each_concurrent(CHANGES_AT_ONCE, change)
            .await
    }

    /// Where a group goes; on a target, whether it accepts the group.
    pub async fn group_targets(&self, group: &str) -> Result<Vec<GroupTarget>, Error> {
        self.list(
            "protection-groups/targets",
            Query::new().name("group_names", group)?,
        )
        .await
    }

    /// Gives a group a target; one that it has already is fine.
    pub async fn add_group_target(&self, group: &str, target: &str) -> Result<(), Error> {
        let query = Query::new()
            .name("group_names", group)?
            .name("member_names", target)?;
        already(
            self.tell(Method::POST, "protection-groups/targets", query, None)
                .await,
        )
    }

    pub async fn remove_group_target(&self, group: &str, target: &str) -> Result<(), Error> {
        let query = Query::new()
            .name("group_names", group)?
            .name("member_names", target)?;
        match self
            .tell(Method::DELETE, "protection-groups/targets", query, None)
            .await
        {
            Err(error) if error.is(Kind::NotMember) => Ok(()),
            other => other,
        }
    }

    /// Accepts or refuses what a group of another array sends here.
    pub async fn set_group_allowed(&self, group: &str, allowed: bool) -> Result<(), Error> {
        let query = Query::new().name("group_names", group)?;
        let body = Some(json!({"allowed": allowed}));
        already(
            self.tell(Method::PATCH, "protection-groups/targets", query, body)
                .await,
        )
    }
}

fn already(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is(Kind::Already) => Ok(()),
        other => other,
    }
}
