//! Two simulated sites as a process of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::seed::SiteSpec;
use super::sites::{Sites, StartError};
use crate::array::{ArrayConfig, FabricConfig};
use crate::http::CallLog;

/// Two simulated sites, `site-a` and `site-b`, with an array each.
#[derive(Args, Clone, Debug, Default)]
pub struct SitesOptions {
    /// Port of site-a's services (a free one if 0)
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub port_a: u16,
    /// Port of site-b's services (a free one if 0)
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub port_b: u16,
    /// Port of the array fa-a (a free one if 0)
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub array_port_a: u16,
    /// Port of the array fa-b (a free one if 0)
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub array_port_b: u16,
    /// Port of the control interface (a free one if 0)
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub control_port: u16,
    /// Let the arrays speak HTTPS
    #[arg(long)]
    pub arrays_tls: bool,
    /// Make the sites two regions of one Keystone
    #[arg(long)]
    pub one_keystone: bool,
    /// Let site-b's endpoints speak HTTPS, with a certificate of a private authority
    #[arg(long, conflicts_with = "one_keystone")]
    pub tls_b: bool,
    /// Call the tenant otherwise at site-b: user alice, project shop-dr, domain recovery
    #[arg(long, conflicts_with = "one_keystone")]
    pub other_names: bool,
    /// Servers to boot at site-a, called web-0, web-1, ...
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub servers: usize,
    /// Disks of each of them
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub disks: usize,
    /// Where the log of calls is kept
    #[arg(long, value_name = "FILE")]
    pub calls: Option<PathBuf>,
}

/// Why the process can't run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The sites can't start.
    #[error("the sites can't start")]
    Start(#[from] StartError),
    /// The servers can't be booted.
    #[error("the servers can't be booted")]
    Boot(#[from] super::FixtureError),
    /// The log of calls can't be opened.
    #[error("the log of calls can't be opened")]
    Calls(#[source] std::io::Error),
    /// The signals that end the process can't be awaited.
    #[error("signals can't be awaited")]
    Signal(#[source] std::io::Error),
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl SitesOptions {
    /// Start what these options describe.
    pub async fn start(&self) -> Result<Sites, RunError> {
        let array = |name: &str, port: u16| ArrayConfig {
            address: local(port),
            tls: self.arrays_tls,
            ..ArrayConfig::named(name)
        };
        let arrays = FabricConfig {
            arrays: vec![array("fa-a", self.array_port_a), array("fa-b", self.array_port_b)],
            strict: false,
            ..FabricConfig::default()
        };
        let calls = match &self.calls {
            Some(path) => CallLog::with_file(path).map_err(RunError::Calls)?,
            None => CallLog::default(),
        };
        let a = SiteSpec::new("site-a", "fa-a", Some("fa-b"));
        let mut b = SiteSpec::new("site-b", "fa-b", Some("fa-a"));
        b.tls = self.tls_b;
        if self.other_names {
            b = b.with_tenant("alice", "shop-dr", "recovery");
        }
        if self.one_keystone {
            b = b.beside(&a);
        }
        let sites = vec![(a, local(self.port_a)), (b, local(self.port_b))];
        let keystone = self.one_keystone.then(|| local(0));
        let control = Some(local(self.control_port));
        let sites = Sites::start_with(sites, keystone, arrays, control, calls).await?;
        if let Some(cloud) = sites.cloud("site-a") {
            for number in 0..self.servers {
                cloud.boot(&format!("web-{number}"), self.disks)?;
            }
        }
        Ok(sites)
    }
}

/// Serve two sites until the process is told to end (SIGTERM or interrupt). The addresses are printed as one
/// line of JSON as soon as everything listens.
pub async fn run(options: SitesOptions) -> Result<(), RunError> {
    let sites = options.start().await?;
    let mut ready = sites.describe();
    ready["control"] = json!(sites.control_url());
    #[expect(
        clippy::print_stdout,
        reason = "who starts the process reads the addresses from there"
    )]
    {
        println!("{ready}");
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(RunError::Signal)?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.map_err(RunError::Signal)?,
        _ = terminate.recv() => {}
    }
    sites.shutdown().await;
    Ok(())
}
