//! A real MariaDB server for tests: Debian's `mariadb-server`, with a data folder and a port of its own.
//!
//! A test that kills its server has one to itself ([`Server::start`]). Tests that only use one share it
//! ([`shared`]): the first process that needs it starts it, and it ends when no process needs it any more.

mod client;
mod files;
mod shared;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

pub use client::Client;
pub use shared::{Shared, shared};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is killed when it is dropped.
pub struct Server {
    directory: PathBuf,
    client: Client,
    child: Option<Child>,
}

impl Server {
    /// A new one, that keeps what it has in a directory.
    pub fn start(directory: &Path) -> Result<Server> {
        files::make(directory)?;
        let mut server = Server {
            directory: directory.to_owned(),
            client: Client { port: free_port()? },
            child: None,
        };
        server.start_again()?;
        Ok(server)
    }

    /// Start it once more, on the same port and with the same data.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the server runs already");
        let mut command = files::command(&self.directory, self.client.port)?;
        let mut child = command.spawn().context("mariadbd can't start")?;
        let answers = until_it_answers(self.client.port, || Ok(child.try_wait()?.is_none()));
        self.child = Some(child);
        answers.with_context(|| format!("see {}", files::log(&self.directory).display()))
    }

    /// End it as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the server doesn't run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            let _ = self.kill();
        }
    }
}

/// Below the ports that the system gives to outgoing connections, so that none of these takes it meanwhile.
fn free_port() -> Result<u16> {
    let span = 2_000;
    let first = u16::try_from(std::process::id() % u32::from(span))?;
    for offset in 0..span {
        let port = 10_000 + (first + offset) % span;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}

// Starting a server blocks anyway: its callers have a thread to wait with.
#[allow(clippy::disallowed_methods)]
fn until_it_answers(port: u16, mut runs: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(runs()?, "mariadbd has ended by itself");
        ensure!(Instant::now() < end, "mariadbd doesn't answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A program of the package, wherever the PATH of the caller ends.
fn program(name: &str) -> Result<Command> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .chain(["/usr/sbin", "/usr/bin"])
        .map(|directory| Path::new(directory).join(name))
        .find(|file| file.exists());
    let Some(found) = found else {
        bail!("{name} is not there: apt-get install mariadb-server");
    };
    let mut command = Command::new(found);
    command.stdin(Stdio::null());
    Ok(command)
}
