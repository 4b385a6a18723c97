//! What lies between a client and a site's API: a line that can be cut, at every place where lines are cut.
//!
//! It is one of our own because it has to lose exactly what the seed says: the fault of a call is drawn by the client
//! that makes it and armed here right before, which none of the proxies that others maintain takes per call. It works on
//! TCP and knows nothing of HTTP: what a network loses are bytes, and the place of the cut needn't be polite. Each client
//! has its own door to each site and opens a new connection for every call, so that a fault hits the call it is meant for.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::chance::Chance;

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Nobody opens.
    Refuse,
    /// Half of the request gets through.
    CutRequest,
    /// The whole request gets through, and the line is cut while the site may be at work on it.
    CutAtWork(Duration),
    /// The answer is made, and nothing of it comes back.
    CutAnswer,
    /// Half of the answer comes back.
    HalfAnswer,
    SlowRequest(Duration),
    SlowAnswer(Duration),
}

impl Fault {
    /// The fault of the next call, if it has one; so many in a hundred do.
    pub fn draw(chance: &mut Chance, percent: u64) -> Self {
        if !chance.percent(percent) {
            return Self::None;
        }
        let while_ = Duration::from_millis(chance.between(0, 40));
        match chance.below(10) {
            0 => Self::Refuse,
            1 => Self::CutRequest,
            2 | 3 => Self::CutAtWork(while_),
            4..=6 => Self::CutAnswer,
            7 => Self::HalfAnswer,
            8 => Self::SlowRequest(while_ * 5),
            _ => Self::SlowAnswer(while_ * 5),
        }
    }
}

/// The way of one client to one site.
pub struct Door {
    pub address: SocketAddr,
    armed: Arc<Mutex<Fault>>,
    serves: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.serves.abort();
    }
}

impl Door {
    /// `cut` is the site's: while it is set, no client gets there.
    pub async fn open(to: SocketAddr, cut: Arc<AtomicBool>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let armed = Arc::new(Mutex::new(Fault::None));
        let next = armed.clone();
        let serves = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let fault = std::mem::replace(
                    &mut *next.lock().unwrap_or_else(PoisonError::into_inner),
                    Fault::None,
                );
                if !cut.load(Ordering::Relaxed) {
                    // How it ends is what the client sees.
                    tokio::spawn(async move {
                        let _ = carry(client, to, fault).await;
                    });
                }
            }
        });
        Ok(Self {
            address,
            armed,
            serves,
        })
    }

    /// What the next connection meets.
    pub fn arm(&self, fault: Fault) {
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

async fn carry(mut client: TcpStream, to: SocketAddr, fault: Fault) -> std::io::Result<()> {
    if fault == Fault::Refuse {
        return Ok(());
    }
    let mut site = TcpStream::connect(to).await?;
    let mut first = vec![0; 64 * 1024];
    let length = client.read(&mut first).await?;
    if let Fault::SlowRequest(time) = fault {
        sleep(time).await;
    }
    if fault == Fault::CutRequest {
        site.write_all(&first[..length / 2]).await?;
        return site.shutdown().await;
    }
    site.write_all(&first[..length]).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_site, mut to_site) = site.split();
    let there = async {
        copy(&mut from_client, &mut to_site).await?;
        to_site.shutdown().await
    };
    let back = async {
        let mut answer = vec![0; 64 * 1024];
        let length = from_site.read(&mut answer).await?;
        match fault {
            Fault::CutAnswer => return Ok(()),
            Fault::HalfAnswer => return to_client.write_all(&answer[..length / 2]).await,
            Fault::SlowAnswer(time) => sleep(time).await,
            _ => {}
        }
        to_client.write_all(&answer[..length]).await?;
        copy(&mut from_site, &mut to_client).await?;
        to_client.shutdown().await
    };
    let both = async {
        // The answer ends the call; a request that goes on after it interests nobody.
        tokio::select! {
            done = back => done,
            Err(error) = there => Err(error),
        }
    };
    match fault {
        Fault::CutAtWork(time) => timeout(time, both).await.unwrap_or(Ok(())),
        _ => both.await,
    }
}
