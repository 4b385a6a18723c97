//! The way back: what an earlier failover left at the target makes room for the member that returns. Its server goes; its
//! volumes and its ports stay, and the ports are used again, so the guest finds its addresses.

use protector_domain::{Left, Member, PortId};
use protector_ports::cloud::{Access, NewPort, Port, Server};
use protector_ports::error::Absent;
use protector_saga::StepContext;
use serde_json::Value;

use super::Failover;
use crate::failure::{OrFail, StepResult, permanent, retryable};
use crate::polling::until;

impl Failover {
    /// What stands at the target of a member that was there before.
    pub(super) fn left<'a>(&self, member: &'a Member) -> Option<&'a Left> {
        member.left.get(&self.order.target)
    }

    /// Nova deletes the volumes that it was told to delete along with a server: it is told otherwise first.
    pub(super) async fn replace_old(&self, context: &StepContext<'_>, member: &Member) -> StepResult<Value> {
        let Some(left) = self.left(member) else {
            return Ok(Value::Null);
        };
        let cloud = &self.world.cloud;
        let (id, target) = (&left.instance_id, self.order.target);
        let service = self.service(target).await?;
        let group = self.group().await?;
        let what = format!("replacing the old server '{}'", member.instance_name);
        until(
            context,
            self.world.ticks,
            self.world.options.server_patience,
            &what,
            async || {
                let Some(server) = cloud.server(&service, id).await.absent().or_fail()? else {
                    return Ok(Some(()));
                };
                if Some(&server.project_id) != group.project(target) || may_run(&server) {
                    return Err(permanent(format!(
                        "{what} failed: server {id} at site '{}' is {} and not the stopped one that an earlier failover left.",
                        service.site_name, server.status
                    )));
                }
                if server.task_state.as_deref() == Some("deleting") {
                    return Ok(None);
                }
                let attached = cloud.attached_volumes(&service, id).await.absent().or_fail()?;
                let mut kept = true;
                for volume in attached.unwrap_or_default() {
                    if volume.delete_on_termination {
                        cloud.keep_volume(&service, id, &volume.volume_id).await.or_fail()?;
                        kept = false;
                    }
                }
                // Seen before anything is deleted, not taken on trust.
                if kept {
                    cloud.delete_server(&service, id).await.or_fail()?;
                }
                Ok(None)
            },
        )
        .await?;
        Ok(Value::Null)
    }

    /// The port that the old server had, free by now.
    pub(super) async fn port_left(
        &self,
        tenant: &Access,
        member: &Member,
        new: &NewPort,
    ) -> StepResult<Option<PortId>> {
        let Some(left) = self.left(member) else {
            return Ok(None);
        };
        let there = self
            .world
            .cloud
            .ports(tenant, new.network_id.as_ref())
            .await
            .or_fail()?;
        let mac = new.mac_address.as_deref().unwrap_or_default();
        let mut its = there
            .iter()
            .filter(|port| port.mac_address.eq_ignore_ascii_case(mac));
        match its.find(|port| is_left(port, left)) {
            Some(port) if port.device_id.is_empty() => Ok(Some(port.id.clone())),
            Some(port) => Err(retryable(format!(
                "Neutron still binds port {} to the old server '{}'.",
                port.id, member.instance_name
            ))),
            None => Ok(None),
        }
    }
}

/// Whether a port is free, or the old server's, which goes.
pub(super) fn is_left(port: &Port, left: &Left) -> bool {
    port.device_id.is_empty() || port.device_id == left.instance_id.as_str()
}

/// Whether a guest may be running in it.
pub(super) fn may_run(server: &Server) -> bool {
    !matches!(
        server.status.as_str(),
        "SHUTOFF" | "SHELVED" | "SHELVED_OFFLOADED" | "DELETED" | "SOFT_DELETED"
    )
}
