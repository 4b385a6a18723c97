//! HTTPS in front of a service that doesn't speak it, as load balancers do it for real ones.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::tls::Certificate;

/// A front that listens. Dropping it ends it with all its connections.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Front {
    /// Where it is spoken to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listen on a free port of the loopback address for what is said to that service.
pub async fn front(certificate: &Certificate, service: SocketAddr) -> io::Result<Front> {
    let config = certificate.server_config().map_err(io::Error::other)?;
    let acceptor = TlsAcceptor::from(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            connections.spawn(relay(acceptor.clone(), client, service));
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(Front { address, task })
}

/// A client that doesn't like the certificate, and a service that is away, end the connection and nothing else.
async fn relay(acceptor: TlsAcceptor, client: TcpStream, service: SocketAddr) -> io::Result<()> {
    let mut client = acceptor.accept(client).await?;
    let mut service = TcpStream::connect(service).await?;
    service.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut service).await?;
    Ok(())
}
