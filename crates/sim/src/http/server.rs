//! Listening: one router on one address, until it is told to stop.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::calls::CallLog;
use super::faults::Faults;
use super::guard::Guarded;
use super::tls::Certificate;

/// How a service is served.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The service's name in the log of calls.
    pub name: String,
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// HTTPS with this certificate instead of HTTP.
    pub tls: Option<Certificate>,
    /// Its disturbances.
    pub faults: Faults,
    /// Where its calls are written down.
    pub calls: CallLog,
}

impl ServeOptions {
    /// HTTP on a free port of the loopback address.
    #[must_use]
    pub fn local(name: &str, faults: Faults, calls: CallLog) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            name: name.to_owned(),
            address,
            tls: None,
            faults,
            calls,
        }
    }
}

/// A service that is listening. Dropping it ends the service at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    tls: bool,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// The address with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// Stop listening and close all connections.
    pub async fn shutdown(mut self) {
        self.handle.graceful_shutdown(Some(Duration::from_millis(50)));
        if tokio::time::timeout(Duration::from_secs(2), &mut self.task)
            .await
            .is_err()
        {
            self.task.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.shutdown();
        self.task.abort();
    }
}

/// Counts connections, and closes them at the door while the service is down.
#[derive(Clone)]
struct Door(Faults);

impl<S> Accept<TcpStream, S> for Door {
    type Stream = TcpStream;
    type Service = S;
    type Future = Ready<io::Result<(TcpStream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        self.0.count_connection();
        if self.0.is_down() {
            return ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        ready(stream.set_nodelay(true).map(|()| (stream, service)))
    }
}

/// Serve a router. It listens when this returns.
pub async fn serve(router: Router, options: ServeOptions) -> io::Result<Server> {
    let listener = TcpListener::bind(options.address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let handle = Handle::new();
    let door = Door(options.faults.clone());
    let guarded = Guarded {
        name: options.name,
        router,
        faults: options.faults,
        calls: options.calls,
    };
    let make = tower::service_fn(move |_: SocketAddr| ready(Ok::<_, Infallible>(guarded.clone())));
    let server = axum_server::from_tcp(listener)?.handle(handle.clone());
    let tls = options.tls.is_some();
    let task = match options.tls {
        Some(certificate) => {
            let config = certificate.server_config().map_err(io::Error::other)?;
            let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(config)).acceptor(door);
            tokio::spawn(server.acceptor(acceptor).serve(make))
        }
        None => tokio::spawn(server.acceptor(door).serve(make)),
    };
    Ok(Server {
        address,
        tls,
        handle,
        task,
    })
}
