//! A saga to try recovery and takeover by hand: the product's own saga engine over the product's own database, with
//! steps that touch nothing. The second of its three steps waits until it is let go on.

mod steps;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use protector_domain::SagaId;
use protector_ports::secrets::{SealError, Sealer};
use protector_saga::driver::Options as DriverOptions;
use protector_saga::{Driver, Engine, Event, Journal, NewSaga, Owner};
use protector_store::{NewIdentity, SqlStore, migrate, sqlite_dsn};
use secrecy::SecretString;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::steps::{DemoPlanner, KIND};

/// Try out by hand how work survives its engine.
#[derive(Args)]
pub(crate) struct Options {
    /// Where the database of the demo is
    #[arg(long, value_name = "DIR", default_value = ".run/demo-saga", global = true)]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Order a saga of three steps; the second one waits until `release`
    Start {
        /// Let the last step fail for good: then the saga takes everything back
        #[arg(long)]
        fail: bool,
    },
    /// Work on what there is to do, until Ctrl-C
    Engine {
        /// Its name in the journal; the process id stands beside it
        #[arg(long, default_value = "engine")]
        name: String,
        /// How long it keeps its work when it has fallen silent
        #[arg(long, value_name = "MS", default_value_t = 5000)]
        lease_ms: u64,
    },
    /// Let the waiting step go on
    Release,
    /// Show the journal, line by line, with the engine that wrote it
    Show,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    match options.command {
        Command::Start { fail } => start(&options.dir, fail).await,
        Command::Engine { name, lease_ms } => {
            engine(&options.dir, &name, Duration::from_millis(lease_ms)).await
        }
        Command::Release => {
            std::fs::write(steps::released(&options.dir), "")
                .with_context(|| format!("nothing was started in {}", options.dir.display()))?;
            say("The waiting step goes on.");
            Ok(())
        }
        Command::Show => show(&options.dir).await,
    }
}

/// The demo keeps no secrets.
struct Nothing;

impl Sealer for Nothing {
    fn seal(&self, _plain: &SecretString, _aad: &str) -> Result<String, SealError> {
        Err(SealError("the demo keeps no secrets".to_owned()))
    }

    fn open(&self, _sealed: &str, _aad: &str) -> Result<SecretString, SealError> {
        Err(SealError("the demo keeps no secrets".to_owned()))
    }
}

fn database(dir: &Path) -> Result<PathBuf> {
    Ok(std::path::absolute(dir)?.join("protector.db"))
}

async fn store(dir: &Path) -> Result<SqlStore> {
    let database = database(dir)?;
    ensure!(
        database.exists(),
        "there is no {}: begin with `protector-dev saga start`",
        database.display()
    );
    Ok(SqlStore::connect(&sqlite_dsn(&database), Arc::new(Nothing)).await?)
}

async fn start(dir: &Path, fail: bool) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let identity = NewIdentity {
        id: None,
        public_key: None,
    };
    migrate(&sqlite_dsn(&database(dir)?), &identity).await?;
    let _ = std::fs::remove_file(steps::released(dir));
    let id = SagaId(uuid::Uuid::new_v4());
    let saga = NewSaga {
        id,
        kind: KIND.to_owned(),
        version: 1,
        subject: "demo".to_owned(),
        params: json!({ "fail": fail }).to_string().into(),
    };
    store(dir).await?.begin_saga(&saga).await.context(
        "the last one has not ended: let it (`protector-dev saga engine`, `protector-dev saga release`)",
    )?;
    std::fs::write(dir.join("saga"), id.to_string())?;
    say(&format!(
        "Saga {id} waits for an engine: protector-dev saga engine"
    ));
    Ok(())
}

async fn engine(dir: &Path, name: &str, lease: Duration) -> Result<()> {
    let store: Arc<dyn Journal> = Arc::new(store(dir).await?);
    let options = DriverOptions {
        lease,
        poll: (lease / 10).max(Duration::from_millis(20)),
        ..DriverOptions::default()
    };
    let owner = Owner(format!("{name}:{}:{}", std::process::id(), uuid::Uuid::new_v4()));
    let driver = Driver::new(store, owner, options);
    let engine = Engine::new(driver, Arc::new(DemoPlanner::new(dir)?));
    let stop = CancellationToken::new();
    let ending = stop.clone();
    tokio::spawn(async move {
        let _ = crate::asked_to_stop().await;
        ending.cancel();
    });
    say(&format!(
        "{name} works; Ctrl-C stops it in good order, kill -9 doesn't."
    ));
    engine.run(stop).await;
    Ok(())
}

async fn show(dir: &Path) -> Result<()> {
    let store = store(dir).await?;
    let id = std::fs::read_to_string(dir.join("saga")).context("nothing was started here")?;
    let id = SagaId(id.trim().parse()?);
    for record in store.events(id).await? {
        let (what, step) = words(&record.event);
        say(&format!(
            "{:>3}  {}  {what:<12} {step}",
            record.seq,
            record.at.format("%H:%M:%S%.3f")
        ));
    }
    Ok(())
}

fn words(event: &Event) -> (&'static str, String) {
    match event {
        Event::Planned { kind, .. } => ("planned", kind.clone()),
        Event::Intent { step, attempt, .. } => ("intent", format!("{step}, attempt {attempt}")),
        Event::Done { step, output } => (
            "done",
            format!("{step} by {}", output["by"].as_str().unwrap_or("?")),
        ),
        Event::Failed { step, message, .. } => ("failed", format!("{step}: {message}")),
        Event::UndoIntent { step, attempt } => ("undo intent", format!("{step}, attempt {attempt}")),
        Event::Undone { step } => ("undone", step.clone()),
        Event::UndoFailed { step, message, .. } => ("undo failed", format!("{step}: {message}")),
        Event::Paused => ("paused", String::new()),
        Event::Resumed => ("resumed", String::new()),
        Event::Cancelled => ("cancelled", String::new()),
        Event::OperatorDecision { decision, .. } => ("decision", decision.clone()),
        Event::Abandoned { reason, .. } => ("abandoned", reason.clone()),
        Event::Ended { outcome } => ("ended", format!("{outcome:?}")),
    }
}

#[allow(clippy::print_stdout, reason = "what the commands are for")]
fn say(line: &str) {
    println!("{line}");
}
