//! Whether the arrays and Cinder are ready for the group, and how old the data are.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use protector_domain::{Check, Finding, Preflight};
use protector_ports::array::Replica;
use protector_ports::cloud::Access;

use super::Failover;
use super::findings::{Findings, Looked, found};
use crate::failover::facts::{Facts, Recording};
use crate::failover::names::disks;
use crate::failover::unplanned::choose;
use crate::failure::{OrFail, StepResult};

impl Failover {
    /// Both arrays are up, and all volumes are in a group that the target takes.
    pub(super) async fn check_arrays(&self) -> Looked<()> {
        let pair = self.pair().await?;
        self.world.array.check_connection(&pair).await.or_fail()?;
        let name = &self.order.array_group;
        let Some(group) = self.world.array.group(&pair, name).await.or_fail()? else {
            return Err(found(
                Check::Arrays,
                format!(
                    "The array protection group '{name}' does not exist on the source array any more: it was removed by hand."
                ),
                "Recover it there while it can be recovered; else delete the protection group and make it anew.",
            ));
        };
        if !group.allowed {
            return Err(found(
                Check::Arrays,
                format!("The target array does not allow replication of '{name}'."),
                "Allow it there, then start again.",
            ));
        }
        let there: HashSet<&str> = group.volumes.iter().map(String::as_str).collect();
        let missing: Vec<&str> = disks(&self.order)
            .map(|disk| disk.volume.array_name.as_str())
            .filter(|volume| !there.contains(volume))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(found(
            Check::Arrays,
            format!(
                "The array protection group '{name}' lacks volumes of the members: {}.",
                missing.join(", ")
            ),
            "Remove these members and add them again.",
        ))
    }

    pub(super) async fn check_type_is_visible(&self, tenant: &Access, wanted: &str) -> Looked<()> {
        let visible = self.world.cloud.volume_types(tenant).await.or_fail()?;
        if visible.iter().any(|one| one.name == wanted) {
            return Ok(());
        }
        Err(found(
            Check::VolumeType,
            format!(
                "The tenant's project can't see volume type '{wanted}' at site '{}', so it can't take the volumes over.",
                tenant.site_name
            ),
            "An administrator gives it access to the type.",
        ))
    }

    pub(super) async fn volume_host(&self, service: &Access, wanted: &str) -> Looked<String> {
        let types = self.world.cloud.volume_types(service).await.or_fail()?;
        let backend = types
            .iter()
            .find(|one| one.name == wanted)
            .and_then(|one| one.extra_specs.get("volume_backend_name"));
        let pools = self.world.cloud.volume_pools(service).await.or_fail()?;
        pools
            .into_iter()
            .find(|pool| pool.up && (backend.is_none() || pool.backend_name.as_ref() == backend))
            .map(|pool| pool.name)
            .ok_or_else(|| {
                found(
                    Check::VolumeService,
                    format!(
                        "Cinder at site '{}' has no volume service that is up for volume type '{wanted}'{}.",
                        service.site_name,
                        backend.map_or_else(String::new, |name| format!(" (backend '{name}')"))
                    ),
                    "Look at `openstack volume service list` there.",
                )
            })
    }

    /// How much a planned failover will have to send: it waits for that with the servers stopped.
    pub(super) async fn look_at_replication(&self, findings: &mut Findings) -> StepResult<()> {
        let pair = self.pair().await?;
        let sender = self.sender(&pair.target).await?;
        let name = &self.order.array_group;
        let replicas = self
            .world
            .array
            .replicas(&pair.target, &sender, name)
            .await
            .or_fail()?;
        match replicas.iter().find(|replica| replica.is_complete()) {
            Some(newest) => self.judge_age(newest.created, findings).await,
            None => {
                findings.0.push(Finding::warning(
                    Check::Snapshot,
                    format!("The target array holds no complete snapshot of '{name}' yet, so the last replication sends everything while the servers are stopped."),
                    "Wait for the first replication to end.",
                ));
                Ok(())
            }
        }
    }

    /// What an unplanned failover would bring up, and whom it would find in no snapshot.
    pub(super) async fn look_at_snapshots(
        &self,
        findings: &mut Findings,
    ) -> StepResult<Option<(String, DateTime<Utc>)>> {
        let pair = self.pair().await?;
        let sender = self.sender(&pair.target).await?;
        let name = &self.order.array_group;
        let replicas: Vec<Replica> = self
            .world
            .array
            .replicas(&pair.target, &sender, name)
            .await
            .or_fail()?;
        let wanted: Vec<_> = self.order.members.iter().collect();
        let array = self.target_array().await;
        let Some(choice) = choose(&replicas, &wanted, &array) else {
            findings.0.push(Finding::blocker(
                Check::Snapshot,
                self.nothing_to_choose(&array),
                "",
            ));
            return Ok(None);
        };
        for member in &self.order.members {
            if let Some(reason) = choice.lost.get(&member.id) {
                findings.0.push(
                    Finding::blocker(Check::Snapshot, reason.clone(), "")
                        .of(member.id, &member.instance_name),
                );
            }
        }
        self.judge_age(choice.created, findings).await?;
        Ok(Some((choice.suffix, choice.created)))
    }

    /// Readiness is judged against what the policy promises.
    async fn judge_age(&self, created: DateTime<Utc>, findings: &mut Findings) -> StepResult<()> {
        let group = self.world.group(self.order.group).await?;
        let Some(minutes) = group.document.policy.and_then(|policy| policy.rpo_minutes) else {
            return Ok(());
        };
        let age = self.world.clock.now() - created;
        if age > TimeDelta::minutes(i64::try_from(minutes).unwrap_or(i64::MAX / 60_000)) {
            findings.0.push(Finding::warning(
                Check::Snapshot,
                format!(
                    "The newest complete snapshot at the target is {} minutes old, and the policy's RPO is {minutes}.",
                    age.num_minutes()
                ),
                "Look at the replication between the arrays.",
            ));
        }
        Ok(())
    }

    /// What the servers would be made like.
    pub(super) async fn look_at_records(
        &self,
        report: &mut Preflight,
        findings: &mut Findings,
    ) -> StepResult<Option<Facts>> {
        let looked = self.records().await;
        let Some(kept) = findings.note(looked)? else {
            return Ok(None);
        };
        report.facts_read_at = Some(kept.about.read_at);
        let recording = Recording::parse(&kept.facts).or_fail()?;
        let old = TimeDelta::from_std(self.world.options.facts_age * 2).unwrap_or(TimeDelta::MAX);
        let now = self.world.clock.now();
        for member in &self.order.members {
            let Some(read_at) = recording.read_at.get(&member.id) else {
                continue;
            };
            if now - *read_at > old {
                findings.0.push(
                    Finding::warning(
                        Check::Server,
                        format!(
                            "What server '{}' looks like was last read at {}; what was changed since is not known here.",
                            member.instance_name,
                            read_at.format("%Y-%m-%dT%H:%M:%SZ")
                        ),
                        "This site's protector-engine reads it by itself while the other site answers.",
                    )
                    .of(member.id, &member.instance_name),
                );
            }
        }
        Ok(Some(recording.facts))
    }
}
