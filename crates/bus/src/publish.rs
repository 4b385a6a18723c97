//! The API's side: rings the engine, in the background.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation};
use protector_ports::Wakeup;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::QUEUE;
use crate::address::Broker;
use crate::keep::{Pace, Session, keep};
use crate::link::Link;
use crate::reason::Reason;

/// How long the broker may take to confirm.
const CONFIRM: Duration = Duration::from_secs(2);
/// A message that nobody took by then is worth nothing: the engine has looked, or looks when it starts. So the
/// queue of an engine that is down doesn't grow.
const LIFETIME_MS: &str = "60000";

/// Wakes the engine over RabbitMQ. A request is never slowed: waking sets a flag, and a task of its own publishes.
#[derive(Debug, Clone)]
pub struct Publisher {
    bell: Arc<Notify>,
}

impl Publisher {
    /// Starts the task, which ends when `stop` fires.
    pub fn start(broker: Broker, name: &str, stop: CancellationToken) -> (Publisher, JoinHandle<()>) {
        Publisher::start_at(Pace::default(), broker, name, stop)
    }

    pub(crate) fn start_at(
        pace: Pace,
        broker: Broker,
        name: &str,
        stop: CancellationToken,
    ) -> (Publisher, JoinHandle<()>) {
        let bell = Arc::new(Notify::new());
        let publisher = Publisher { bell: bell.clone() };
        let name = name.to_owned();
        let task = tokio::spawn(async move {
            keep(&broker, &name, pace, &mut Publishing { bell }, &stop).await;
        });
        (publisher, task)
    }
}

impl Wakeup for Publisher {
    /// Rings that come before the last one was published are one.
    fn wake(&self) {
        self.bell.notify_one();
    }
}

struct Publishing {
    bell: Arc<Notify>,
}

#[async_trait]
impl Session for Publishing {
    async fn run(&mut self, link: &mut Link) -> Reason {
        loop {
            tokio::select! {
                () = self.bell.notified() => {}
                reason = link.lost() => return reason,
            }
            let published = timeout(CONFIRM, publish(&link.channel)).await;
            match published.unwrap_or_else(|_| Err(Reason::from("no confirmation in time"))) {
                Ok(()) => tracing::debug!("the engine is woken through queue {QUEUE}"),
                Err(reason) => {
                    tracing::warn!(
                        "the engine could not be woken ({reason}); it finds its work in the database by itself"
                    );
                    return reason;
                }
            }
        }
    }
}

async fn publish(channel: &Channel) -> Result<(), Reason> {
    // Mandatory, or a queue that somebody deleted would swallow everything silently.
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_expiration(LIFETIME_MS.into());
    let sent = channel
        .basic_publish("".into(), QUEUE.into(), options, b"work", properties)
        .await?;
    match sent.await? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => Err(Reason::from("the queue is gone")),
        Confirmation::Nack(_) | Confirmation::NotRequested => {
            Err(Reason::from("the broker did not take the message"))
        }
    }
}
