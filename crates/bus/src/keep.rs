//! Keeps a connection to the broker, for ever, and says in oslo.messaging's words when there is none.

use std::time::Duration;

use async_trait::async_trait;
use lapin::Channel;
use tokio_util::sync::CancellationToken;

use crate::address::Broker;
use crate::link::Link;
use crate::reason::Reason;

/// The name under which operators' tools look for these lines.
const TARGET: &str = "oslo.messaging._drivers.impl_rabbit";

/// What a connection is used for.
#[async_trait]
pub(crate) trait Session: Send {
    /// Called on a fresh connection, which counts as one only after this.
    async fn open(&mut self, _channel: &Channel) -> Result<(), Reason> {
        Ok(())
    }

    /// Uses the connection until it is lost.
    async fn run(&mut self, link: &mut Link) -> Reason;
}

/// How patient the loop is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How long a server may take to accept.
    pub connect: Duration,
    /// The wait after the first failure, and how much longer it gets each time that every server was tried.
    pub wait: Duration,
    pub longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            connect: Duration::from_secs(5),
            wait: Duration::from_secs(2),
            longest: Duration::from_secs(10),
        }
    }
}

impl Pace {
    fn after(self, failures: u32, hosts: usize) -> Duration {
        let rounds = failures / u32::try_from(hosts).unwrap_or(1).max(1);
        self.wait
            .saturating_mul(rounds.saturating_add(1))
            .min(self.longest)
    }
}

/// Runs the session on one server after the other until `stop` fires.
pub(crate) async fn keep(
    broker: &Broker,
    name: &str,
    pace: Pace,
    session: &mut dyn Session,
    stop: &CancellationToken,
) {
    let mut failures = 0_u32;
    let mut again = "C";
    for host in broker.hosts().iter().cycle() {
        let attempt = async {
            let link = Link::open(host, broker.vhost(), name, pace.connect).await?;
            session.open(&link.channel).await?;
            Ok(link)
        };
        let reason = match unless_stopped(stop, attempt).await {
            None => return,
            Some(Err(reason)) => reason,
            Some(Ok(mut link)) => {
                tracing::info!(target: TARGET, "{again}onnected to AMQP server on {host}");
                (failures, again) = (0, "Rec");
                match unless_stopped(stop, session.run(&mut link)).await {
                    None => return link.close().await,
                    Some(reason) => reason,
                }
            }
        };
        let wait = pace.after(failures, broker.hosts().len());
        failures = failures.saturating_add(1);
        tracing::error!(
            target: TARGET,
            "AMQP server on {host} is unreachable: {reason}. Trying again in {} seconds...",
            wait.as_secs()
        );
        if unless_stopped(stop, tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

async fn unless_stopped<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    stop.run_until_cancelled(work).await
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use protector_ports::Wakeup;
    use secrecy::SecretString;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::Publisher;
    use crate::listen::listen_at;

    /// What was logged, to be looked at while it grows.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Log {
        type Writer = Log;

        fn make_writer(&self) -> Log {
            self.clone()
        }
    }

    impl Log {
        /// Of the calling thread, on which these tests run as a whole.
        fn start(&self) -> tracing::subscriber::DefaultGuard {
            let subscriber = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_max_level(tracing::Level::DEBUG)
                .with_writer(self.clone());
            tracing::subscriber::set_default(subscriber.finish())
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        async fn wait_for(&self, line: &str) {
            let began = Instant::now();
            while !self.text().contains(line) {
                let text = self.text();
                assert!(
                    began.elapsed() < Duration::from_secs(20),
                    "no '{line}' in:\n{text}"
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    const QUICK: Pace = Pace {
        connect: Duration::from_millis(300),
        wait: Duration::from_secs(1),
        longest: Duration::from_secs(10),
    };

    fn broker(port: u16) -> Broker {
        let url = format!("rabbit://u:geheim@127.0.0.1:{port}/v");
        Broker::parse(&SecretString::from(url)).unwrap()
    }

    /// A port on which nobody listens.
    fn dead() -> u16 {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    }

    #[test]
    fn waits_grow_when_every_server_was_tried_and_have_an_end() {
        let seconds = |failures, hosts| Pace::default().after(failures, hosts).as_secs();
        assert_eq!([0, 1, 2, 9].map(|it| seconds(it, 1)), [2, 4, 6, 10]);
        assert_eq!([0, 1, 2, 3].map(|it| seconds(it, 2)), [2, 2, 4, 4]);
        assert_eq!(seconds(u32::MAX, 1), 10);
    }

    #[tokio::test]
    async fn an_engine_without_its_broker_says_so_and_goes_on() {
        let log = Log::default();
        let _guard = log.start();
        let (port, stop) = (dead(), CancellationToken::new());
        let woken = || panic!("there is no broker");
        let look = async {
            for wait in [1, 2] {
                log.wait_for(&format!("ERROR oslo.messaging._drivers.impl_rabbit: AMQP server on 127.0.0.1:{port} is unreachable: [Errno 111] Connection refused. Trying again in {wait} seconds...")).await;
            }
            stop.cancel();
        };
        tokio::join!(
            listen_at(QUICK, broker(port), "engine", woken, stop.clone()),
            look
        );
        assert!(!log.text().contains("geheim"));
    }

    #[tokio::test]
    async fn a_server_that_accepts_and_is_silent_is_left() {
        let log = Log::default();
        let _guard = log.start();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, stop) = (server.local_addr().unwrap().port(), CancellationToken::new());
        let accept = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut greeting = Vec::new();
            std::io::Read::read_to_end(&mut stream, &mut greeting).map(|_| greeting)
        });
        let look = async {
            log.wait_for(&format!(
                "AMQP server on 127.0.0.1:{port} is unreachable: timed out."
            ))
            .await;
            stop.cancel();
        };
        tokio::join!(
            listen_at(QUICK, broker(port), "engine", || (), stop.clone()),
            look
        );
        // The socket was closed too, so nothing waits behind the scenes.
        let greeting = tokio::task::spawn_blocking(move || accept.join().unwrap().unwrap());
        let greeting = tokio::time::timeout(Duration::from_secs(5), greeting).await;
        assert!(greeting.unwrap().unwrap().starts_with(b"AMQP"));
    }

    #[tokio::test]
    async fn waking_without_a_broker_costs_nothing() {
        let log = Log::default();
        let _guard = log.start();
        let (port, stop) = (dead(), CancellationToken::new());
        let (publisher, task) = Publisher::start_at(QUICK, broker(port), "api", stop.clone());
        let began = Instant::now();
        for _ in 0..1000 {
            publisher.wake();
        }
        assert!(began.elapsed() < Duration::from_secs(2));
        log.wait_for("is unreachable").await;
        stop.cancel();
        task.await.unwrap();
    }
}
