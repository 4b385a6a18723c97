//! Reads what the groups' servers look like while their cloud is alive, so that the other site can make them anew
//! when it is dead.
//!
//! Each site's engine reads for itself, where the group runs, with the credentials that it has for that cloud.
//! What can't be read now stays as it was read before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use protector_domain::{Group, GroupId};
use protector_ports::store::RecordedFacts;
use tokio_util::sync::CancellationToken;

use crate::Workflows;
use crate::failover::{Recording, record};
use crate::failure::{OrFail, StepResult};
use crate::rounds::{Round, go_round, read};
use crate::world::World;

/// How soon a group that couldn't be read is tried again.
const AGAIN: TimeDelta = TimeDelta::seconds(60);

pub struct Recorder {
    world: Arc<World>,
    /// When a group was last tried.
    tried: HashMap<GroupId, DateTime<Utc>>,
}

impl Recorder {
    pub fn of(workflows: &Workflows) -> Self {
        Self {
            world: workflows.world.clone(),
            tried: HashMap::new(),
        }
    }

    pub async fn run(self, stop: CancellationToken) {
        let world = self.world.clone();
        let pause = world.options.poll.max(Duration::from_millis(500));
        go_round(world, self, pause, stop).await;
    }

    /// Old, of another site, or lacking a member.
    async fn is_due(&self, group: &Group) -> StepResult<bool> {
        if group.status.is_in_transit() || group.document.members.is_empty() {
            return Ok(false);
        }
        let now = self.world.clock.now();
        if self.tried.get(&group.id()).is_some_and(|at| now - *at < AGAIN) {
            return Ok(false);
        }
        let Some(kept) = self.world.store.facts_about(group.id()).await.or_fail()? else {
            return Ok(true);
        };
        let old = TimeDelta::from_std(self.world.options.facts_age).unwrap_or(TimeDelta::minutes(10));
        Ok(now - kept.read_at > old || !kept.are_complete(group))
    }

    async fn read(&mut self, group: &Group) {
        let world = &self.world;
        let now = world.clock.now();
        let source = group.document.current_primary_site_id;
        let read = async {
            let before = match world.store.facts(group.id()).await.or_fail()? {
                Some(kept) if kept.about.site == source => Recording::parse(&kept.facts).ok(),
                _ => None,
            };
            let recording = record(world, group, source, before).await?;
            let about = recording.about(source, now);
            let facts = RecordedFacts {
                about: about.clone(),
                facts: serde_json::to_string(&recording).or_fail()?.into(),
            };
            drop(recording);
            world.store.keep_facts(group.id(), &facts).await.or_fail()?;
            StepResult::Ok(about.are_complete(group) && about.read_at >= now)
        };
        match read.await {
            Ok(true) => {
                self.tried.remove(&group.id());
            }
            Ok(false) => {
                self.tried.insert(group.id(), now);
            }
            Err(failure) => {
                tracing::info!(
                    group = group.document.name,
                    reason = failure.message,
                    "what the servers look like can't be read now; what was read before is kept"
                );
                self.tried.insert(group.id(), now);
            }
        }
    }
}

#[async_trait]
impl Round for Recorder {
    async fn round(&mut self, groups: Vec<GroupId>) {
        self.tried.retain(|id, _| groups.contains(id));
        for id in groups {
            let Some(group) = read(&self.world, id).await else {
                continue;
            };
            match self.is_due(&group).await {
                Ok(true) => self.read(&group).await,
                Ok(false) => {}
                Err(failure) => tracing::debug!(reason = failure.message, "facts can't be looked up"),
            }
        }
    }
}
