//! One connection to one server of the broker, with the queue in place.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};
use lapin::options::{ConfirmSelectOptions, QueueDeclareOptions};
use lapin::tcp::{AMQPUriTcpExt, AsyncTcpStream};
use lapin::types::FieldTable;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Channel, Connection, ConnectionProperties, Event};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use crate::QUEUE;
use crate::address::Host;
use crate::reason::Reason;

/// A server that is silent for this long is taken for dead.
const HEARTBEAT_SECONDS: u16 = 30;
/// How long a clean end may take.
const GOODBYE: Duration = Duration::from_secs(1);

pub(crate) struct Link {
    pub channel: Channel,
    connection: Connection,
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
    _socket: Socket,
}

impl Link {
    /// Connects, within twice `patience`, and declares the queue.
    pub async fn open(host: &Host, vhost: &str, name: &str, patience: Duration) -> Result<Link, Reason> {
        let socket = Socket::default();
        match timeout(patience * 2, connect(host, vhost, name, patience, socket)).await {
            Ok(link) => Ok(link?),
            Err(_) => Err(Reason::from("timed out")),
        }
    }

    /// Waits until the connection is gone.
    pub async fn lost(&mut self) -> Reason {
        while let Some(event) = self.events.next().await {
            if let Event::Error(error) = event {
                return error.into();
            }
        }
        Reason::from("the connection was closed")
    }

    /// Says goodbye to the server, if it listens.
    pub async fn close(self) {
        let _ = timeout(GOODBYE, self.connection.close(200, "OK".into())).await;
    }
}

async fn connect(
    host: &Host,
    vhost: &str,
    name: &str,
    patience: Duration,
    socket: Socket,
) -> lapin::Result<Link> {
    let uri = AMQPUri {
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: host.user.clone(),
                password: host.password.expose_secret().to_owned(),
            },
            host: host.name.clone(),
            port: host.port,
        },
        vhost: vhost.to_owned(),
        query: AMQPQueryString {
            heartbeat: Some(HEARTBEAT_SECONDS),
            ..AMQPQueryString::default()
        },
    };
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let held = socket.clone_handle();
    let connection = Connection::connector(
        uri,
        lapin::runtime::default_runtime()?,
        async move |uri, runtime| {
            let dialled = timeout(patience, uri.connect_async(&runtime)).await;
            let stream = dialled.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            if let AsyncTcpStream::Plain(plain) = &stream {
                held.hold(TcpStream::from(plain.get_ref().as_fd().try_clone_to_owned()?));
            }
            Ok(stream)
        },
        properties,
    )
    .await?;
    let events = Box::pin(connection.events_listener());
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    channel
        .queue_declare(
            QUEUE.into(),
            QueueDeclareOptions::durable(),
            FieldTable::default(),
        )
        .await?;
    Ok(Link {
        channel,
        connection,
        events,
        _socket: socket,
    })
}

/// Shuts the connection's socket when dropped. The library's thread would otherwise wait for the answer of a server
/// that accepted and then fell silent, one thread more with every attempt.
#[derive(Default)]
struct Socket(Handle);

#[derive(Clone, Default)]
struct Handle(Arc<Mutex<Option<TcpStream>>>);

impl Handle {
    fn hold(&self, stream: TcpStream) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    }
}

impl Socket {
    fn clone_handle(&self) -> Handle {
        self.0.clone()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let held = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(stream) = held {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
