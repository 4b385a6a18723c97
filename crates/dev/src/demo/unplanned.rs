//! The second act: a site is lost without a warning, and the other one brings a group up from what had come over.
//!
//! From the loss on only the surviving site is spoken to. How old the data is then is told as it is: from the moment
//! when the snapshot was taken to the moment of the loss, both on the arrays' clock.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::DateTime;
use protector_relay::{Operation, Pair};
use serde_json::{Value, json};

use super::look::{self, Server};
use super::progress::{self, Progress};
use super::protection::{self, INTERVAL};
use super::verdict::{self, Old, Recovery};
use super::workload::{self, WARD};
use super::{Ending, PATIENCE};
use crate::screen::Screen;
use crate::stack::{Loss, Stack};

/// What the guests write after the last replication.
const LATE: &str = "too late";

/// How long after the last replication they write it. Less than the interval, or the next one would carry it.
const LATER: Duration = Duration::from_secs(60);

/// Gives the end and the data's age in seconds.
pub(super) async fn play(
    stack: &mut Stack,
    tenant: &Pair,
    mark: &str,
    screen: &mut Screen,
) -> Result<(Ending, f64)> {
    let (group, before) = replicated_group(stack, tenant, mark, screen).await?;
    let arrays = stack.sites.fabric().clone();
    arrays.advance(LATER);
    workload::write(stack.cloud("site-a")?, &before, LATE)?;
    screen.step(&format!(
        "{} s later the guests write once more: no replication will carry that",
        LATER.as_secs()
    ));

    let lost_at = arrays.now();
    stack.lose("site-a", Loss::Dark).await?;
    screen.step("site-a is lost: its cloud, its array, its protector");
    let survivor = stack.site("site-b", "demo").await?;
    screen.step("unplanned failover, ordered at site-b: front becomes front-dr, back becomes back-dr");
    let ordered = Instant::now();
    let operation = survivor.take_over(&group, &workload::mappings()).await?;
    let mut told = Progress::default();
    let operation = survivor
        .watch(operation, Duration::from_millis(250), |now| {
            told.show(screen, now);
        })
        .await?;
    let seconds = ordered.elapsed().as_secs_f64();
    progress::completed(&operation)?;
    let age = age(&operation, lost_at)?;
    screen.step(&format!(
        "the group runs at site-b; the failover took {seconds:.1} s"
    ));

    let recovery = Recovery {
        servers: &look::servers(survivor.session(), stack.cloud("site-b")?, &WARD).await?,
        members: &survivor.members(&group).await?,
        operation: &operation,
    };
    let rows: Vec<_> = before
        .into_iter()
        .map(|before| recovery.row(before, Old::Lost { age, late: LATE }))
        .collect();
    verdict::close(screen, &rows)?;
    if age > INTERVAL.as_secs_f64() {
        bail!("the data is {age:.1} s old, although it is replicated more often than that");
    }
    screen.line(&format!(
        "Every server runs at site-b with what was replicated last; what was written in the {age:.1} s before the loss \
         is gone."
    ));
    Ok((Ending::of(&rows, seconds), age))
}

/// Protects the second workload; gives the group's id, and its servers, when site-b has all that it needs of them.
pub(crate) async fn replicated_group(
    stack: &Stack,
    tenant: &Pair,
    mark: &str,
    screen: &mut Screen,
) -> Result<(String, Vec<Server>)> {
    let a = tenant.here().session();
    let cloud = stack.cloud("site-a")?.clone();
    let group = protection::protect(stack, tenant, &WARD, screen).await?;
    workload::write(&cloud, &look::servers(a, &cloud, &WARD).await?, mark)?;
    screen.step("the guests have written to all their disks");
    let before = look::servers(a, &cloud, &WARD).await?;

    let arrays = stack.sites.fabric().clone();
    screen.step(&format!(
        "the arrays' clock goes on; they replicate every {} s",
        INTERVAL.as_secs()
    ));
    arrays.advance(INTERVAL + Duration::from_secs(1));
    replicated(stack, &before).await?;
    tenant.there().knows_the_servers(&group, PATIENCE).await?;
    screen.step("site-b has a complete snapshot, and knows what the servers look like");
    Ok((group, before))
}

/// Wait until the array of site-b has, in one complete snapshot, all that the guests have written.
async fn replicated(stack: &Stack, servers: &[Server]) -> Result<()> {
    let group = format!("fa-a:{}", WARD.array_group());
    let until = Instant::now() + PATIENCE;
    loop {
        if arrived(&stack.sites.fabric().state("fa-b")?, &group, servers) {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("no complete snapshot of what the guests have written arrives at site-b");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether a group snapshot on an array holds every disk as it is. `array` is the array's whole state.
fn arrived(array: &Value, group: &str, servers: &[Server]) -> bool {
    let listed = |what: &str| array[what].as_array().into_iter().flatten();
    let holds = |name: &str| {
        let mut disks = servers.iter().flat_map(|server| &server.disks);
        disks.all(|disk| {
            listed("snapshots").any(|snapshot| {
                // Cinder names a volume of an array after its own id.
                let source = snapshot["source"]["name"].as_str().unwrap_or_default();
                snapshot["group_snapshot"] == name
                    && snapshot["complete"] == true
                    && source.contains(&disk.volume)
                    && snapshot["markers"] == json!(disk.markers)
            })
        })
    };
    listed("group_snapshots")
        .filter_map(|snapshot| snapshot["name"].as_str())
        .filter(|name| name.rsplit_once('.').is_some_and(|(of, _)| of == group))
        .any(holds)
}

/// From the snapshot that everything was made of to a moment of the arrays' time, in seconds.
fn age(operation: &Operation, lost_at: u64) -> Result<f64> {
    let created = operation.result_data["snapshot"]["created"]
        .as_str()
        .context("the operation doesn't say how old its data is")?;
    let created = DateTime::parse_from_rfc3339(created)
        .with_context(|| format!("the snapshot was taken at '{created}', which is no moment"))?;
    let lost_at = i64::try_from(lost_at).context("the arrays' clock")?;
    Ok((lost_at - created.timestamp_millis()) as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::look::Disk;
    use super::*;

    fn servers() -> Vec<Server> {
        let disk = |volume: &str| Disk {
            device: "/dev/vda".into(),
            volume: volume.into(),
            gigabytes: 1,
            markers: vec!["m".into()],
        };
        vec![Server {
            id: "id".into(),
            name: "bed-0".into(),
            status: "ACTIVE".into(),
            addresses: BTreeMap::new(),
            disks: vec![disk("v1"), disk("v2")],
        }]
    }

    fn array(second: &str, complete: bool) -> Value {
        let snapshot = |volume: &str, marker: &str| {
            json!({
                "group_snapshot": "fa-a:ward-pg.1", "complete": complete, "markers": [marker],
                "source": {"name": format!("fa-a:volume-{volume}-cinder")}
            })
        };
        json!({
            "group_snapshots": [{"name": "fa-a:ward-pg.1"}],
            "snapshots": [snapshot("v1", "m"), snapshot("v2", second)]
        })
    }

    #[test]
    fn only_a_complete_snapshot_with_the_last_write_of_every_disk_counts() {
        let servers = servers();
        assert!(arrived(&array("m", true), "fa-a:ward-pg", &servers));
        assert!(!arrived(&array("m", false), "fa-a:ward-pg", &servers));
        assert!(!arrived(&array("older", true), "fa-a:ward-pg", &servers));
        assert!(!arrived(&array("m", true), "fa-a:shop-pg", &servers));
    }

    #[test]
    fn the_age_is_counted_on_the_arrays_clock() {
        let operation = |result: Value| -> Operation {
            let operation = json!({
                "id": "o", "protection_group_id": "g", "operation_type": "failover", "status": "completed",
                "result_data": result
            });
            serde_json::from_value(operation).unwrap()
        };
        let told = operation(json!({"snapshot": {"created": "1970-01-01T00:00:10.500Z"}}));
        assert_eq!(age(&told, 75_000).unwrap(), 64.5);
        assert!(age(&operation(json!({})), 75_000).is_err());
    }
}
