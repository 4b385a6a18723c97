//! The engine's side: wakes it when messages come.

use async_trait::async_trait;
use futures::{FutureExt, Stream, StreamExt};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio_util::sync::CancellationToken;

use crate::QUEUE;
use crate::address::Broker;
use crate::keep::{Pace, Session, keep};
use crate::link::Link;
use crate::reason::Reason;

/// How many messages are on their way at once, and so how many can become one wake-up.
const PREFETCH: u16 = 100;

/// Calls `wake` whenever messages came, until `stop` fires. What came together wakes once.
pub async fn listen(broker: Broker, name: &str, wake: impl Fn() + Send + Sync, stop: CancellationToken) {
    listen_at(Pace::default(), broker, name, wake, stop).await;
}

pub(crate) async fn listen_at(
    pace: Pace,
    broker: Broker,
    name: &str,
    wake: impl Fn() + Send + Sync,
    stop: CancellationToken,
) {
    let mut session = Listening {
        place: broker.vhost().to_owned(),
        consumer: None,
        wake,
    };
    keep(&broker, name, pace, &mut session, &stop).await;
}

struct Listening<F> {
    /// The virtual host, for the log.
    place: String,
    consumer: Option<Consumer>,
    wake: F,
}

#[async_trait]
impl<F: Fn() + Send + Sync> Session for Listening<F> {
    async fn open(&mut self, channel: &Channel) -> Result<(), Reason> {
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let consumer = channel
            .basic_consume(
                QUEUE.into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        self.consumer = Some(consumer);
        Ok(())
    }

    async fn run(&mut self, _link: &mut Link) -> Reason {
        let Some(mut consumer) = self.consumer.take() else {
            return Reason::from("nothing is consumed");
        };
        loop {
            let (count, last) = match gather(&mut consumer).await {
                Some(Ok(gathered)) => gathered,
                Some(Err(error)) => return error.into(),
                None => return Reason::from("the broker ended the consumer"),
            };
            tracing::debug!(
                "woken by {count} message(s) in queue {QUEUE} of virtual host {}",
                self.place
            );
            (self.wake)();
            // At once and before any work: the database is the truth, and a broker closes the channel of a
            // consumer that keeps it waiting.
            if let Err(error) = last.acker.ack(BasicAckOptions { multiple: true }).await {
                return error.into();
            }
        }
    }
}

/// Waits for a message and takes everything that is there with it: how many, and the last.
async fn gather<T, E>(
    messages: &mut (impl Stream<Item = Result<T, E>> + Unpin),
) -> Option<Result<(usize, T), E>> {
    let mut last = match messages.next().await? {
        Ok(message) => message,
        Err(error) => return Some(Err(error)),
    };
    let mut count = 1;
    while let Some(Some(next)) = messages.next().now_or_never() {
        match next {
            Ok(message) => last = message,
            // What isn't acknowledged comes again.
            Err(error) => return Some(Err(error)),
        }
        count += 1;
    }
    Some(Ok((count, last)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::channel::mpsc;

    #[tokio::test]
    async fn messages_that_came_together_wake_once() {
        let (queue, mut messages) = mpsc::unbounded::<Result<u32, ()>>();
        for message in 1..=3 {
            queue.unbounded_send(Ok(message)).unwrap();
        }
        assert_eq!(gather(&mut messages).await, Some(Ok((3, 3))));
        queue.unbounded_send(Ok(4)).unwrap();
        drop(queue);
        assert_eq!(gather(&mut messages).await, Some(Ok((1, 4))));
        assert_eq!(gather(&mut messages).await, None);
    }

    #[tokio::test]
    async fn a_failure_behind_messages_is_not_swallowed() {
        let (queue, mut messages) = mpsc::unbounded::<Result<u32, &str>>();
        queue.unbounded_send(Ok(1)).unwrap();
        queue.unbounded_send(Err("lost")).unwrap();
        assert_eq!(gather(&mut messages).await, Some(Err("lost")));
    }
}
