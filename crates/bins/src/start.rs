//! How a program begins: its files, its options, its log, and one clear line where it can't.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use protector_oslo::config::{Config, Sources};
use protector_oslo::logging::{self, LogSettings};

/// Where the configuration is.
#[derive(Debug, Clone, clap::Args)]
pub struct Files {
    /// Configuration file; may be given several times, later ones override earlier ones
    #[arg(long = "config-file", value_name = "FILE", global = true)]
    pub config_file: Vec<PathBuf>,
    /// Folder whose *.conf files are read after the files
    #[arg(long = "config-dir", value_name = "DIR", global = true)]
    pub config_dir: Vec<PathBuf>,
}

const DEFAULT_FILE: &str = "/etc/protector/protector.conf";

impl Files {
    /// Reads and checks everything; all that is wrong is in the one error.
    pub fn load(&self) -> Result<Config> {
        let mut sources = Sources::default();
        if self.config_file.is_empty() && self.config_dir.is_empty() {
            let default = PathBuf::from(DEFAULT_FILE);
            if !default.exists() {
                anyhow::bail!("there is no {DEFAULT_FILE}: write one, or name another with --config-file");
            }
            sources = sources.file(default);
        }
        for file in &self.config_file {
            sources = sources.file(file);
        }
        for dir in &self.config_dir {
            sources = sources.dir(dir);
        }
        crate::options::schema()
            .load(&sources.process_environment())
            .map_err(anyhow::Error::from)
    }
}

/// Starts the log and says what in the configuration was not understood.
pub fn log(name: &str, config: &Config) -> Result<()> {
    logging::init(&LogSettings::from_config(name, config)).context("the log can't be set up")?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Runs the program's body. A failure is told once, with all its causes: in the log, which goes to stderr too, or
/// on stderr alone where the log isn't set up.
pub fn run(program: &str, body: impl FnOnce() -> Result<()>) -> ExitCode {
    // One TLS provider for everything; setting it a second time changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match body() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if tracing::dispatcher::has_been_set() {
                tracing::error!("{program} stops: {error:#}");
            } else {
                eprintln!("{program}: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// A file that the configuration names without a directory lies beside the first configuration file.
pub(crate) fn beside_config(files: &Files, name: &str) -> PathBuf {
    let first = files
        .config_file
        .first()
        .map_or(Path::new(DEFAULT_FILE), PathBuf::as_path);
    first.parent().unwrap_or(Path::new(".")).join(name)
}

/// Fires when the process is asked to end.
pub async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM can't be caught; only SIGINT ends the process cleanly");
            let _ = tokio::signal::ctrl_c().await;
            return;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
