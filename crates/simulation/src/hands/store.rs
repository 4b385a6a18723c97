//! The site's own database, and the process's own clock.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use protector_domain::*;
use protector_ports::cloud::Credentials;
use protector_ports::store::*;
use protector_ports::{Clock, Store, StoreError};
use protector_saga::{Claim, Event, Journal, JournalError, Owner, Record, SagaHeader};
use secrecy::SecretString;

use super::{Hands, Wrong};
use crate::checks::Look;
use crate::database::Database;
use crate::sim::Sim;
use crate::weather::Place;
use crate::world::{Side, Time, date, site_id};

impl Hands {
    fn side(&self) -> Side {
        self.shared.peek(|sim| sim.processes[self.process].side)
    }

    async fn ask<T>(
        &self,
        name: &str,
        changes: bool,
        act: impl FnOnce(&mut Sim, Side) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let side = self.side();
        let place = Place::Database(side);
        match self.reach(place, name, changes, |sim| act(sim, side)).await {
            Ok(answer) => answer,
            Err(Wrong::Busy | Wrong::Refused | Wrong::Silent) => {
                Err(StoreError::Unavailable(super::INJECTED.into()))
            }
        }
    }

    async fn read<T>(&self, name: &str, look: impl FnOnce(&Database) -> T) -> StoreResult<T> {
        self.ask(name, false, |sim, side| Ok(look(&sim.databases[side])))
            .await
    }

    async fn journal<T>(
        &self,
        name: &str,
        changes: bool,
        act: impl FnOnce(&mut Sim, Side) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let side = self.side();
        match self
            .reach(Place::Database(side), name, changes, |sim| act(sim, side))
            .await
        {
            Ok(answer) => answer,
            Err(_) => Err(JournalError::Unavailable(super::INJECTED.into())),
        }
    }
}

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        self.guess_now()
    }
}

fn now(sim: &Sim) -> Time {
    sim.world.now
}

#[async_trait]
impl Journal for Hands {
    fn guess_now(&self) -> DateTime<Utc> {
        let now = self.shared.now();
        let skew = self.shared.peek(|sim| sim.processes[self.process].skew);
        date(now) + TimeDelta::seconds(skew)
    }

    async fn claim(
        &self,
        owner: &Owner,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<(SagaHeader, Claim)>, JournalError> {
        let act = |sim: &mut Sim, side: Side| {
            let at = now(sim);
            let claimed = sim.databases[side].claim(owner, lease, limit, at);
            for (_, claim) in &claimed {
                sim.watch_claim(side, claim, lease);
            }
            Ok(claimed)
        };
        self.journal("claim", true, act).await
    }

    async fn renew(&self, owner: &Owner, lease: Duration) -> Result<Vec<SagaId>, JournalError> {
        let act = |sim: &mut Sim, side: Side| {
            let at = now(sim);
            let held = sim.databases[side].renew(owner, lease, at);
            for saga in &held {
                sim.watch_renewal(side, owner, *saga, lease);
            }
            Ok(held)
        };
        self.journal("renew", true, act).await
    }

    async fn release(&self, owner: &Owner) -> Result<(), JournalError> {
        let act = |sim: &mut Sim, side: Side| {
            sim.databases[side].release(owner);
            sim.books.release(side, owner);
            Ok(())
        };
        self.journal("release", true, act).await
    }

    async fn check(&self, claim: &Claim) -> Result<(), JournalError> {
        let process = self.process;
        let act = |sim: &mut Sim, side: Side| {
            let at = now(sim);
            let told = sim.databases[side].check(claim, at);
            let truth = sim.holds(side, claim);
            if told.is_ok() {
                let look = Look {
                    held: truth,
                    last_line: sim.databases[side].last_line(claim.saga),
                };
                sim.books.looked(process, claim.saga, look);
            }
            told
        };
        self.journal("check", false, act).await
    }

    async fn append(&self, claim: &Claim, events: &[Event]) -> Result<Vec<Record>, JournalError> {
        let act = |sim: &mut Sim, side: Side| {
            let at = now(sim);
            let told = sim.databases[side].append(claim, events, at);
            if told.is_ok() {
                sim.watch_append(side, claim, events);
            }
            told
        };
        self.journal("append", true, act).await
    }

    async fn events(&self, saga: SagaId) -> Result<Vec<Record>, JournalError> {
        self.journal("events", false, |sim, side| sim.databases[side].events(saga))
            .await
    }

    async fn request(&self, saga: SagaId, event: Event) -> Result<(), JournalError> {
        let act = |sim: &mut Sim, side: Side| {
            let at = now(sim);
            sim.databases[side].request(saga, event, at);
            Ok(())
        };
        self.journal("request", true, act).await
    }
}

fn unasked<T>() -> StoreResult<T> {
    Err(StoreError::Corrupt(
        "the simulation doesn't know this call".to_owned(),
    ))
}

#[async_trait]
impl Store for Hands {
    async fn local_site_id(&self) -> StoreResult<SiteId> {
        Ok(site_id(self.side()))
    }

    async fn insert_site(&self, _: &Site, _: Option<&Credentials>) -> StoreResult<()> {
        unasked()
    }

    async fn update_site(&self, _: &Site, _: Option<&Credentials>) -> StoreResult<()> {
        unasked()
    }

    async fn delete_site(&self, _: SiteId) -> StoreResult<()> {
        unasked()
    }

    async fn sites(&self) -> StoreResult<Vec<Site>> {
        self.read("sites", |db| db.sites.values().cloned().collect())
            .await
    }

    async fn site(&self, id: SiteId) -> StoreResult<Option<Site>> {
        self.read("site", |db| db.sites.get(&id).cloned()).await
    }

    async fn site_credentials(&self, id: SiteId) -> StoreResult<Option<Credentials>> {
        let known = credentials(crate::world::side_of(id));
        self.read("credentials", |_| Some(known)).await
    }

    async fn insert_tenant_mapping(&self, _: &TenantMapping) -> StoreResult<()> {
        unasked()
    }

    async fn delete_tenant_mapping(&self, _: TenantMappingId) -> StoreResult<()> {
        unasked()
    }

    async fn tenant_mappings(&self) -> StoreResult<Vec<TenantMapping>> {
        unasked()
    }

    async fn insert_group(&self, group: &Group, along: Along<'_>) -> StoreResult<()> {
        let act = |sim: &mut Sim, side: Side| {
            let at = now(sim);
            sim.databases[side].insert_group(group, along, at)
        };
        self.ask("insert group", true, act).await
    }

    async fn update_group(&self, group: &Group, along: Along<'_>) -> StoreResult<Group> {
        let act = |sim: &mut Sim, side: Side| {
            let at = now(sim);
            let claim = along.claim;
            let done = sim.databases[side].update_group(group, along, at)?;
            sim.watch_store(side, claim, "group");
            sim.watch_group(side, group);
            Ok(done)
        };
        self.ask("update group", true, act).await
    }

    async fn delete_group(&self, id: GroupId, along: Along<'_>) -> StoreResult<()> {
        let act = |sim: &mut Sim, side: Side| {
            let at = now(sim);
            sim.databases[side].delete_group(id, along.claim, at)?;
            sim.watch_store(side, along.claim, "group");
            Ok(())
        };
        self.ask("delete group", true, act).await
    }

    async fn group(&self, id: GroupId) -> StoreResult<Option<Group>> {
        self.read("group", |db| db.groups.get(&id).cloned()).await
    }

    async fn groups(&self, _: &GroupFilter, _: &Page) -> StoreResult<Vec<Group>> {
        self.read("groups", |db| db.groups.values().cloned().collect())
            .await
    }

    async fn group_ids(&self, status: Option<GroupStatus>) -> StoreResult<Vec<GroupId>> {
        self.read("group ids", |db| {
            let wanted = |group: &&Group| status.is_none_or(|status| group.status == status);
            db.groups.values().filter(wanted).map(Group::id).collect()
        })
        .await
    }

    async fn group_trust(&self, id: GroupId, site: SiteId) -> StoreResult<Option<SecretString>> {
        self.read("trust", |db| db.trusts.get(&(id, site)).cloned()).await
    }

    async fn array_token(&self, id: GroupId, site: SiteId) -> StoreResult<Option<SecretString>> {
        self.read("token", |db| db.tokens.get(&(id, site)).cloned()).await
    }

    async fn saga(&self, id: SagaId) -> StoreResult<Option<SagaHeader>> {
        self.read("saga", |db| db.sagas.get(&id).map(|saga| saga.header.clone()))
            .await
    }

    async fn live_saga(&self, id: GroupId) -> StoreResult<Option<SagaHeader>> {
        self.read("live saga", |db| db.live_saga(id).map(|saga| saga.header.clone()))
            .await
    }

    async fn keep_facts(&self, id: GroupId, facts: &RecordedFacts) -> StoreResult<()> {
        let act = |sim: &mut Sim, side: Side| {
            sim.databases[side].facts.insert(id, facts.clone());
            Ok(())
        };
        self.ask("keep facts", true, act).await
    }

    async fn facts(&self, id: GroupId) -> StoreResult<Option<RecordedFacts>> {
        self.read("facts", |db| db.facts.get(&id).cloned()).await
    }

    async fn facts_about(&self, id: GroupId) -> StoreResult<Option<FactsAbout>> {
        self.read("facts about", |db| {
            db.facts.get(&id).map(|facts| facts.about.clone())
        })
        .await
    }

    async fn begin_fence(&self, fence: &Fence) -> StoreResult<()> {
        let act = |sim: &mut Sim, side: Side| {
            let key = (fence.group_id, fence.site_id, fence.epoch);
            sim.databases[side]
                .fences
                .entry(key)
                .or_insert_with(|| fence.clone());
            Ok(())
        };
        self.ask("begin a fence", true, act).await
    }

    async fn note_fence(&self, fence: &Fence) -> StoreResult<()> {
        let act = |sim: &mut Sim, side: Side| {
            let key = (fence.group_id, fence.site_id, fence.epoch);
            sim.databases[side].fences.insert(key, fence.clone());
            Ok(())
        };
        self.ask("note a fence", true, act).await
    }

    async fn open_fences(&self) -> StoreResult<Vec<Fence>> {
        self.read("open fences", |db| {
            let open = |fence: &&Fence| fence.fenced_at.is_none() || fence.replicated_back_at.is_none();
            db.fences.values().filter(open).cloned().collect()
        })
        .await
    }

    async fn fence(&self, id: GroupId) -> StoreResult<Option<Fence>> {
        self.read("fence", |db| {
            let of_group = db.fences.values().filter(|fence| fence.group_id == id);
            of_group.max_by_key(|fence| fence.epoch).cloned()
        })
        .await
    }

    async fn grave(&self, _: GroupId) -> StoreResult<Option<Grave>> {
        unasked()
    }

    async fn insert_nonce(&self, _: &Nonce) -> StoreResult<()> {
        unasked()
    }

    async fn sync_log(&self, _: GroupId, _: Option<&str>, _: usize) -> StoreResult<Vec<SyncEntry>> {
        unasked()
    }

    async fn common_document(&self, _: GroupId) -> StoreResult<Option<Document>> {
        unasked()
    }

    async fn update_operation(&self, operation: &Operation, claim: Option<&Claim>) -> StoreResult<()> {
        let act = |sim: &mut Sim, side: Side| {
            let at = now(sim);
            sim.databases[side].update_operation(operation, claim, at)?;
            sim.watch_store(side, claim, "operation");
            Ok(())
        };
        self.ask("update operation", true, act).await
    }

    async fn operation(&self, id: OperationId) -> StoreResult<Option<Operation>> {
        self.read("operation", |db| db.operations.get(&id).cloned()).await
    }

    async fn operations(&self, _: &OperationFilter, _: &Page) -> StoreResult<Vec<Operation>> {
        self.read("operations", |db| db.operations.values().cloned().collect())
            .await
    }

    async fn ping(&self) -> StoreResult<()> {
        self.read("ping", |_| ()).await
    }
}

/// Each cloud's protector user.
pub fn credentials(side: Side) -> Credentials {
    Credentials {
        username: "protector".to_owned(),
        password: SecretString::from(format!("password-{side}")),
        project_name: "service".to_owned(),
        user_domain_name: "Default".to_owned(),
        project_domain_name: "Default".to_owned(),
    }
}
