//! That nothing runs twice: a site that a group was taken from stays away from it.
//!
//! A [`Fence`](protector_domain::Fence) is written with the takeover, and worked on until it is done ([`Fencer`]),
//! by the engine of the site that survived and, once that site knows, by the engine of the one that lost the group. A
//! site that was away may find out by itself before anybody tells it ([`Lookout`]).
//!
//! An old server may run between the moment in which its host has power again and the fence. What it writes in that time is
//! never replicated: the survivor's array refused its array before anything else was done.

mod fencer;
mod lookout;

use protector_domain::{Fence, Group, ServerId, SiteId, protocol};
use protector_ports::cloud::Access;
use protector_ports::error::{Absent, Kind};

pub use self::fencer::Fencer;
pub use self::lookout::Lookout;
use crate::failure::{OrFail, StepResult, failed};
use crate::world::World;

/// The task that follows from a group's move away from a site that couldn't be asked.
pub(crate) fn fence(group: &Group, site: SiteId, epoch: u64, servers: Vec<ServerId>, world: &World) -> Fence {
    let policy = group.document.policy.as_ref();
    protocol::fence(group.id(), site, epoch, servers, policy, world.clock.now())
}

/// Locks and stops what still runs there. True when none of them does, and none can be started by its tenant.
async fn hold_servers(world: &World, fence: &Fence, reason: &str) -> StepResult<bool> {
    let service = world.directory.service(fence.site_id).await.or_fail()?;
    let mut all = true;
    for server in &fence.servers {
        all &= hold(world, &service, server, reason).await?;
    }
    Ok(all)
}

async fn hold(world: &World, service: &Access, id: &ServerId, reason: &str) -> StepResult<bool> {
    let Some(server) = world.cloud.server(service, id).await.absent().or_fail()? else {
        return Ok(true);
    };
    // Locked first: nobody starts it behind our back. An administrator may stop a locked server.
    if !server.locked {
        world
            .cloud
            .lock_server(service, id, reason)
            .await
            .absent()
            .or_fail()?;
    }
    match server.status.as_str() {
        _ if server.task_state.is_some() => Ok(false),
        // An instance in error may still have a guest that runs.
        "ACTIVE" | "ERROR" => match world.cloud.stop_server(service, id).await.absent() {
            // Its state has changed since: the next look tells.
            Err(error) if error.is(Kind::Conflict) => Ok(false),
            stopped => stopped.map(|_| false).map_err(failed),
        },
        "BUILD" | "REBOOT" | "HARD_REBOOT" | "RESIZE" | "VERIFY_RESIZE" | "MIGRATING" => Ok(false),
        // Shut off, shelved, paused, suspended, deleted: without its tenant nothing of it comes back.
        _ => Ok(true),
    }
}

/// The array of that site sends nothing of the group any more. It is refused on the other array already; this ends its
/// vain tries.
async fn hold_array(world: &World, group: &Group, fence: &Fence) -> StepResult<()> {
    let Some(name) = &fence.array_group else {
        return Ok(());
    };
    let array = world.directory.array(group, fence.site_id).await.or_fail()?;
    match world.array.set_schedule(&array, name, false).await {
        Err(error) if error.is(Kind::NotFound) => Ok(()),
        other => other.or_fail(),
    }
}
