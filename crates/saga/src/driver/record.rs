//! Keeps the journal and the state together, through databases that go away and come back.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use protector_domain::SagaId;

use super::is_fenced;
use super::look::LastLook;
use super::time::JournalTime;
use crate::agenda::Agenda;
use crate::dag::Dag;
use crate::decide::Action;
use crate::event::{Event, Record};
use crate::journal::{Claim, Journal, JournalError, SagaHeader};
use crate::state::State;

const FIRST_DELAY: Duration = Duration::from_millis(200);
/// A database that is back is noticed soon, whoever waits for it.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// The claim is gone: whatever is known here is the past.
#[derive(Debug, PartialEq, Eq)]
pub struct Lost;

pub enum CantOpen {
    Lost,
    Refused(String),
}

pub struct Keeper {
    journal: Arc<dyn Journal>,
    claim: Claim,
    look: Arc<LastLook>,
    /// Shared with the steps at work, which see the journal as it was when they began.
    state: Arc<State>,
    agenda: Agenda,
    time: JournalTime,
}

impl Keeper {
    pub async fn open(
        journal: Arc<dyn Journal>,
        claim: Claim,
        header: &SagaHeader,
        dag: &Dag,
    ) -> Result<Keeper, CantOpen> {
        let mut backoff = Backoff::new();
        let records = loop {
            let read = match journal.check(&claim).await {
                Ok(()) => journal.events(claim.saga).await,
                Err(error) => Err(error),
            };
            match read {
                Ok(records) => break records,
                Err(JournalError::Fenced(_)) => return Err(CantOpen::Lost),
                Err(error @ JournalError::Corrupt { .. }) => {
                    return Err(CantOpen::Refused(error.to_string()));
                }
                Err(error) => backoff.wait(claim.saga, &error).await,
            }
        };
        let refused = |reason: String| {
            CantOpen::Refused(format!(
                "the journal of saga {} can't be read: {reason}",
                claim.saga
            ))
        };
        let mut state = State::replay(dag, &records).map_err(|corrupt| refused(corrupt.to_string()))?;
        match state.planned() {
            Some((kind, version)) if kind == header.kind && version == header.version => {}
            Some((kind, version)) => {
                return Err(refused(format!(
                    "it was written by version {version} of {kind}, and is to be read as version {} of {}",
                    header.version, header.kind
                )));
            }
            None => return Err(refused("it is empty".to_owned())),
        }
        state.act_for(claim.clone());
        let time = JournalTime::guess(journal.guess_now());
        Ok(Keeper {
            look: Arc::new(LastLook::new(journal.clone(), claim.clone())),
            journal,
            claim,
            agenda: Agenda::new(dag, &state),
            state: Arc::new(state),
            time,
        })
    }

    pub fn saga(&self) -> SagaId {
        self.claim.saga
    }

    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// For the steps that this claim lets go.
    pub fn last_look(&self) -> &Arc<LastLook> {
        &self.look
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn shared_state(&self) -> Arc<State> {
        self.state.clone()
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.time.now()
    }

    /// What may be done now, at most `room` steps of it.
    pub fn next(&mut self, room: usize) -> Vec<Action> {
        let now = self.time.now();
        let actions = self.agenda.next(&self.state, now, room);
        #[cfg(test)]
        assert_eq!(actions, crate::tests::decided(&self.state, now, room));
        actions
    }

    pub fn until(&self, time: DateTime<Utc>) -> Duration {
        self.time.until(time)
    }

    /// Writes the events, however long the database is away. Between an answer that was lost and a write
    /// that never happened only the journal itself can tell: nobody else writes what an engine writes.
    pub async fn append(&mut self, events: &[Event]) -> Result<(), Lost> {
        let mut backoff = Backoff::new();
        loop {
            let error = match self.journal.append(&self.claim, events).await {
                Ok(records) => {
                    if let Some(last) = records.last() {
                        self.time.set(last.at);
                    }
                    return self.take_in(records).await;
                }
                Err(error) if is_fenced(&error) => return Err(Lost),
                Err(error) => error,
            };
            backoff.wait(self.claim.saga, &error).await;
            if planted!(WriteAgainUnseen) {
                continue;
            }
            let news = self.news().await?;
            let written = news.iter().any(|record| !is_request(&record.event));
            self.apply(&news)?;
            if written {
                return Ok(());
            }
        }
    }

    /// Applies what was written; where a request came in between, it is read first.
    async fn take_in(&mut self, records: Vec<Record>) -> Result<(), Lost> {
        match records.first() {
            Some(first) if first.seq != self.state.next_seq() => {
                let news = self.news().await?;
                self.apply(&news)
            }
            _ => self.apply(&records),
        }
    }

    /// Reads what was asked for meanwhile; answers whether there was anything.
    pub async fn refresh(&mut self) -> Result<bool, Lost> {
        let news = self.news().await?;
        self.apply(&news)?;
        Ok(!news.is_empty())
    }

    pub async fn check(&self) -> Result<(), Lost> {
        check(&*self.journal, &self.claim).await
    }

    async fn news(&self) -> Result<Vec<Record>, Lost> {
        let mut backoff = Backoff::new();
        loop {
            let last = self.state.next_seq() - 1;
            match self.journal.events_after(self.claim.saga, last).await {
                Ok(records) => return Ok(records),
                Err(error) if is_fenced(&error) => return Err(Lost),
                Err(error @ JournalError::Corrupt { .. }) => {
                    tracing::error!(%error, "the journal became unreadable");
                    return Err(Lost);
                }
                Err(error) => backoff.wait(self.claim.saga, &error).await,
            }
        }
    }

    fn apply(&mut self, records: &[Record]) -> Result<(), Lost> {
        if records.is_empty() {
            return Ok(());
        }
        let state = Arc::make_mut(&mut self.state);
        for record in records {
            // Lines that don't follow from ours were written by somebody else: then he owns the saga.
            if let Err(corrupt) = state.apply(record) {
                tracing::error!(saga = %self.claim.saga, %corrupt, "the journal went on without this engine");
                return Err(Lost);
            }
            self.agenda.follow(state, record);
        }
        Ok(())
    }
}

/// Whether the claim holds, asked until there is an answer.
pub async fn check(journal: &dyn Journal, claim: &Claim) -> Result<(), Lost> {
    let mut backoff = Backoff::new();
    loop {
        match journal.check(claim).await {
            Ok(()) => return Ok(()),
            Err(error) if is_fenced(&error) => return Err(Lost),
            Err(error) => backoff.wait(claim.saga, &error).await,
        }
    }
}

/// What comes from outside the engine.
pub fn is_request(event: &Event) -> bool {
    matches!(
        event,
        Event::Cancelled
            | Event::Paused
            | Event::Resumed
            | Event::OperatorDecision { .. }
            | Event::Abandoned { .. }
    )
}

pub struct Backoff(Duration);

impl Backoff {
    pub fn new() -> Backoff {
        Backoff(FIRST_DELAY)
    }

    pub async fn wait(&mut self, saga: SagaId, error: &JournalError) {
        let cause = std::error::Error::source(error)
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::warn!(%saga, %error, %cause, "the journal doesn't answer; retrying in {:?}", self.0);
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(MAX_DELAY);
    }
}
