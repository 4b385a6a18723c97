//! A journal in memory, and what else the tests of sagas need.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use protector_domain::SagaId;
use tokio::time::Instant;

use crate::dag::{Node, RetryPolicy, StepKind};
use crate::event::{Event, Record};
use crate::journal::{Claim, Journal, JournalError, NewSaga, Owner, SagaHeader};

/// A step of five tries, a second apart at first.
pub fn node(name: &str, kind: StepKind, after: &[&str]) -> Node {
    Node {
        name: name.into(),
        kind,
        after: after.iter().map(|&name| name.into()).collect(),
        undone_after: None,
        retry: RetryPolicy {
            max_attempts: 5,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
        },
        timeout: Duration::from_secs(60),
        label: "",
        lane: None,
    }
}

/// What goes wrong next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The n-th append from now on (counted from 0), and everything after it, finds the claim gone.
    FenceBefore(usize),
    /// The n-th append still succeeds; everything after it finds the claim gone.
    FenceAfter(usize),
    /// The n-th append is not written, and its answer is an error.
    Refuse(usize),
    /// The n-th append is written, but its answer is an error.
    LoseAnswer(usize),
    /// The next claim is made, but its answer is an error.
    LoseClaim,
}

#[derive(Debug)]
struct Entry {
    header: SagaHeader,
    owner: Option<Owner>,
    fence: i64,
    expires: DateTime<Utc>,
    ended: bool,
    records: Vec<Record>,
}

#[derive(Debug, Default)]
struct Inner {
    sagas: BTreeMap<SagaId, Entry>,
    trouble: Option<Trouble>,
    appends: usize,
    /// All claims of before are gone.
    fenced: bool,
}

/// Keeps its own time, which is tokio's: with a paused clock the leases run by it too.
pub struct MemoryJournal {
    inner: Mutex<Inner>,
    born: DateTime<Utc>,
    since: Instant,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        MemoryJournal {
            inner: Mutex::default(),
            born: Utc::now().trunc_subsecs(6),
            since: Instant::now(),
        }
    }
}

impl MemoryJournal {
    pub fn new() -> MemoryJournal {
        MemoryJournal::default()
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.born + self.since.elapsed()
    }

    pub fn insert(&self, saga: NewSaga) {
        let at = self.now();
        let planned = Event::Planned {
            kind: saga.kind.clone(),
            version: saga.version,
        };
        let NewSaga {
            id,
            kind,
            version,
            subject,
            params,
        } = saga;
        let header = SagaHeader {
            id,
            kind,
            version,
            subject,
            params,
            created_at: at,
        };
        let records = vec![Record {
            seq: 1,
            at,
            event: planned,
        }];
        self.lock().sagas.insert(
            id,
            Entry {
                header,
                owner: None,
                fence: 0,
                expires: at,
                ended: false,
                records,
            },
        );
    }

    pub fn records(&self, saga: SagaId) -> Vec<Record> {
        self.lock()
            .sagas
            .get(&saga)
            .map(|entry| entry.records.clone())
            .unwrap_or_default()
    }

    /// Counts appends from now on.
    pub fn expect(&self, trouble: Trouble) {
        let mut inner = self.lock();
        inner.trouble = Some(trouble);
        inner.appends = 0;
    }

    /// Appends since the last `expect`.
    pub fn appends(&self) -> usize {
        self.lock().appends
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn unavailable() -> JournalError {
    JournalError::Unavailable("the test says so".into())
}

impl Inner {
    fn holds(&mut self, claim: &Claim, now: DateTime<Utc>) -> Result<&mut Entry, JournalError> {
        let fenced = JournalError::Fenced(claim.saga);
        if self.fenced {
            return Err(fenced);
        }
        match self.sagas.get_mut(&claim.saga) {
            Some(entry)
                if entry.owner.as_ref() == Some(&claim.owner)
                    && entry.fence == claim.fence
                    && entry.expires > now
                    && !entry.ended =>
            {
                Ok(entry)
            }
            _ => Err(fenced),
        }
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn claim(
        &self,
        owner: &Owner,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<(SagaHeader, Claim)>, JournalError> {
        let now = self.now();
        let mut inner = self.lock();
        if inner.fenced {
            inner.fenced = false;
            for entry in inner.sagas.values_mut() {
                entry.owner = None;
            }
        }
        let free = inner
            .sagas
            .values_mut()
            .filter(|entry| !entry.ended && (entry.owner.is_none() || entry.expires <= now));
        let mut claimed = Vec::new();
        for entry in free.take(limit) {
            entry.owner = Some(owner.clone());
            entry.fence += 1;
            entry.expires = now + TimeDelta::from_std(lease).unwrap_or_default();
            let claim = Claim {
                saga: entry.header.id,
                owner: owner.clone(),
                fence: entry.fence,
            };
            claimed.push((entry.header.clone(), claim));
        }
        if inner.trouble == Some(Trouble::LoseClaim) {
            inner.trouble = None;
            return Err(unavailable());
        }
        Ok(claimed)
    }

    async fn renew(&self, owner: &Owner, lease: Duration) -> Result<Vec<SagaId>, JournalError> {
        let now = self.now();
        let mut inner = self.lock();
        if inner.fenced {
            return Ok(Vec::new());
        }
        let mut held = Vec::new();
        for entry in inner.sagas.values_mut() {
            if entry.owner.as_ref() == Some(owner) && !entry.ended && entry.expires > now {
                entry.expires = now + TimeDelta::from_std(lease).unwrap_or_default();
                held.push(entry.header.id);
            }
        }
        Ok(held)
    }

    async fn release(&self, owner: &Owner) -> Result<(), JournalError> {
        for entry in self
            .lock()
            .sagas
            .values_mut()
            .filter(|entry| entry.owner.as_ref() == Some(owner))
        {
            entry.owner = None;
        }
        Ok(())
    }

    async fn check(&self, claim: &Claim) -> Result<(), JournalError> {
        let now = self.now();
        self.lock().holds(claim, now).map(|_| ())
    }

    async fn append(&self, claim: &Claim, events: &[Event]) -> Result<Vec<Record>, JournalError> {
        let now = self.now();
        let mut inner = self.lock();
        inner.holds(claim, now)?;
        let number = inner.appends;
        inner.appends += 1;
        match inner.trouble {
            Some(Trouble::FenceBefore(n)) if n == number => {
                inner.fenced = true;
                return Err(JournalError::Fenced(claim.saga));
            }
            Some(Trouble::Refuse(n)) if n == number => return Err(unavailable()),
            _ => {}
        }
        let trouble = inner.trouble;
        let entry = inner.holds(claim, now)?;
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            let seq = i64::try_from(entry.records.len()).unwrap_or(i64::MAX) + 1;
            let record = Record {
                seq,
                at: now,
                event: event.clone(),
            };
            entry.ended |= matches!(event, Event::Ended { .. });
            entry.records.push(record.clone());
            records.push(record);
        }
        match trouble {
            Some(Trouble::LoseAnswer(n)) if n == number => return Err(unavailable()),
            Some(Trouble::FenceAfter(n)) if n == number => inner.fenced = true,
            _ => {}
        }
        Ok(records)
    }

    async fn events(&self, saga: SagaId) -> Result<Vec<Record>, JournalError> {
        Ok(self.records(saga))
    }

    async fn request(&self, saga: SagaId, event: Event) -> Result<(), JournalError> {
        let now = self.now();
        let mut inner = self.lock();
        let Some(entry) = inner.sagas.get_mut(&saga) else {
            return Err(JournalError::Corrupt {
                saga,
                reason: "there is no such saga".to_owned(),
            });
        };
        if !entry.ended {
            let seq = i64::try_from(entry.records.len()).unwrap_or(i64::MAX) + 1;
            entry.records.push(Record { seq, at: now, event });
        }
        Ok(())
    }
}
