//! One server for many tests, each of which may be a process of its own.
//!
//! Who uses it holds a shared lock on a file. Beside the server runs a shell that now and then tries to get that
//! lock for itself: when it does, nobody is left, and the server ends. Locks vanish with their processes, so a
//! killed test holds nothing up.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::{Client, files, free_port, until_it_answers};

/// The first argument is the file that users lock, the others are the server's command.
const BESIDE: &str = r#"
users=$1; shift
"$@" & server=$!
exec 9<>"$users"
while sleep 5; do
    kill -0 $server 2>/dev/null || exit 1
    flock --nonblock --exclusive 9 && break
done
kill $server
wait $server
"#;

/// The server stays at least as long as this does.
pub struct Shared {
    client: Client,
    _use: File,
}

impl Shared {
    pub fn client(&self) -> &Client {
        &self.client
    }
}

fn open(file: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(file)
        .with_context(|| format!("can't open {}", file.display()))
}

/// The server of a directory, started where it doesn't run.
pub fn shared(directory: &Path) -> Result<Shared> {
    fs::create_dir_all(directory)?;
    let users = directory.join("users");
    let used = open(&users)?;
    used.lock_shared()?;
    let starting = open(&directory.join("starting"))?;
    starting.lock()?;
    let address = directory.join("port");
    let known = fs::read_to_string(&address)
        .ok()
        .and_then(|port| port.parse().ok());
    let port = match known {
        Some(port) if TcpStream::connect(("127.0.0.1", port)).is_ok() => port,
        _ => {
            let port = start(directory, &users)?;
            fs::write(&address, port.to_string())?;
            port
        }
    };
    Ok(Shared {
        client: Client { port },
        _use: used,
    })
}

fn start(directory: &Path, users: &Path) -> Result<u16> {
    files::make(directory)?;
    let port = free_port()?;
    let server = files::command(directory, port)?;
    let (said, complained) = files::open_log(directory)?;
    let mut beside = Command::new("sh");
    beside
        .args(["-c", BESIDE, "beside"])
        .arg(users)
        .arg(server.get_program())
        .args(server.get_args())
        .stdin(Stdio::null())
        .stdout(said)
        .stderr(complained)
        // An interrupt of the tests is theirs; the server ends after them.
        .process_group(0);
    let mut beside = beside.spawn().context("sh can't start")?;
    until_it_answers(port, || Ok(beside.try_wait()?.is_none()))
        .with_context(|| format!("see {}", files::log(directory).display()))?;
    Ok(port)
}
