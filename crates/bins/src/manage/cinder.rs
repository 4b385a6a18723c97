//! `protector-manage cinder`: what protection groups need in this site's Cinder.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;
use protector_domain::SiteId;
use protector_oslo::config::Config;
use protector_ports::cloud::{Access, Actor};

use super::say;
use crate::options as opt;
use crate::parts;

#[derive(Debug, Subcommand)]
pub enum Cinder {
    /// Make the group type that protection groups' Cinder groups are of; may be repeated
    GroupType {
        /// Another name than the configured one
        #[arg(long)]
        name: Option<String>,
    },
}

impl Cinder {
    pub(super) async fn run(self, config: &Config) -> Result<()> {
        match self {
            Cinder::GroupType { name } => group_type(config, name).await,
        }
    }
}

/// A group type whose groups are consistent over their volumes' snapshots; Cinder asks for the spec.
async fn group_type(config: &Config, name: Option<String>) -> Result<()> {
    let name = name.unwrap_or_else(|| config.get(&opt::GROUP_TYPE));
    let (settings, credentials) = parts::own_credentials(config)?;
    let access = Access {
        // Only tells this call's tokens from others: the site may not be registered yet.
        site: SiteId(uuid::Uuid::nil()),
        site_name: "this site".to_owned(),
        auth_url: settings.auth_url.to_string(),
        region: parts::region(config)?,
        actor: Actor::Service(credentials),
        timeout: Duration::from_secs(config.get(&opt::CALL_TIMEOUT).unsigned_abs()),
    };
    let cloud = parts::cloud(config)?;
    let (spec, wanted) = ("consistent_group_snapshot_enabled", "<is> True");
    let present = cloud.group_types(&access).await?;
    if let Some(found) = present.into_iter().find(|one| one.name == name) {
        if found.group_specs.get(spec).is_none_or(|value| value != wanted) {
            anyhow::bail!(
                "Cinder has a group type '{name}' without {spec}='{wanted}': set that, or choose another name"
            );
        }
        if !found.is_public {
            anyhow::bail!(
                "Cinder has a group type '{name}' that is not public, so tenants can't use it: choose another name"
            );
        }
        return say(&format!("Cinder has the group type '{name}' already."));
    }
    let specs = BTreeMap::from([(spec.to_owned(), wanted.to_owned())]);
    cloud.create_group_type(&access, &name, &specs).await?;
    say(&format!("Cinder has the group type '{name}' now."))
}
