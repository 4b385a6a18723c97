//! What an engine does again and again beside its operations, and leaves alone while a failover is under way: the other
//! site may be dead, and nothing of ours knocks there then.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use protector_domain::{Group, GroupId, GroupStatus};
use tokio_util::sync::CancellationToken;

use crate::world::World;

#[async_trait]
pub(crate) trait Round: Send {
    /// By their ids, because groups may be large: each is read when its turn comes, and given up before the next one.
    async fn round(&mut self, groups: Vec<GroupId>);
}

/// Goes round until the process is asked to stop.
pub(crate) async fn go_round(
    world: Arc<World>,
    mut round: impl Round,
    pause: Duration,
    stop: CancellationToken,
) {
    let look = world.options.poll.max(Duration::from_millis(500)).min(pause);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = once(&world, &mut round) => {}
            // Whoever hangs there is called back: a failover may mean that the site is dead.
            () = failover_begins(&world, look) => {}
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn once(world: &World, round: &mut impl Round) {
    if !is_failing_over(world).await {
        round.round(ids(world, None).await).await;
    }
}

async fn ids(world: &World, status: Option<GroupStatus>) -> Vec<GroupId> {
    world.store.group_ids(status).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "the groups can't be read now");
        Vec::new()
    })
}

/// The group as it is now; `None` where it is gone, or can't be read now.
pub(crate) async fn read(world: &World, id: GroupId) -> Option<Group> {
    world.store.group(id).await.unwrap_or_else(|error| {
        tracing::debug!(group = %id, %error, "a group can't be read now");
        None
    })
}

async fn is_failing_over(world: &World) -> bool {
    !ids(world, Some(GroupStatus::FailingOver)).await.is_empty()
}

/// Comes back when a failover is under way.
async fn failover_begins(world: &World, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        if is_failing_over(world).await {
            return;
        }
    }
}
