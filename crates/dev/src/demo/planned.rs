//! The first act: both sites are well, and a group is moved without losing a byte.

use std::time::{Duration, Instant};

use anyhow::Result;
use protector_relay::Pair;
use serde_json::json;

use super::progress::{self, Progress};
use super::verdict::{self, Old, Recovery};
use super::workload::{self, SHOP};
use super::{Ending, look, protection};
use crate::screen::Screen;
use crate::stack::Stack;

pub(crate) async fn play(stack: &Stack, tenant: &Pair, mark: &str, screen: &mut Screen) -> Result<Ending> {
    let (a, b) = (tenant.here().session(), tenant.there().session());
    let (cloud_a, cloud_b) = (stack.cloud("site-a")?, stack.cloud("site-b")?);
    let group = protection::protect(stack, tenant, &SHOP, screen).await?;
    workload::write(cloud_a, &look::servers(a, cloud_a, &SHOP).await?, mark)?;
    screen.step("the guests have written to all their disks");
    let before = look::servers(a, cloud_a, &SHOP).await?;

    screen.step("planned failover: front becomes front-dr, back becomes back-dr");
    let order = json!({"type": "planned", "mappings": workload::mappings()});
    let ordered = Instant::now();
    let (operation, at) = tenant.act(&group, "failover", &order).await?;
    let mut told = Progress::default();
    let operation = tenant
        .follow(operation, at, Duration::from_millis(250), |now| {
            told.show(screen, now);
        })
        .await?;
    let seconds = ordered.elapsed().as_secs_f64();
    progress::completed(&operation)?;
    screen.step(&format!(
        "the group runs at site-b; the failover took {seconds:.1} s"
    ));

    let after = look::servers(a, cloud_a, &SHOP).await?;
    let recovery = Recovery {
        servers: &look::servers(b, cloud_b, &SHOP).await?,
        members: &tenant.members(&group).await?,
        operation: &operation,
    };
    let rows: Vec<_> = before
        .into_iter()
        .map(|before| {
            let old = after.iter().find(|server| server.id == before.id).cloned();
            recovery.row(before, Old::Left(old))
        })
        .collect();
    verdict::close(screen, &rows)?;
    screen.line("Every server runs at site-b with its own data; the old ones are stopped.");
    Ok(Ending::of(&rows, seconds))
}
