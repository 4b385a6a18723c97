//! Snapshots of a group, and their replicas on the target.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use protector_flasharray as fa;
use protector_flasharray::{GroupSnapshot, Kind as Fa, Transfer};
use protector_ports::array::{ArrayAccess, ArrayPair, Replica};
use protector_ports::{Kind, PortError, PortResult};
use tokio::time::Instant;

use super::PureDriver;
use super::groups::pick;
use crate::failure::{Explain, conflict};
use crate::names;

/// A snapshot shows on the target as soon as it is begun to be sent.
const ARRIVAL: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(250);

impl PureDriver {
    pub(super) async fn take_snapshot(&self, pair: &ArrayPair, group: &str, suffix: &str) -> PortResult<()> {
        names::check_group(group)?;
        names::check_suffix(suffix)?;
        let source = self.handle(&pair.source)?;
        let name = format!("{group}.{suffix}");
        if taken(&source, &name).await? {
            return Ok(());
        }
        self.live_group(&source, group).await?;
        let what = format!("list the targets of the protection group {group}");
        let targets = source.group_targets(group).await.explain(&source, what)?;
        let target_name = self.name_if_known(&pair.target).await?;
        let target = pick(&targets, target_name.as_deref());
        if target.is_none_or(|target| target.allowed != Some(true)) {
            let whom = target_name.as_deref().unwrap_or(&pair.target.url);
            return Err(conflict(format!(
                "The snapshot {name} was not taken: {whom} does not accept the protection group {group} of the array {}.",
                source.host()
            )));
        }
        match source.send_group_snapshot(group, suffix).await {
            // Someone was faster, perhaps an earlier try of ours.
            Err(error) if error.is(Fa::Exists) && taken(&source, &name).await? => Ok(()),
            other => other.explain(&source, format!("take the snapshot {name}")),
        }
    }

    pub(super) async fn read_replica(
        &self,
        pair: &ArrayPair,
        group: &str,
        suffix: &str,
    ) -> PortResult<Option<Replica>> {
        names::check_group(group)?;
        let target = self.handle(&pair.target)?;
        let source_name = self.source_name(pair, &target, group).await?;
        let name = format!("{}.{suffix}", names::on_target(&source_name, group));
        let what = format!("say how far the snapshot {name} has come");
        let (snapshot, transfer) = tokio::join!(target.group_snapshot(&name), target.transfer(&name));
        let (snapshot, transfer) = (
            snapshot.explain(&target, &what)?,
            transfer.explain(&target, &what)?,
        );
        let Some(snapshot) = snapshot else {
            return Ok(None);
        };
        if snapshot.is_destroyed() {
            let message = format!(
                "The snapshot {name} on the array {} has been destroyed.",
                target.host()
            );
            return Err(PortError::permanent(Kind::NotFound, message));
        }
        let mut replica = replica_of(&target, suffix, &snapshot, transfer.as_ref())?;
        if replica.is_complete() {
            let members = target.member_snapshots(&name).await.explain(&target, what)?;
            replica.volumes = members
                .iter()
                .filter_map(|member| Some(member.name.strip_prefix(&name)?.strip_prefix('.')?.to_owned()))
                .collect();
        }
        Ok(Some(replica))
    }

    pub(super) async fn read_replicas(
        &self,
        access: &ArrayAccess,
        source_name: &str,
        group: &str,
    ) -> PortResult<Vec<Replica>> {
        names::check_group(group)?;
        let target = self.handle(access)?;
        let remote = names::on_target(source_name, group);
        let what = format!("list the snapshots of the protection group {remote}");
        // A snapshot that completes while its members are read already looks incomplete, never the other way round.
        let transfers = target.transfers(&remote).await.explain(&target, &what)?;
        let (snapshots, members) =
            tokio::join!(target.group_snapshots(&remote), target.member_snapshots(&remote));
        let (snapshots, members) = (
            snapshots.explain(&target, &what)?,
            members.explain(&target, &what)?,
        );

        let mut volumes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for member in &members {
            if let Some((suffix, volume)) = below(&remote, &member.name).and_then(|rest| rest.split_once('.'))
            {
                volumes
                    .entry(suffix.to_owned())
                    .or_default()
                    .push(volume.to_owned());
            }
        }
        let mut replicas = Vec::new();
        for snapshot in snapshots.iter().filter(|snapshot| !snapshot.is_destroyed()) {
            let Some(suffix) = below(&remote, &snapshot.name) else {
                continue;
            };
            let transfer = transfers.iter().find(|transfer| transfer.name == snapshot.name);
            let mut replica = replica_of(&target, suffix, snapshot, transfer)?;
            if replica.is_complete() {
                replica.volumes = volumes.remove(suffix).unwrap_or_default();
            }
            replicas.push(replica);
        }
        replicas.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.suffix.cmp(&a.suffix)));
        Ok(replicas)
    }

    /// An array that is out of reach doesn't save the other one's snapshot. One that is still on its way shows on
    /// the target only when it arrives: it is waited for, as nobody looks for it later.
    pub(super) async fn drop_snapshot(&self, pair: &ArrayPair, group: &str, suffix: &str) -> PortResult<()> {
        names::check_group(group)?;
        names::check_suffix(suffix)?;
        let name = format!("{group}.{suffix}");
        let at_source = match self.handle(&pair.source) {
            Ok(source) => withdraw(&source, &name).await,
            Err(error) => Err(error),
        };
        let on_its_way = *at_source.as_ref().unwrap_or(&false);
        let target = self.handle(&pair.target)?;
        let at_target = match self.source_name(pair, &target, group).await {
            Ok(source_name) => {
                self.destroy_arrival(&target, &names::on_target(&source_name, &name), on_its_way)
                    .await
            }
            Err(error) => Err(error),
        };
        at_source.map(drop).and(at_target)
    }

    async fn destroy_arrival(&self, target: &fa::Array, name: &str, on_its_way: bool) -> PortResult<()> {
        let end = Instant::now() + ARRIVAL;
        while !destroy(target, name).await? && on_its_way {
            if Instant::now() >= end {
                tracing::warn!(
                    array = target.host(),
                    snapshot = name,
                    "a snapshot that is not wanted any more did not arrive; if it does, it stays until its retention ends"
                );
                break;
            }
            tokio::time::sleep(LOOK.min(self.config.announce_poll)).await;
        }
        Ok(())
    }
}

fn below<'a>(group: &str, name: &'a str) -> Option<&'a str> {
    name.strip_prefix(group)?.strip_prefix('.')
}

/// Whether a snapshot is there already. One that was destroyed keeps its name.
async fn taken(source: &fa::Array, name: &str) -> PortResult<bool> {
    let what = format!("look for the snapshot {name}");
    match source.group_snapshot(name).await.explain(source, what)? {
        None => Ok(false),
        Some(snapshot) if snapshot.is_destroyed() => Err(conflict(format!(
            "The snapshot {name} on the array {} has been destroyed and keeps its name until it is eradicated.",
            source.host()
        ))),
        Some(_) => Ok(true),
    }
}

/// Destroys it where it was taken; whether it may still be on its way to the target.
async fn withdraw(source: &fa::Array, name: &str) -> PortResult<bool> {
    let what = format!("say how far the snapshot {name} has come");
    let transfer = source.transfer(name).await.explain(source, what)?;
    let has_arrived = transfer.is_some_and(|transfer| transfer.completed.is_some());
    Ok(destroy(source, name).await? && !has_arrived)
}

/// Whether it was there, destroyed or not.
async fn destroy(array: &fa::Array, name: &str) -> PortResult<bool> {
    let what = format!("destroy the snapshot {name}");
    match array.group_snapshot(name).await.explain(array, &what)? {
        None => return Ok(false),
        Some(snapshot) if snapshot.is_destroyed() => return Ok(true),
        Some(_) => {}
    }
    match array.destroy_group_snapshot(name).await {
        Err(error) if matches!(error.kind, Fa::NotFound | Fa::Destroyed) => Ok(true),
        other => other.explain(array, what).map(|()| true),
    }
}

/// The volumes are left to be filled in.
fn replica_of(
    target: &fa::Array,
    suffix: &str,
    snapshot: &GroupSnapshot,
    transfer: Option<&Transfer>,
) -> PortResult<Replica> {
    let created = snapshot.created.and_then(time).ok_or_else(|| {
        let message = format!(
            "The array {} doesn't say when the snapshot {} was taken.",
            target.host(),
            snapshot.name
        );
        PortError::permanent(Kind::Protocol, message)
    })?;
    let progress = transfer.and_then(|transfer| transfer.progress).unwrap_or(0.0);
    Ok(Replica {
        suffix: suffix.to_owned(),
        created,
        progress: if progress.is_finite() {
            progress.clamp(0.0, 1.0)
        } else {
            0.0
        },
        completed: transfer.and_then(|transfer| transfer.completed).and_then(time),
        volumes: Vec::new(),
    })
}

fn time(ms: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(ms).ok()?)
}
