//! One site's database: groups, operations and journals, as the real stores keep them. A call is a transaction.
//!
//! It keeps to the same rules as the stores over SQL, lease and fence among them, but for bugs that are planted. The
//! checks don't trust it: they keep books of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use protector_domain::{Fence, Group, GroupId, Operation, OperationId, SagaId, Site, SiteId, SyncEntry};
use protector_ports::StoreError;
use protector_ports::store::{Along, RecordedFacts, StoreResult};
use protector_saga::{Claim, Event, JournalError, NewSaga, Owner, Record, SagaHeader};
use secrecy::SecretString;

use crate::planted::Bug;
use crate::world::{Time, date};

pub struct Saga {
    pub header: SagaHeader,
    pub owner: Option<Owner>,
    pub fence: i64,
    pub expires: Time,
    pub ended: bool,
    pub records: Vec<Record>,
}

#[derive(Default)]
pub struct Database {
    pub sagas: BTreeMap<SagaId, Saga>,
    pub groups: BTreeMap<GroupId, Group>,
    pub operations: BTreeMap<OperationId, Operation>,
    pub trusts: BTreeMap<(GroupId, SiteId), SecretString>,
    pub tokens: BTreeMap<(GroupId, SiteId), SecretString>,
    pub facts: BTreeMap<GroupId, RecordedFacts>,
    pub fences: BTreeMap<(GroupId, SiteId, u64), Fence>,
    pub sites: BTreeMap<SiteId, Site>,
    pub log: Vec<SyncEntry>,
    /// What was planted into this run.
    pub bug: Option<Bug>,
    pub appends: u64,
}

impl Saga {
    fn is_held(&self, claim: &Claim, now: Time, bug: Option<Bug>) -> bool {
        if bug == Some(Bug::AppendWithoutFence) {
            return !self.ended;
        }
        let owned = self.owner.as_ref() == Some(&claim.owner) && self.fence == claim.fence;
        let alive = self.expires > now || bug == Some(Bug::ExpiredLeaseHolds);
        owned && alive && (!self.ended || bug == Some(Bug::EndedTwice))
    }

    fn write(&mut self, event: Event, now: Time) -> Record {
        let seq = self.records.last().map_or(0, |record| record.seq) + 1;
        let record = Record {
            seq,
            at: date(now),
            event,
        };
        self.ended |= matches!(record.event, Event::Ended { .. });
        self.records.push(record.clone());
        record
    }
}

impl Database {
    fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub fn claim(
        &mut self,
        owner: &Owner,
        lease: Duration,
        limit: usize,
        now: Time,
    ) -> Vec<(SagaHeader, Claim)> {
        let (blind, flat) = (self.is(Bug::ClaimIgnoresLease), self.is(Bug::ClaimKeepsFence));
        let zombies = self.is(Bug::EndedTwice);
        let free = self.sagas.values_mut().filter(|saga| {
            let other = saga.owner.as_ref() != Some(owner);
            (!saga.ended || (zombies && other))
                && (saga.owner.is_none() || saga.expires <= now || (blind && other))
        });
        let taken = free.take(limit).map(|saga| {
            saga.owner = Some(owner.clone());
            saga.fence += i64::from(!flat || saga.fence == 0);
            saga.expires = now + lease;
            let claim = Claim {
                saga: saga.header.id,
                owner: owner.clone(),
                fence: saga.fence,
            };
            (saga.header.clone(), claim)
        });
        taken.collect()
    }

    pub fn renew(&mut self, owner: &Owner, lease: Duration, now: Time) -> Vec<SagaId> {
        let lax = self.is(Bug::RenewAfterLoss);
        let mut held = Vec::new();
        for saga in self.sagas.values_mut() {
            let owned = saga.owner.as_ref() == Some(owner) && saga.expires > now;
            if !saga.ended && (owned || (lax && saga.owner.is_some())) {
                saga.owner = Some(owner.clone());
                saga.expires = now + lease;
                held.push(saga.header.id);
            }
        }
        held
    }

    pub fn release(&mut self, owner: &Owner) {
        let all = self.is(Bug::ReleaseOfOthers);
        for saga in self.sagas.values_mut() {
            if saga.owner.as_ref() == Some(owner) || (all && !saga.ended) {
                saga.owner = None;
            }
        }
    }

    pub fn check(&self, claim: &Claim, now: Time) -> Result<(), JournalError> {
        match self.sagas.get(&claim.saga) {
            _ if self.is(Bug::CheckAlwaysYes) => Ok(()),
            Some(saga) if saga.is_held(claim, now, self.bug) => Ok(()),
            _ => Err(JournalError::Fenced(claim.saga)),
        }
    }

    pub fn last_line(&self, saga: SagaId) -> i64 {
        let last = self.sagas.get(&saga).and_then(|saga| saga.records.last());
        last.map_or(0, |record| record.seq)
    }

    pub fn append(
        &mut self,
        claim: &Claim,
        events: &[Event],
        now: Time,
    ) -> Result<Vec<Record>, JournalError> {
        self.appends += 1;
        let (number, bug) = (self.appends, self.bug);
        let saga = self
            .sagas
            .get_mut(&claim.saga)
            .filter(|saga| saga.is_held(claim, now, bug))
            .ok_or(JournalError::Fenced(claim.saga))?;
        let before = saga.records.len();
        let mut records: Vec<Record> = events
            .iter()
            .map(|event| saga.write(event.clone(), now))
            .collect();
        match bug {
            Some(Bug::LostWrite) if number % 17 == 0 => saga.records.truncate(before),
            Some(Bug::HalfWrite) if records.len() > 1 => {
                saga.records.truncate(before + 1);
            }
            Some(Bug::DoubleWrite) if number % 17 == 0 => {
                let again: Vec<Event> = events.to_vec();
                records.extend(again.into_iter().map(|event| saga.write(event, now)));
            }
            _ => {}
        }
        Ok(records)
    }

    pub fn events(&self, saga: SagaId) -> Result<Vec<Record>, JournalError> {
        match self.sagas.get(&saga) {
            Some(found) => Ok(found.records.clone()),
            None => Err(JournalError::Corrupt {
                saga,
                reason: "there is no such saga".to_owned(),
            }),
        }
    }

    pub fn request(&mut self, saga: SagaId, event: Event, now: Time) {
        if self.is(Bug::LostRequest) {
            return;
        }
        if let Some(found) = self.sagas.get_mut(&saga).filter(|found| !found.ended) {
            found.write(event, now);
        }
    }

    pub fn live_saga(&self, group: GroupId) -> Option<&Saga> {
        let subject = group.to_string();
        self.sagas
            .values()
            .find(|saga| !saga.ended && saga.header.subject == subject)
    }

    fn require(&self, claim: Option<&Claim>, now: Time) -> StoreResult<()> {
        match claim {
            Some(_) if self.is(Bug::StoreWithoutFence) => Ok(()),
            Some(claim) => self.check(claim, now).map_err(|_| StoreError::Fenced),
            None => Ok(()),
        }
    }

    fn plan(&mut self, saga: NewSaga, now: Time) -> StoreResult<()> {
        let busy = self
            .sagas
            .values()
            .find(|live| !live.ended && live.header.subject == saga.subject);
        if let Some(busy) = busy
            && !self.is(Bug::TwoAtOnce)
        {
            return Err(StoreError::Busy(busy.header.id.to_string()));
        }
        let header = SagaHeader {
            id: saga.id,
            kind: saga.kind.clone(),
            version: saga.version,
            subject: saga.subject,
            params: saga.params,
            created_at: date(now),
        };
        let mut row = Saga {
            header,
            owner: None,
            fence: 0,
            expires: now,
            ended: false,
            records: Vec::new(),
        };
        row.write(
            Event::Planned {
                kind: saga.kind,
                version: saga.version,
            },
            now,
        );
        self.sagas.insert(saga.id, row);
        Ok(())
    }

    pub fn insert_group(&mut self, group: &Group, along: Along<'_>, now: Time) -> StoreResult<()> {
        self.groups.insert(group.id(), group.clone());
        self.take_along(group.id(), along, now)
    }

    pub fn update_group(&mut self, group: &Group, along: Along<'_>, now: Time) -> StoreResult<Group> {
        self.require(along.claim, now)?;
        let stored = self
            .groups
            .get(&group.id())
            .ok_or_else(|| StoreError::Missing("the group".to_owned()))?;
        if stored.revision != group.revision && !self.is(Bug::StaleGroupWritten) {
            return Err(StoreError::Stale(group.document.name.clone()));
        }
        if let Some(saga) = &along.saga
            && let Some(busy) = self
                .sagas
                .values()
                .find(|live| !live.ended && live.header.subject == saga.subject)
            && !self.is(Bug::TwoAtOnce)
        {
            return Err(StoreError::Busy(busy.header.id.to_string()));
        }
        let mut next = group.clone();
        next.revision = stored.revision + 1;
        self.groups.insert(group.id(), next.clone());
        self.take_along(group.id(), along, now)?;
        Ok(next)
    }

    fn take_along(&mut self, id: GroupId, along: Along<'_>, now: Time) -> StoreResult<()> {
        for (site, trust) in along.trusts {
            self.trusts.insert((id, site), trust);
        }
        for (site, token) in along.array_tokens {
            self.tokens.insert((id, site), token);
        }
        self.log.extend(along.entry);
        if let Some(operation) = along.operation {
            self.operations.insert(operation.id, operation.clone());
        }
        match along.saga {
            Some(saga) => self.plan(saga, now),
            None => Ok(()),
        }
    }

    pub fn delete_group(&mut self, id: GroupId, claim: Option<&Claim>, now: Time) -> StoreResult<()> {
        self.require(claim, now)?;
        self.groups
            .remove(&id)
            .map(|_| ())
            .ok_or_else(|| StoreError::Missing("the group".to_owned()))
    }

    pub fn update_operation(
        &mut self,
        operation: &Operation,
        claim: Option<&Claim>,
        now: Time,
    ) -> StoreResult<()> {
        self.require(claim, now)?;
        self.operations.insert(operation.id, operation.clone());
        Ok(())
    }
}
