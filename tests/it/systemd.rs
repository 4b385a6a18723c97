//! What systemd hears of the services.

use std::path::Path;
use std::time::Duration;

use crate::harness::Stack;
use crate::harness::programs::Program;
use anyhow::{Context, Result, ensure};
use tokio::net::UnixDatagram;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// The next word, which has to come.
async fn heard(socket: &UnixDatagram) -> Result<String> {
    let mut word = [0; 256];
    let length = timeout(PATIENCE, socket.recv(&mut word))
        .await
        .context("nothing is said")??;
    Ok(String::from_utf8_lossy(&word[..length]).trim().to_owned())
}

/// Words of being well come in between.
async fn until_heard(socket: &UnixDatagram, wanted: &str) -> Result<()> {
    loop {
        let word = heard(socket).await?;
        if word == wanted {
            return Ok(());
        }
        ensure!(word == "WATCHDOG=1", "{word} and not {wanted}");
    }
}

fn listen(directory: &Path, name: &str) -> Result<(UnixDatagram, String)> {
    let path = directory.join(name);
    Ok((UnixDatagram::bind(&path)?, path.to_string_lossy().into_owned()))
}

fn ask_to_end(program: &Program) -> Result<()> {
    program.signal(rustix::process::Signal::TERM)
}

/// A name short enough for a socket.
fn place() -> Result<tempfile::TempDir> {
    Ok(tempfile::TempDir::new()?)
}

#[tokio::test]
async fn o10_systemd_hears_that_the_engine_is_ready_well_and_ends() -> Result<()> {
    let stack = Stack::unregistered().await?;
    let place = place()?;
    let (socket, path) = listen(place.path(), "engine")?;
    let log = stack.a.directory.join("notifying.out");
    let variables = [("NOTIFY_SOCKET", path.as_str()), ("WATCHDOG_USEC", "60000000")];
    let mut engine = stack.a.engine_with(&log, &variables)?;
    until_heard(&socket, "READY=1").await?;
    // It goes on saying so.
    for _ in 0..3 {
        ensure!(heard(&socket).await? == "WATCHDOG=1");
    }
    ask_to_end(&engine)?;
    until_heard(&socket, "STOPPING=1").await?;
    timeout(PATIENCE, engine.ended())
        .await
        .context("it doesn't end")?
}

#[tokio::test]
async fn the_api_tells_systemd_that_it_is_ready_and_ends() -> Result<()> {
    let mut stack = Stack::unregistered().await?;
    stack.a.stop().await?;
    let place = place()?;
    let (socket, path) = listen(place.path(), "api")?;
    let mut api = stack.a.api_with(&[("NOTIFY_SOCKET", path.as_str())])?;
    ensure!(heard(&socket).await? == "READY=1");
    // Whoever is told so can ask it at once.
    ensure!(!stack.a.identity().await?["id"].is_null());
    ask_to_end(&api)?;
    ensure!(heard(&socket).await? == "STOPPING=1");
    timeout(PATIENCE, api.ended()).await.context("it doesn't end")?
}
