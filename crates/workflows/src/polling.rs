//! Waiting for slow things, and looking at many of them in one call.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use protector_ports::PortResult;
use protector_saga::StepContext;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::failure::{StepResult, retryable};

/// Asks again and again until there is an answer, the patience is over or the engine stops.
pub(crate) async fn until<T, F>(
    context: &StepContext<'_>,
    every: Duration,
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
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// One list for everybody who waits: asked by one, read by all, never older than wanted.
pub(crate) struct Shared<T> {
    latest: Mutex<Option<(Instant, Arc<Vec<T>>)>>,
}

impl<T> Shared<T> {
    pub(crate) fn new() -> Self {
        Self {
            latest: Mutex::new(None),
        }
    }

    /// The list, at most `age` old.
    pub(crate) async fn get<F>(&self, age: Duration, ask: impl FnOnce() -> F) -> PortResult<Arc<Vec<T>>>
    where
        F: Future<Output = PortResult<Vec<T>>>,
    {
        let mut latest = self.latest.lock().await;
        if let Some((asked, list)) = latest.as_ref()
            && asked.elapsed() < age
        {
            return Ok(list.clone());
        }
        let asked = Instant::now();
        let list = Arc::new(ask().await?);
        *latest = Some((asked, list.clone()));
        Ok(list)
    }
}
