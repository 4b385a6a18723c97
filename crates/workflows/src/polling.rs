//! Waiting for slow things, and looking at many of them in one call.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use protector_domain::ServerId;
use protector_ports::cloud::{Changes, Server};
use protector_saga::StepContext;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::failure::{StepResult, retryable};

/// When slow things are looked at. All who wait look at the same moments, so that one call answers all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    origin: Instant,
    every: Duration,
}

impl Ticks {
    pub(crate) fn every(every: Duration) -> Self {
        Self {
            origin: Instant::now(),
            // A clock that stands still would be asked without end.
            every: every.max(Duration::from_millis(1)),
        }
    }

    /// How old an answer may be that was asked for at this tick, and not at the one before it.
    pub(crate) fn fresh(&self) -> Duration {
        self.every / 2
    }

    async fn next(&self) {
        let passed = self.origin.elapsed().as_nanos() / self.every.as_nanos();
        let ticks = u32::try_from(passed + 1).unwrap_or(u32::MAX);
        let next = self
            .every
            .checked_mul(ticks)
            .and_then(|after| self.origin.checked_add(after));
        match next {
            Some(next) => tokio::time::sleep_until(next).await,
            None => tokio::time::sleep(self.every).await,
        }
    }
}

/// Asks again and again until there is an answer, the patience is over or the engine stops.
pub(crate) async fn until<T, F>(
    context: &StepContext<'_>,
    ticks: Ticks,
    patience: Duration,
    what: &str,
    mut ask: impl FnMut() -> F,
) -> StepResult<T>
where
    F: Future<Output = StepResult<Option<T>>>,
{
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            return Err(retryable(format!(
                "{what} took longer than {} seconds",
                patience.as_secs()
            )));
        }
        tokio::select! {
            biased;
            () = context.stop.cancelled() => return Err(retryable("the engine stops")),
            () = ticks.next() => {}
        }
    }
}

/// One list for everybody who waits: asked by one, read by all, never older than wanted.
pub(crate) struct Shared<T> {
    latest: Mutex<Option<(Instant, Arc<Vec<T>>)>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            latest: Mutex::new(None),
        }
    }
}

impl<T> Shared<T> {
    /// The list, at most `age` old.
    pub(crate) async fn get<F>(&self, age: Duration, ask: impl FnOnce() -> F) -> StepResult<Arc<Vec<T>>>
    where
        F: Future<Output = StepResult<Vec<T>>>,
    {
        self.kept_or_asked(|asked| asked.elapsed() < age, ask).await
    }

    /// The list, asked for at that moment or later.
    pub(crate) async fn asked_after<F>(
        &self,
        moment: Instant,
        ask: impl FnOnce() -> F,
    ) -> StepResult<Arc<Vec<T>>>
    where
        F: Future<Output = StepResult<Vec<T>>>,
    {
        self.kept_or_asked(|asked| asked >= moment, ask).await
    }

    async fn kept_or_asked<F>(
        &self,
        is_new_enough: impl Fn(Instant) -> bool,
        ask: impl FnOnce() -> F,
    ) -> StepResult<Arc<Vec<T>>>
    where
        F: Future<Output = StepResult<Vec<T>>>,
    {
        let mut latest = self.latest.lock().await;
        if let Some((asked, list)) = latest.as_ref()
            && is_new_enough(*asked)
        {
            return Ok(list.clone());
        }
        // Nobody needs the old list any more, and of ten thousand servers there is no room for two.
        *latest = None;
        let asked = Instant::now();
        let list = Arc::new(ask().await?);
        *latest = Some((asked, list.clone()));
        Ok(list)
    }
}

/// How a server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pulse {
    pub(crate) status: String,
    pub(crate) task_state: Option<String>,
    /// The reason of status `ERROR`.
    pub(crate) fault: Option<String>,
}

impl From<Server> for Pulse {
    fn from(server: Server) -> Self {
        Self {
            status: server.status,
            task_state: server.task_state,
            fault: server.fault,
        }
    }
}

/// How the servers of a project do, for everybody who waits: listed once, and then only what has changed.
///
/// A cloud's clocks are many, so a change may be missed: from time to time all are listed again.
pub(crate) struct Watch {
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    asked: Instant,
    /// When all were listed last.
    listed: Instant,
    mark: Option<String>,
    servers: HashMap<ServerId, Pulse>,
}

impl Watch {
    const LIST_AGAIN: Duration = Duration::from_secs(30);

    pub(crate) fn new() -> Self {
        Self {
            seen: Mutex::new(None),
        }
    }

    /// One server, as it was at most `age` ago.
    pub(crate) async fn look<F>(
        &self,
        id: &ServerId,
        age: Duration,
        ask: impl FnOnce(Option<String>) -> F,
    ) -> StepResult<Option<Pulse>>
    where
        F: Future<Output = StepResult<Changes<Server>>>,
    {
        let mut seen = self.seen.lock().await;
        let fresh = seen.as_ref().is_some_and(|seen| seen.asked.elapsed() < age);
        if !fresh {
            let asked = Instant::now();
            if seen
                .as_ref()
                .is_some_and(|seen| seen.listed.elapsed() >= Self::LIST_AGAIN)
            {
                *seen = None;
            }
            let mark = seen.as_ref().and_then(|seen| seen.mark.clone());
            if mark.is_none() {
                *seen = None;
            }
            let changes = ask(mark).await?;
            let seen = seen.get_or_insert_with(|| Seen {
                asked,
                listed: asked,
                mark: None,
                servers: HashMap::new(),
            });
            seen.asked = asked;
            seen.mark = changes.mark;
            for server in changes.items {
                seen.servers.insert(server.id.clone(), Pulse::from(server));
            }
        }
        Ok(seen.as_ref().and_then(|seen| seen.servers.get(id)).cloned())
    }
}
