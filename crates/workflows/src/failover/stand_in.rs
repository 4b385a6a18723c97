//! Who takes back what was done in the tenant's name.
//!
//! He himself, by his trust. But a trust dies with its trustor, and an operation may outlive him: servers that it
//! stopped must start again, and twins that it made must go, whoever has left. Then the service user does it, and
//! touches nothing outside of the group's project. Nothing new is ever made this way.

use protector_domain::{ProjectId, ServerId, SiteId};
use protector_ports::AccessError;
use protector_ports::cloud::{Access, Server};
use protector_ports::error::{Absent, Kind};

use super::Failover;
use crate::failure::{OrFail, StepResult, failed, permanent};

pub(super) struct Hand {
    pub(super) access: Access,
    /// Whose servers it may touch.
    project: ProjectId,
    /// The service user sees the servers of all projects.
    pub(super) stands_in: bool,
}

impl Failover {
    pub(super) async fn hand(&self, site: SiteId) -> StepResult<Hand> {
        let world = &self.world;
        let group = self.group().await?;
        let project = group
            .project(site)
            .cloned()
            .ok_or_else(|| permanent("the group has no project at that site"))?;
        let tenant = match world.directory.tenant(site, &group).await {
            Ok(tenant) => match world.cloud.owner(&tenant).await {
                Ok(_) => Some(tenant),
                Err(error) if error.is(Kind::Unauthorized) => None,
                Err(error) => return Err(failed(error)),
            },
            Err(AccessError::NoTrust { .. }) => None,
            Err(error) => return Err(error).or_fail(),
        };
        let (access, stands_in) = match tenant {
            Some(tenant) => (tenant, false),
            None => (world.directory.service(site).await.or_fail()?, true),
        };
        if stands_in {
            tracing::warn!(
                operation = %self.order.operation, site = access.site_name,
                "the tenant's trust gives no token any more: the service user takes back in his place"
            );
        }
        Ok(Hand {
            access,
            project,
            stands_in,
        })
    }

    /// One server of the group's project; `None` where it is gone.
    pub(super) async fn server_by(&self, hand: &Hand, id: &ServerId) -> StepResult<Option<Server>> {
        let server = self.world.cloud.server(&hand.access, id).await;
        let server = server.absent().or_fail()?;
        Ok(server.filter(|server| server.project_id == hand.project))
    }

    /// The servers of the group's project.
    pub(super) async fn servers_by(&self, hand: &Hand) -> StepResult<Vec<Server>> {
        let servers = self.world.cloud.servers(&hand.access, hand.stands_in).await;
        let servers = servers.or_fail()?.into_iter();
        Ok(servers
            .filter(|server| server.project_id == hand.project)
            .collect())
    }
}
