//! Making a protection group, or taking over one that is there.
//!
//! Nothing on an array says who made a group. What we make gets a retention that nobody else gives, and by it a
//! later try knows its own work; all else counts as found and is never destroyed by us. A found group is looked
//! at before anything about it is changed.

use std::time::Duration;

use protector_flasharray as fa;
use protector_flasharray::{GroupPatch, Kind as Fa, ProtectionGroup, Retention, SchedulePatch};
use protector_ports::array::{Adopted, ArrayPair, GroupSpec};
use protector_ports::{Kind, PortError, PortResult};
use tokio::time::Instant;

use super::PureDriver;
use super::pair::Ends;
use crate::failure::{Explain, conflict};
use crate::names;

/// The target keeps all of a day, then four of each day for a week.
const TARGET_RETENTION: Retention = Retention {
    all_for_sec: Some(86_400),
    per_day: Some(4),
    days: Some(7),
};
/// The source keeps at least this many seconds; the snapshots serve nothing but the next transfer.
const SOURCE_KEEPS: u64 = 7_200;
/// The longest period that an array takes.
const MAX_INTERVAL_SECONDS: u64 = 34_560_000;

/// The first pause between two looks at what arrays tell each other.
const FIRST_LOOK: Duration = Duration::from_millis(200);

impl PureDriver {
    pub(super) async fn ensure(
        &self,
        pair: &ArrayPair,
        spec: &GroupSpec,
        expected: &[String],
    ) -> PortResult<Adopted> {
        names::check_group(&spec.name)?;
        let interval = self.interval(spec)?;
        let ends = self.connected(pair).await?;
        let adopted = self.make_or_find(&ends, spec, interval, expected).await?;

        let group = spec.name.as_str();
        let what = format!("replicate the protection group {group} to {}", ends.target_name);
        let targets = ends
            .source
            .group_targets(group)
            .await
            .explain(&ends.source, &what)?;
        if !targets.iter().any(|target| is(target, &ends.target_name)) {
            ends.source
                .add_group_target(group, &ends.target_name)
                .await
                .explain(&ends.source, &what)?;
        }
        self.accept(&ends, group).await?;
        self.wait_until_allowed(&ends, group).await?;
        self.switch_schedule(&pair.source, group, true).await?;
        Ok(adopted)
    }

    /// Milliseconds.
    fn interval(&self, spec: &GroupSpec) -> PortResult<u64> {
        let (seconds, least) = (spec.interval_seconds, self.config.min_interval_seconds.max(1));
        if (least..=MAX_INTERVAL_SECONDS).contains(&seconds) {
            return Ok(seconds * 1000);
        }
        let message = format!(
            "A replication interval of {seconds} seconds is impossible: FlashArrays take {least} to \
             {MAX_INTERVAL_SECONDS} seconds."
        );
        Err(PortError::permanent(Kind::Invalid, message))
    }

    async fn make_or_find(
        &self,
        ends: &Ends,
        spec: &GroupSpec,
        interval: u64,
        expected: &[String],
    ) -> PortResult<Adopted> {
        let (source, name) = (&ends.source, spec.name.as_str());
        let what = format!("look for the protection group {name}");
        if let Some(found) = source.group(name).await.explain(source, &what)? {
            return self.find(ends, &found, interval, expected).await;
        }
        match source.create_group(name).await {
            Ok(()) => set_up(source, name, interval).await,
            // It wasn't there a moment ago: if it is now, the call that got no answer made it. A later try could
            // not know that, as the group doesn't look like ours yet.
            Err(error) if error.is(Fa::Ambiguous) => match source.group(name).await {
                Ok(Some(found)) if !found.is_destroyed() => {
                    self.check_found(source, &found, expected).await?;
                    set_up(source, name, interval).await
                }
                Ok(_) | Err(_) => Err(error).explain(source, format!("make the protection group {name}")),
            },
            // Someone was faster, perhaps an earlier try of ours.
            Err(error) if matches!(error.kind, Fa::Exists | Fa::Destroyed) => {
                match source.group(name).await.explain(source, &what)? {
                    Some(found) => self.find(ends, &found, interval, expected).await,
                    None => Err(error).explain(source, format!("make the protection group {name}")),
                }
            }
            Err(error) => Err(error).explain(source, format!("make the protection group {name}")),
        }
    }

    /// Takes a group over if it may be, bringing it back where it was destroyed.
    async fn find(
        &self,
        ends: &Ends,
        found: &ProtectionGroup,
        interval: u64,
        expected: &[String],
    ) -> PortResult<Adopted> {
        let (source, name) = (&ends.source, found.name.as_str());
        self.check_found(source, found, expected).await?;
        let what = format!("list the targets of the protection group {name}");
        let targets = source.group_targets(name).await.explain(source, what)?;
        let only_ours = targets.iter().all(|target| is(target, &ends.target_name));
        let made = is_ours(found) && only_ours;
        if found.is_destroyed() {
            tracing::info!(
                array = source.host(),
                group = name,
                "bringing a destroyed protection group back"
            );
            let recover = GroupPatch {
                destroyed: Some(false),
                ..GroupPatch::default()
            };
            let what = format!("bring the destroyed protection group {name} back");
            source.patch_group(name, &recover).await.explain(source, what)?;
        }
        if found.frequency() != Some(interval) {
            let patch = if made {
                GroupPatch {
                    replication_schedule: Some(SchedulePatch {
                        frequency: Some(interval),
                        enabled: None,
                    }),
                    ..ours(interval)
                }
            } else {
                GroupPatch {
                    replication_schedule: Some(SchedulePatch {
                        frequency: Some(interval),
                        enabled: None,
                    }),
                    ..GroupPatch::default()
                }
            };
            let what = format!("set the replication interval of the protection group {name}");
            source.patch_group(name, &patch).await.explain(source, what)?;
        }
        Ok(if made { Adopted::Made } else { Adopted::Found })
    }

    /// Why a group that is there can't be used, if so.
    async fn check_found(
        &self,
        source: &fa::Array,
        found: &ProtectionGroup,
        expected: &[String],
    ) -> PortResult<()> {
        let (host, name) = (source.host(), found.name.as_str());
        if !found.is_local() {
            return Err(conflict(format!(
                "The protection group {name} on the array {host} is the replica of another array's."
            )));
        }
        if found.is_ratcheted() {
            return Err(conflict(format!(
                "The protection group {name} on the array {host} is locked by SafeMode (ratcheted): its schedule and \
                 members can't be changed, which failover needs."
            )));
        }
        if found.host_count.unwrap_or(0) + found.host_group_count.unwrap_or(0) > 0 {
            return Err(conflict(format!(
                "The protection group {name} on the array {host} holds hosts and so takes no volumes."
            )));
        }
        let what = format!("list the volumes of the protection group {name}");
        let members = source.group_volumes(name).await.explain(source, what)?;
        let foreign: Vec<&str> = members
            .iter()
            .map(|item| &item.member)
            .filter(|member| !member.destroyed.unwrap_or(false) && !expected.contains(&member.name))
            .map(|member| member.name.as_str())
            .collect();
        if foreign.is_empty() {
            return Ok(());
        }
        let shown = foreign.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        let more = if foreign.len() > 5 {
            format!(" and {} more", foreign.len() - 5)
        } else {
            String::new()
        };
        let state = if found.is_destroyed() {
            ", which is destroyed and keeps its name until it is eradicated,"
        } else {
            ""
        };
        Err(conflict(format!(
            "The protection group {name} on the array {host}{state} holds volumes that are not of this group: \
             {shown}{more}. It stays as it is; choose another name or take them out."
        )))
    }

    /// Has the target accept what the group sends, as soon as it has heard of it.
    async fn accept(&self, ends: &Ends, group: &str) -> PortResult<()> {
        let (target, name) = (&ends.target, ends.on_target(group));
        let mut looks = Looks::new(self);
        let found = loop {
            let what = format!("look for the protection group {name}");
            if let Some(found) = target.group(&name).await.explain(target, what)? {
                break found;
            }
            if !looks.again().await {
                return Err(PortError::retryable(format!(
                    "The protection group {name} has not shown up on the array {} within {} seconds.",
                    target.host(),
                    self.config.announce_wait.as_secs()
                )));
            }
        };
        if found.is_destroyed() {
            let recover = GroupPatch {
                destroyed: Some(false),
                ..GroupPatch::default()
            };
            let what = format!("bring the destroyed replica {name} back");
            target.patch_group(&name, &recover).await.explain(target, what)?;
        }
        let what = format!("accept the protection group {name}");
        let targets = target.group_targets(&name).await.explain(target, &what)?;
        if targets.iter().any(|target| target.allowed == Some(true)) {
            return Ok(());
        }
        target.set_group_allowed(&name, true).await.explain(target, what)
    }

    async fn wait_until_allowed(&self, ends: &Ends, group: &str) -> PortResult<()> {
        let mut looks = Looks::new(self);
        loop {
            let what = format!("list the targets of the protection group {group}");
            let targets = ends
                .source
                .group_targets(group)
                .await
                .explain(&ends.source, what)?;
            let ours = targets.iter().find(|target| is(target, &ends.target_name));
            if ours.is_some_and(|target| target.allowed == Some(true)) {
                return Ok(());
            }
            if !looks.again().await {
                return Err(PortError::retryable(format!(
                    "The array {} has not learnt within {} seconds that {} accepts the protection group {group}.",
                    ends.source.host(),
                    self.config.announce_wait.as_secs(),
                    ends.target_name
                )));
            }
        }
    }
}

/// Looking again and again, in growing steps, until the time is up.
struct Looks {
    until: Instant,
    pause: Duration,
    longest: Duration,
}

impl Looks {
    fn new(driver: &PureDriver) -> Self {
        Self {
            until: Instant::now() + driver.config.announce_wait,
            pause: FIRST_LOOK.min(driver.config.announce_poll),
            longest: driver.config.announce_poll,
        }
    }

    /// Waits; says whether there is time for another look.
    async fn again(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.until {
            return false;
        }
        tokio::time::sleep_until((now + self.pause).min(self.until)).await;
        self.pause = (self.pause * 2).min(self.longest);
        true
    }
}

fn is(target: &fa::GroupTarget, name: &str) -> bool {
    target.member.as_ref().and_then(|member| member.name.as_deref()) == Some(name)
}

/// Gives a group that was just made the look of ours.
async fn set_up(source: &fa::Array, name: &str, interval: u64) -> PortResult<Adopted> {
    let patch = ours(interval);
    let done = match source.patch_group(name, &patch).await {
        // Saying it twice is the same as saying it once.
        Err(error) if error.is(Fa::Ambiguous) => source.patch_group(name, &patch).await,
        other => other,
    };
    done.explain(source, format!("set up the protection group {name}"))?;
    Ok(Adopted::Made)
}

/// How a group of ours is set up; the schedule is switched on last, when the target accepts.
fn ours(interval: u64) -> GroupPatch {
    GroupPatch {
        destroyed: None,
        replication_schedule: Some(SchedulePatch {
            frequency: Some(interval),
            enabled: Some(false),
        }),
        source_retention: Some(Retention {
            all_for_sec: Some(SOURCE_KEEPS.max(interval / 500).min(MAX_INTERVAL_SECONDS)),
            per_day: Some(0),
            days: Some(0),
        }),
        target_retention: Some(TARGET_RETENTION),
    }
}

/// By the retention that [`ours`] gives; the time that the source keeps all depends on the interval.
fn is_ours(found: &ProtectionGroup) -> bool {
    let source = found.source_retention.is_some_and(|kept| {
        (kept.per_day, kept.days) == (Some(0), Some(0)) && kept.all_for_sec >= Some(SOURCE_KEEPS)
    });
    source && found.target_retention == Some(TARGET_RETENTION)
}
