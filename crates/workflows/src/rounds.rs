//! What an engine does again and again beside its operations, and leaves alone while a failover is under way: the other
//! site may be dead, and nothing of ours knocks there then.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use protector_domain::{Group, GroupStatus};
use protector_ports::store::{GroupFilter, Page};
use tokio_util::sync::CancellationToken;

use crate::world::World;

#[async_trait]
pub(crate) trait Round: Send {
    async fn round(&mut self, groups: Vec<Group>);
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
    let groups = groups(world).await;
    if !groups.iter().any(is_failing_over) {
        round.round(groups).await;
    }
}

async fn groups(world: &World) -> Vec<Group> {
    let all = world
        .store
        .groups(&GroupFilter::default(), &Page::default())
        .await;
    all.unwrap_or_else(|error| {
        tracing::debug!(%error, "the groups can't be read now");
        Vec::new()
    })
}

fn is_failing_over(group: &Group) -> bool {
    group.status == GroupStatus::FailingOver
}

/// Comes back when a failover is under way.
async fn failover_begins(world: &World, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        if groups(world).await.iter().any(is_failing_over) {
            return;
        }
    }
}
