//! Looking at a protection group, changing its members, switching it, taking it away.

use std::collections::HashSet;

use protector_flasharray as fa;
use protector_flasharray::{GroupPatch, Kind as Fa, SchedulePatch};
use protector_ports::array::{ArrayAccess, ArrayPair, GroupView};
use protector_ports::{Kind, PortError, PortResult};

use super::PureDriver;
use crate::failure::{Explain, conflict};
use crate::names;

/// How often a change of members is begun anew because someone else made it meanwhile.
const MEMBER_TRIES: u32 = 3;

fn not_there(array: &fa::Array, group: &str) -> PortError {
    let message = format!("The array {} has no protection group {group}.", array.host());
    PortError::permanent(Kind::NotFound, message)
}

impl PureDriver {
    /// As the source has it; as the target has it while the source is out of reach.
    pub(super) async fn view_group(&self, pair: &ArrayPair, name: &str) -> PortResult<Option<GroupView>> {
        names::check_group(name)?;
        match self.at_source(pair, name).await {
            Err(error) if error.is(Kind::Unavailable) => {
                tracing::debug!(group = name, %error, "asking the target about a group");
                // What a target doesn't know of may be there all the same.
                match self.at_target(pair, name).await {
                    Ok(Some(view)) => Ok(Some(view)),
                    Ok(None) | Err(_) => Err(error),
                }
            }
            other => other,
        }
    }

    async fn at_source(&self, pair: &ArrayPair, name: &str) -> PortResult<Option<GroupView>> {
        let source = self.handle(&pair.source)?;
        let what = format!("show the protection group {name}");
        let Some(group) = source.group(name).await.explain(&source, &what)? else {
            return Ok(None);
        };
        if group.is_destroyed() || !group.is_local() {
            return Ok(None);
        }
        let members = source.group_volumes(name).await.explain(&source, &what)?;
        let targets = source.group_targets(name).await.explain(&source, &what)?;
        let target_name = self.name_if_known(&pair.target).await?;
        let target = pick(&targets, target_name.as_deref());
        Ok(Some(GroupView {
            name: name.to_owned(),
            volumes: members.into_iter().map(|item| item.member.name).collect(),
            schedule_enabled: group.is_scheduled(),
            allowed: target.and_then(|target| target.allowed).unwrap_or(false),
        }))
    }

    async fn at_target(&self, pair: &ArrayPair, name: &str) -> PortResult<Option<GroupView>> {
        let target = self.handle(&pair.target)?;
        let source_name = self.source_name(pair, &target, name).await?;
        let remote = names::on_target(&source_name, name);
        let what = format!("show the protection group {remote}");
        let Some(group) = target.group(&remote).await.explain(&target, &what)? else {
            return Ok(None);
        };
        if group.is_destroyed() {
            return Ok(None);
        }
        let members = target.group_volumes(&remote).await.explain(&target, &what)?;
        let targets = target.group_targets(&remote).await.explain(&target, &what)?;
        Ok(Some(GroupView {
            name: name.to_owned(),
            volumes: members
                .iter()
                .map(|item| names::at_home(&source_name, &item.member.name).to_owned())
                .collect(),
            schedule_enabled: group.is_scheduled(),
            allowed: targets.iter().any(|target| target.allowed == Some(true)),
        }))
    }

    /// Stops the group; empties and destroys it too if it is ours. What the target has received stays there.
    pub(super) async fn take_group_away(
        &self,
        pair: &ArrayPair,
        name: &str,
        made_by_us: bool,
    ) -> PortResult<()> {
        names::check_group(name)?;
        let source = self.handle(&pair.source)?;
        let what = format!("look for the protection group {name}");
        let Some(group) = source.group(name).await.explain(&source, what)? else {
            return Ok(());
        };
        if group.is_destroyed() {
            return Ok(());
        }
        if !group.is_local() {
            let message = format!(
                "The protection group {name} on the array {} is the replica of another array's.",
                source.host()
            );
            return Err(conflict(message));
        }
        if group.is_scheduled() {
            self.switch_schedule(&pair.source, name, false).await?;
        }
        let what = format!("list the targets of the protection group {name}");
        let targets = source.group_targets(name).await.explain(&source, what)?;
        if !targets.is_empty() {
            let target_name = self.name_if_known(&pair.target).await?;
            let ours = pick(&targets, target_name.as_deref())
                .and_then(|target| target.member.as_ref()?.name.as_deref());
            match ours {
                Some(ours) => {
                    let what = format!("stop replicating the protection group {name} to {ours}");
                    source
                        .remove_group_target(name, ours)
                        .await
                        .explain(&source, what)?;
                }
                None if target_name.is_none() => {
                    return Err(PortError::retryable(format!(
                        "The protection group {name} on the array {} has several targets, and the array at {} is out \
                         of reach and can't say which of them it is.",
                        source.host(),
                        pair.target.url
                    )));
                }
                None => {}
            }
        }
        if !made_by_us {
            return Ok(());
        }
        let what = format!("empty the protection group {name}");
        let members = source.group_volumes(name).await.explain(&source, what)?;
        let volumes: Vec<String> = members.into_iter().map(|item| item.member.name).collect();
        self.take_out(&source, name, volumes).await?;
        let destroy = GroupPatch {
            destroyed: Some(true),
            ..GroupPatch::default()
        };
        match source.patch_group(name, &destroy).await {
            Err(error) if matches!(error.kind, Fa::NotFound | Fa::Destroyed) => Ok(()),
            other => other.explain(&source, format!("destroy the protection group {name}")),
        }
    }

    pub(super) async fn add_members(
        &self,
        access: &ArrayAccess,
        group: &str,
        volumes: &[String],
    ) -> PortResult<()> {
        names::check_group(group)?;
        volumes
            .iter()
            .try_for_each(|volume| names::check_volume(volume))?;
        let source = self.handle(access)?;
        let what = format!("add volumes to the protection group {group}");
        let mut tries = 0;
        loop {
            self.live_group(&source, group).await?;
            let members = source.group_volumes(group).await.explain(&source, &what)?;
            let members: HashSet<&str> = members.iter().map(|item| item.member.name.as_str()).collect();
            let missing: Vec<String> = volumes
                .iter()
                .filter(|volume| !members.contains(volume.as_str()))
                .cloned()
                .collect();
            tries += 1;
            match source.add_group_volumes(group, &missing).await {
                Err(error) if error.is(Fa::Already) && tries < MEMBER_TRIES => {}
                other => return other.explain(&source, what),
            }
        }
    }

    pub(super) async fn remove_members(
        &self,
        access: &ArrayAccess,
        group: &str,
        volumes: &[String],
    ) -> PortResult<()> {
        names::check_group(group)?;
        let source = self.handle(access)?;
        let what = format!("look for the protection group {group}");
        match source.group(group).await.explain(&source, &what)? {
            None => return Ok(()),
            Some(found) if found.is_destroyed() => return Ok(()),
            Some(_) => {}
        }
        let members = source.group_volumes(group).await.explain(&source, &what)?;
        let present = members
            .into_iter()
            .map(|item| item.member.name)
            .filter(|name| volumes.contains(name))
            .collect();
        self.take_out(&source, group, present).await
    }

    async fn take_out(&self, source: &fa::Array, group: &str, volumes: Vec<String>) -> PortResult<()> {
        let what = format!("take volumes out of the protection group {group}");
        let mut left = volumes;
        for _ in 1..MEMBER_TRIES {
            match source.remove_group_volumes(group, &left).await {
                // Someone else took one of them out meanwhile.
                Err(error) if error.is(Fa::NotMember) => {}
                other => return other.explain(source, what),
            }
            let members = source.group_volumes(group).await.explain(source, &what)?;
            left.retain(|volume| members.iter().any(|item| item.member.name == *volume));
        }
        source
            .remove_group_volumes(group, &left)
            .await
            .explain(source, what)
    }

    pub(super) async fn switch_schedule(
        &self,
        access: &ArrayAccess,
        group: &str,
        enabled: bool,
    ) -> PortResult<()> {
        names::check_group(group)?;
        let source = self.handle(access)?;
        let found = self.live_group(&source, group).await?;
        if found.is_scheduled() == enabled {
            return Ok(());
        }
        if found.is_ratcheted() && !enabled {
            return Err(conflict(format!(
                "The protection group {group} on the array {} is locked by SafeMode (ratcheted): its schedule can't be \
                 switched off.",
                source.host()
            )));
        }
        let patch = GroupPatch {
            replication_schedule: Some(SchedulePatch {
                enabled: Some(enabled),
                frequency: None,
            }),
            ..GroupPatch::default()
        };
        let switch = if enabled { "on" } else { "off" };
        let what = format!("switch the replication schedule of the protection group {group} {switch}");
        source.patch_group(group, &patch).await.explain(&source, what)
    }

    pub(super) async fn switch_allowed(
        &self,
        access: &ArrayAccess,
        source_name: &str,
        group: &str,
        allowed: bool,
    ) -> PortResult<()> {
        names::check_group(group)?;
        let target = self.handle(access)?;
        let remote = names::on_target(source_name, group);
        let what = format!(
            "{} the protection group {remote}",
            if allowed { "accept" } else { "refuse" }
        );
        match target.group(&remote).await.explain(&target, &what)? {
            Some(found) if !found.is_destroyed() => {}
            // What isn't there can't be sent to.
            _ if !allowed => return Ok(()),
            _ => return Err(not_there(&target, &remote)),
        }
        let targets = target.group_targets(&remote).await.explain(&target, &what)?;
        if !targets.is_empty() && targets.iter().all(|target| target.allowed == Some(allowed)) {
            return Ok(());
        }
        target
            .set_group_allowed(&remote, allowed)
            .await
            .explain(&target, what)
    }

    /// A group of the array itself that isn't destroyed.
    pub(super) async fn live_group(
        &self,
        source: &fa::Array,
        group: &str,
    ) -> PortResult<fa::ProtectionGroup> {
        let what = format!("look for the protection group {group}");
        match source.group(group).await.explain(source, what)? {
            Some(found) if found.is_destroyed() => Err(PortError::permanent(
                Kind::NotFound,
                format!(
                    "The protection group {group} on the array {} has been destroyed.",
                    source.host()
                ),
            )),
            Some(found) if found.is_local() => Ok(found),
            _ => Err(not_there(source, group)),
        }
    }
}

/// The target of this name; while the name isn't known, the only one there is.
pub(super) fn pick<'a>(targets: &'a [fa::GroupTarget], name: Option<&str>) -> Option<&'a fa::GroupTarget> {
    match (name, targets) {
        (Some(name), _) => targets
            .iter()
            .find(|target| target.member.as_ref().and_then(|member| member.name.as_deref()) == Some(name)),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}
