//! Two simulated sites, and the file with which ordinary clients find them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use protector_sim::cloud::{Cloud, Sites, SitesOptions};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    sites: SitesOptions,
    /// Where clouds.yaml is written
    #[arg(long, value_name = "DIR", default_value = ".run/sites")]
    dir: PathBuf,
}

/// Serve two sites. All addresses are printed as one line of JSON as soon as everything listens.
pub(crate) async fn run(options: Options) -> Result<()> {
    let sites = options.sites.start().await?;
    let clouds = write_clouds(&sites, &options.dir)?;
    say(&describe(&sites, &clouds));
    tracing::info!(
        "two sites listen; try: OS_CLIENT_CONFIG_FILE={} openstack --os-cloud site-a server list",
        clouds.display()
    );
    crate::asked_to_stop().await?;
    sites.shutdown().await;
    Ok(())
}

/// What the sites say of themselves, with the addresses that a test needs beside.
pub(crate) fn describe(sites: &Sites, clouds: &Path) -> Value {
    let mut described = sites.describe();
    described["control"] = json!(sites.control_url());
    described["clouds_yaml"] = json!(clouds);
    described
}

/// One line of JSON, for whoever has started this program.
pub(crate) fn say(value: &Value) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

/// The file with the authority by which a cloud's endpoints are verified, if it needs one.
pub(crate) fn authority_file(cloud: &Cloud, directory: &Path) -> Result<Option<PathBuf>> {
    let own = std::path::absolute(directory)?.join(format!("{}-ca.pem", cloud.name()));
    Ok(cloud.authority().map(|_| own))
}

/// An entry for the tenant and one for the administrator of each site: `site-a`, `site-a-admin`, ... JSON is YAML.
/// The authorities that it names lie beside it.
pub(crate) fn write_clouds(sites: &Sites, directory: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(directory).with_context(|| format!("can't make {}", directory.display()))?;
    let mut clouds = json!({});
    for cloud in sites.clouds() {
        let authority = authority_file(cloud, directory)?;
        if let (Some(path), Some(pem)) = (&authority, cloud.authority()) {
            std::fs::write(path, pem).with_context(|| format!("can't write {}", path.display()))?;
        }
        for (entry, user) in [
            (cloud.name().to_owned(), "demo"),
            (format!("{}-admin", cloud.name()), "admin"),
        ] {
            let Some(account) = cloud.spec().account(user) else {
                continue;
            };
            let mut written = json!({
                "auth": {
                    "auth_url": cloud.auth_url(), "username": account.user,
                    "password": account.password.expose_secret(), "project_name": account.project,
                    "user_domain_name": account.domain, "project_domain_name": account.domain
                },
                "region_name": cloud.spec().region, "identity_api_version": 3
            });
            if let Some(authority) = &authority {
                written["cacert"] = json!(authority);
            }
            clouds[entry] = written;
        }
    }
    let text = serde_json::to_string_pretty(&json!({ "clouds": clouds }))?;
    let path = std::path::absolute(directory)?.join("clouds.yaml");
    std::fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
    Ok(path)
}
