//! A workload is booted and protected, as a tenant does it.

use std::time::Duration;

use anyhow::{Context, Result};
use protector_relay::{NewGroup, NewPolicy, Pair};
use secrecy::SecretString;

use super::PATIENCE;
use super::look;
use super::workload::{self, Workload};
use crate::screen::Screen;
use crate::stack::Stack;

/// The volume type that replicates, on both clouds.
const VOLUME_TYPE: &str = "replicated-ssd";

/// How often the arrays replicate.
pub(crate) const INTERVAL: Duration = Duration::from_secs(300);

/// Boot a workload at site-a and make its group, policy and members. Everything is protected when this returns;
/// gives the group's id.
pub(crate) async fn protect(
    stack: &Stack,
    tenant: &Pair,
    workload: &Workload,
    screen: &mut Screen,
) -> Result<String> {
    screen.step(&format!("booting {} at site-a", workload.told));
    let here = tenant.here().session();
    workload::boot(here, workload, VOLUME_TYPE).await?;

    screen.step(&format!(
        "making the protection group '{}' on both sites",
        workload.group
    ));
    let group = tenant
        .create_group(&NewGroup {
            name: workload.group,
            description: "Servers of the demo",
            volume_type: VOLUME_TYPE,
        })
        .await?;
    for site in [tenant.here(), tenant.there()] {
        tenant
            .group_becomes(site, &group.id, &["active"], PATIENCE)
            .await?;
    }
    screen.step("binding it to the arrays fa-a and fa-b");
    let url = |array: &str| {
        let url = stack.sites.arrays().url(array);
        url.with_context(|| format!("there is no array {array}"))
    };
    let token = |array: &str| SecretString::from(format!("{array}-token"));
    let policy = NewPolicy {
        primary_url: url("fa-a")?,
        primary_token: token("fa-a"),
        secondary_url: url("fa-b")?,
        secondary_token: token("fa-b"),
        array_group: workload.array_group(),
        interval_seconds: INTERVAL.as_secs(),
    };
    tenant.create_policy(&group.id, &policy, PATIENCE).await?;
    for server in look::servers(here, stack.cloud("site-a")?, workload).await? {
        tenant.add_member(&group.id, &server.id).await?;
        // A group takes one change at a time.
        tenant.members_protected(&group.id, PATIENCE).await?;
        let disks = server.disks.len();
        screen.step(&format!(
            "  {} is protected, {disks} of {disks} disks",
            server.name
        ));
    }
    Ok(group.id)
}
