//! Simulated arrays as a process of their own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::config::{ArrayConfig, FabricConfig, LinkConfig};
use super::fabric::Fabric;
use super::persist::PersistError;
use super::serve::ServeError;

/// An array and where it listens, written `name=address:port`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen {
    /// The array's name.
    pub name: String,
    /// Its address.
    pub address: SocketAddr,
}

/// Not of the form `name=address:port`.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not of the form name=address:port")]
pub struct ListenError(String);

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let (name, address) = text.split_once('=').ok_or_else(|| ListenError(text.to_owned()))?;
        let address = address.parse().map_err(|_| ListenError(text.to_owned()))?;
        Ok(Self {
            name: name.to_owned(),
            address,
        })
    }
}

impl TryFrom<String> for Listen {
    type Error = ListenError;

    fn try_from(text: String) -> Result<Self, ListenError> {
        text.parse()
    }
}

/// Simulated FlashArrays as a process of their own.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArraysOptions {
    /// An array and where it listens; once for each array
    #[arg(long = "array", value_name = "NAME=ADDRESS:PORT", required = true)]
    pub arrays: Vec<Listen>,
    /// The API token of all arrays, or NAME=TOKEN for one of them
    #[arg(
        long = "token",
        value_name = "[NAME=]TOKEN",
        env = "SIM_ARRAY_TOKEN",
        hide_env_values = true,
        required = true
    )]
    pub tokens: Vec<SecretString>,
    /// Speak plain HTTP instead of HTTPS
    #[arg(long)]
    #[serde(default)]
    pub http: bool,
    /// Where certificates are kept (made there if absent)
    #[arg(long, value_name = "DIR")]
    #[serde(default)]
    pub tls_dir: Option<PathBuf>,
    /// Where the state and the log of calls are kept
    #[arg(long, value_name = "DIR")]
    #[serde(default)]
    pub state_dir: Option<PathBuf>,
    /// Where the control interface listens
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(default)]
    pub control: Option<SocketAddr>,
    /// How long the smallest replication takes, in milliseconds
    #[arg(long, value_name = "MS")]
    #[serde(default)]
    pub transfer_millis: Option<u64>,
    /// How long it takes until a group shows on its new target, in milliseconds; at once if absent
    #[arg(long, value_name = "MS")]
    #[serde(default)]
    pub announce_millis: Option<u64>,
    /// How much faster than the real time the arrays' time runs
    #[arg(long, value_name = "FACTOR")]
    #[serde(default)]
    pub time_scale: Option<f64>,
    /// Refuse what the documentation forbids although clients in the field send it
    #[arg(long)]
    #[serde(default)]
    pub strict: bool,
}

/// Why the process can't run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An array has no token.
    #[error("no token is given for the array {0}")]
    Token(String),
    /// An address is not of this machine alone.
    #[error("simulated arrays listen on loopback addresses only, not on {0}")]
    Address(SocketAddr),
    /// The state can't be read.
    #[error("the arrays can't be made")]
    State(#[from] PersistError),
    /// The servers can't start.
    #[error("the arrays can't be served")]
    Serve(#[from] ServeError),
    /// The signals that end the process can't be awaited.
    #[error("signals can't be awaited")]
    Signal(#[source] std::io::Error),
}

impl ArraysOptions {
    /// The fabric that these options describe.
    pub fn config(&self) -> Result<FabricConfig, RunError> {
        let mut arrays = Vec::new();
        for listen in &self.arrays {
            let token = self
                .token(&listen.name)
                .ok_or_else(|| RunError::Token(listen.name.clone()))?;
            let named = ArrayConfig::named(&listen.name);
            arrays.push(ArrayConfig {
                address: listen.address,
                token,
                tls: !self.http,
                ..named
            });
        }
        let addresses = self
            .arrays
            .iter()
            .map(|listen| listen.address)
            .chain(self.control);
        if let Some(address) = addresses.into_iter().find(|address| !address.ip().is_loopback()) {
            return Err(RunError::Address(address));
        }
        let mut link = LinkConfig::default();
        link.transfer_millis = self.transfer_millis.unwrap_or(link.transfer_millis);
        // Cinder's driver allows the replication of a consistency group without waiting for it to show.
        link.announce_millis = self.announce_millis.unwrap_or_default();
        Ok(FabricConfig {
            arrays,
            link,
            strict: self.strict,
            time_scale: self.time_scale.unwrap_or(1.0),
            tls_dir: self
                .tls_dir
                .clone()
                .or_else(|| self.state_dir.as_ref().map(|dir| dir.join("tls"))),
            state_dir: self.state_dir.clone(),
        })
    }

    fn token(&self, array: &str) -> Option<SecretString> {
        let split = |token: &SecretString| {
            token
                .expose_secret()
                .split_once('=')
                .map(|(n, t)| (n.to_owned(), SecretString::from(t)))
        };
        let own = self
            .tokens
            .iter()
            .filter_map(split)
            .find(|(name, _)| name == array)
            .map(|(_, token)| token);
        own.or_else(|| self.tokens.iter().find(|token| split(token).is_none()).cloned())
    }
}

/// Serve simulated arrays until the process is told to end (SIGTERM or interrupt).
pub async fn run(options: ArraysOptions) -> Result<(), RunError> {
    let fabric = Fabric::new(options.config()?)?;
    let arrays = fabric.serve(options.control).await?;
    for name in fabric.arrays() {
        tracing::info!(
            array = name,
            url = arrays.url(&name).unwrap_or_default(),
            "simulated array is listening"
        );
    }
    if let Some(url) = arrays.control_url() {
        tracing::info!(url, "control interface of the simulated arrays is listening");
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(RunError::Signal)?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.map_err(RunError::Signal)?,
        _ = terminate.recv() => {}
    }
    arrays.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arrays: &[&str], tokens: &[&str]) -> ArraysOptions {
        ArraysOptions {
            arrays: arrays.iter().map(|text| text.parse().unwrap()).collect(),
            tokens: tokens.iter().map(|text| SecretString::from(*text)).collect(),
            ..ArraysOptions::default()
        }
    }

    #[test]
    fn each_array_has_its_token() {
        let config = options(&["fa-a=127.0.0.1:1", "fa-b=[::1]:2"], &["both", "fa-b=own"])
            .config()
            .unwrap();
        let tokens: Vec<&str> = config
            .arrays
            .iter()
            .map(|array| array.token.expose_secret())
            .collect();
        assert_eq!(tokens, ["both", "own"]);
        assert!(config.arrays[0].tls);
        assert!(!format!("{config:?}").contains("own"));
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        assert!(
            matches!(options(&["fa-a=127.0.0.1:1"], &[]).config(), Err(RunError::Token(name)) if name == "fa-a")
        );
        assert!(matches!(
            options(&["fa-a=0.0.0.0:1"], &["t"]).config(),
            Err(RunError::Address(_))
        ));
        assert!("fa-a".parse::<Listen>().is_err() && "fa-a=nowhere".parse::<Listen>().is_err());
        let json = r#"{"arrays": ["fa-a=127.0.0.1:1"], "tokens": ["t"], "time_scale": 60}"#;
        let options: ArraysOptions = serde_json::from_str(json).unwrap();
        assert_eq!(options.config().unwrap().time_scale, 60.0);
    }
}
