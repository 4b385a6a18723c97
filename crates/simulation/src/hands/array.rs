//! The arrays' answers, by the verbs of the port.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use protector_ports::array::*;
use protector_ports::{Array, PortError, PortResult};

use super::{Hands, conflict, not_found};
use crate::planted::Bug;
use crate::sim::{Sim, attempt};
use crate::weather::Place;
use crate::world::array::{Group, Incoming, Snapshot, Volume};
use crate::world::{ARRAYS, Change, Side, date};

/// Arrays are known by their address.
pub fn url(side: Side) -> String {
    format!("https://{}", ARRAYS[side])
}

fn side(access: &ArrayAccess) -> Side {
    usize::from(access.url == url(1))
}

fn at(access: &ArrayAccess) -> Place {
    Place::Array(side(access))
}

fn shown(name: &str, volume: &Volume) -> ArrayVolume {
    ArrayVolume {
        name: name.to_owned(),
        id: volume.serial.clone(),
        serial: volume.serial.clone(),
        size_bytes: 1 << 30,
        destroyed: volume.destroyed,
        connections: u64::from(volume.writer.is_some()),
    }
}

fn replica(suffix: &str, snapshot: &Snapshot, all_complete: bool) -> Replica {
    let complete = snapshot.completed.is_some() || all_complete;
    Replica {
        suffix: suffix.to_owned(),
        created: date(snapshot.created),
        progress: if complete { 1.0 } else { 0.5 },
        completed: complete.then(|| date(snapshot.completed.unwrap_or(snapshot.created))),
        volumes: match complete {
            true => snapshot.content.keys().cloned().collect(),
            false => Vec::new(),
        },
    }
}

impl Sim {
    /// What the target has of the group, by the group's name on the source.
    fn incoming(&mut self, target: Side, group: &str) -> &mut Incoming {
        let all = &mut self.world.arrays[target].incoming;
        all.entry(group.to_owned()).or_default()
    }

    fn group_of(&mut self, side: Side, name: &str) -> PortResult<&mut Group> {
        match self.world.arrays[side].groups.get_mut(name) {
            Some(group) if !group.destroyed => Ok(group),
            _ => not_found(&format!("protection group {name}")),
        }
    }

    fn reachable(&mut self, place: Place) -> PortResult<()> {
        let out = self.is_out_of_reach(place);
        if out {
            self.books.blame(attempt().as_ref(), place, "out of reach");
        }
        match out {
            true => Err(PortError::retryable(format!(
                "{} is out of reach {}",
                place.name(),
                super::INJECTED
            ))),
            false => Ok(()),
        }
    }

    fn ensure(&mut self, pair: &ArrayPair, spec: &GroupSpec, expected: &[String]) -> PortResult<Adopted> {
        let source = side(&pair.source);
        let groups = &mut self.world.arrays[source].groups;
        let found = groups.get(&spec.name);
        let foreign =
            found.is_some_and(|group| group.volumes.iter().any(|volume| !expected.contains(volume)));
        if foreign {
            return conflict(format!(
                "The protection group {} holds volumes of others.",
                spec.name
            ));
        }
        let ours = found.is_none_or(|group| group.ours);
        let began = found.is_some_and(|group| group.replicates);
        let group = groups.entry(spec.name.clone()).or_default();
        group.ours = ours;
        group.destroyed = false;
        group.interval = Duration::from_secs(spec.interval_seconds);
        group.replicates = true;
        group.scheduled = true;
        self.incoming(1 - source, &spec.name).allowed = true;
        if !began {
            let when = self.world.now + Duration::from_secs(5);
            self.world.at(when, Change::Scheduled(source, spec.name.clone()));
        }
        Ok(if ours { Adopted::Made } else { Adopted::Found })
    }

    fn clone_of(
        &mut self,
        target: Side,
        group: &str,
        suffix: &str,
        volume: &str,
        name: &str,
        mark: &Mark,
    ) -> PortResult<ArrayVolume> {
        let array = &mut self.world.arrays[target];
        let marked = |found: &Volume| found.mark.as_ref() == Some(mark);
        let there = array.volumes.get(name).map(marked);
        let by_mark = array.volumes.iter().find(|(_, found)| marked(found));
        match (there, by_mark) {
            (Some(false), _) => return conflict(format!("The volume {name} is another's.")),
            (Some(true), _) => {}
            (None, Some((name, found))) => return Ok(shown(name, found)),
            (None, None) => {}
        }
        let snapshot = array
            .incoming
            .get(group)
            .and_then(|incoming| incoming.snapshots.get(suffix))
            .filter(|snapshot| !snapshot.destroyed);
        let Some(snapshot) = snapshot else {
            return not_found(&format!("snapshot {group}.{suffix}"));
        };
        let Some(content) = snapshot.content.get(volume).copied() else {
            return not_found(&format!("volume {volume} in the snapshot {group}.{suffix}"));
        };
        let (complete, taken) = (snapshot.completed.is_some(), snapshot.created);
        if there == Some(true) {
            if let Some(found) = array.volumes.get_mut(name)
                && found.destroyed
            {
                found.destroyed = false;
                found.data = content;
                found.base = Some(content);
            }
        } else {
            array.add(name, content, Some(content));
            if let Some(found) = array.volumes.get_mut(name) {
                found.mark = Some(mark.clone());
            }
        }
        let made = array.volumes.get(name).map(|found| shown(name, found));
        self.note(format!("clone {name} of {group}.{suffix}"));
        self.books.made(name);
        self.watch_clone(target, group, suffix, complete, taken, mark);
        made.ok_or_else(|| PortError::retryable("The clone is gone."))
    }
}

#[async_trait]
impl Array for Hands {
    async fn identity(&self, array: &ArrayAccess) -> PortResult<ArrayIdentity> {
        let name = ARRAYS[side(array)].to_owned();
        let identity = ArrayIdentity {
            id: format!("id-{name}"),
            name,
            version: "6.4".to_owned(),
        };
        self.call(at(array), "identity", false, |_| Ok(identity)).await
    }

    async fn check_connection(&self, pair: &ArrayPair) -> PortResult<()> {
        let target = at(&pair.target);
        self.call(at(&pair.source), "connection", false, |sim| sim.reachable(target))
            .await
    }

    async fn ensure_group(
        &self,
        pair: &ArrayPair,
        spec: &GroupSpec,
        expected: &[String],
    ) -> PortResult<Adopted> {
        let target = at(&pair.target);
        let act = |sim: &mut Sim| {
            sim.reachable(target)?;
            let done = sim.ensure(pair, spec, expected);
            sim.note(format!("ensure group {}: {done:?}", spec.name));
            done
        };
        self.call(at(&pair.source), "ensure group", true, act).await
    }

    async fn group(&self, pair: &ArrayPair, name: &str) -> PortResult<Option<GroupView>> {
        let (source, target) = (side(&pair.source), side(&pair.target));
        let act = |sim: &mut Sim| {
            let allowed = sim.incoming(target, name).allowed;
            Ok(sim.group_of(source, name).ok().map(|group| GroupView {
                name: name.to_owned(),
                volumes: group.volumes.iter().cloned().collect(),
                schedule_enabled: group.scheduled,
                allowed: allowed && group.replicates,
            }))
        };
        self.call(at(&pair.source), "show group", false, act).await
    }

    async fn remove_group(&self, pair: &ArrayPair, name: &str, made_by_us: bool) -> PortResult<()> {
        let source = side(&pair.source);
        let act = |sim: &mut Sim| {
            sim.note(format!("remove group {name}"));
            if let Ok(group) = sim.group_of(source, name) {
                group.scheduled = false;
                group.replicates = false;
                if made_by_us {
                    group.volumes.clear();
                    group.destroyed = true;
                }
            }
            Ok(())
        };
        self.call(at(&pair.source), "remove group", true, act).await
    }

    async fn add_volumes(&self, source: &ArrayAccess, group: &str, volumes: &[String]) -> PortResult<()> {
        let side = side(source);
        let act = |sim: &mut Sim| {
            let there = &sim.world.arrays[side].volumes;
            if let Some(missing) = volumes.iter().find(|volume| !there.contains_key(*volume)) {
                return not_found(&format!("volume {missing}"));
            }
            let volumes: BTreeSet<String> = volumes.iter().cloned().collect();
            sim.group_of(side, group)?.volumes.extend(volumes);
            Ok(())
        };
        self.call(at(source), "add volumes", true, act).await
    }

    async fn remove_volumes(&self, source: &ArrayAccess, group: &str, volumes: &[String]) -> PortResult<()> {
        let side = side(source);
        let act = |sim: &mut Sim| {
            if let Ok(found) = sim.group_of(side, group) {
                found.volumes.retain(|volume| !volumes.contains(volume));
            }
            Ok(())
        };
        self.call(at(source), "remove volumes", true, act).await
    }

    async fn snapshot(&self, pair: &ArrayPair, group: &str, suffix: &str) -> PortResult<()> {
        let source = side(&pair.source);
        let act = |sim: &mut Sim| {
            let allowed = sim.incoming(1 - source, group).allowed;
            let found = sim.group_of(source, group)?;
            match found.snapshots.get(suffix) {
                Some(taken) if taken.destroyed => return conflict("The snapshot was destroyed."),
                Some(_) => return Ok(()),
                None if !allowed || !found.replicates => {
                    return conflict("The target does not accept the group.");
                }
                None => {}
            }
            sim.note(format!("snapshot {group}.{suffix}"));
            sim.world.take_snapshot(source, group, suffix, &mut sim.chance);
            Ok(())
        };
        self.call(at(&pair.source), "snapshot", true, act).await
    }

    async fn replica(&self, pair: &ArrayPair, group: &str, suffix: &str) -> PortResult<Option<Replica>> {
        let target = side(&pair.target);
        let act = |sim: &mut Sim| {
            let hasty = sim.is(Bug::SnapshotNotAwaited);
            let Some(snapshot) = sim.incoming(target, group).snapshots.get(suffix) else {
                return Ok(None);
            };
            if snapshot.destroyed {
                return not_found(&format!("snapshot {group}.{suffix}"));
            }
            Ok(Some(replica(suffix, snapshot, hasty)))
        };
        self.call(at(&pair.target), "show replica", false, act).await
    }

    async fn sender(&self, target: &ArrayAccess, group: &str) -> PortResult<String> {
        let side = side(target);
        let act = |sim: &mut Sim| match sim.world.arrays[side].incoming.contains_key(group) {
            true => Ok(ARRAYS[1 - side].to_owned()),
            false => Err(PortError::retryable("Nothing has come over of that group.")),
        };
        self.call(at(target), "show sender", false, act).await
    }

    async fn replicas(&self, target: &ArrayAccess, _: &str, group: &str) -> PortResult<Vec<Replica>> {
        let side = side(target);
        let act = |sim: &mut Sim| {
            let hasty = sim.is(Bug::IncompleteChosen);
            let snapshots = sim.incoming(side, group).snapshots.iter();
            let mut found: Vec<Replica> = snapshots
                .filter(|(_, snapshot)| !snapshot.destroyed)
                .map(|(suffix, snapshot)| replica(suffix, snapshot, hasty))
                .collect();
            found.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.suffix.cmp(&a.suffix)));
            Ok(found)
        };
        self.call(at(target), "list replicas", false, act).await
    }

    async fn remove_snapshot(&self, pair: &ArrayPair, group: &str, suffix: &str) -> PortResult<()> {
        let (source, target) = (side(&pair.source), side(&pair.target));
        let place = at(&pair.target);
        let act = |sim: &mut Sim| {
            sim.note(format!("remove snapshot {group}.{suffix}"));
            if let Some(found) = sim.world.arrays[source].groups.get_mut(group)
                && let Some(snapshot) = found.snapshots.get_mut(suffix)
            {
                snapshot.destroyed = true;
            }
            sim.reachable(place)?;
            if let Some(snapshot) = sim.incoming(target, group).snapshots.get_mut(suffix) {
                snapshot.destroyed = true;
            }
            Ok(())
        };
        self.call(at(&pair.source), "remove snapshot", true, act).await
    }

    async fn set_schedule(&self, source: &ArrayAccess, group: &str, enabled: bool) -> PortResult<()> {
        let side = side(source);
        let act = |sim: &mut Sim| {
            if enabled || !sim.is(Bug::ScheduleNotStopped) {
                sim.group_of(side, group)?.scheduled = enabled;
            }
            Ok(())
        };
        self.call(at(source), "set schedule", true, act).await
    }

    async fn set_allowed(&self, target: &ArrayAccess, _: &str, group: &str, allowed: bool) -> PortResult<()> {
        let side = side(target);
        let act = |sim: &mut Sim| {
            sim.note(format!("{} allows {group}: {allowed}", ARRAYS[side]));
            if allowed || !sim.is(Bug::FenceSkipped) {
                sim.incoming(side, group).allowed = allowed;
            }
            Ok(())
        };
        self.call(at(target), "set allowed", true, act).await
    }

    async fn clone_volume(
        &self,
        pair: &ArrayPair,
        group: &str,
        suffix: &str,
        volume: &str,
        new_name: &str,
        mark: &Mark,
    ) -> PortResult<ArrayVolume> {
        let target = side(&pair.target);
        let act = |sim: &mut Sim| sim.clone_of(target, group, suffix, volume, new_name, mark);
        self.call(at(&pair.target), "clone volume", true, act).await
    }

    async fn volume(&self, array: &ArrayAccess, name: &str) -> PortResult<Option<ArrayVolume>> {
        let side = side(array);
        let act = |sim: &mut Sim| {
            let found = sim.world.arrays[side].volumes.get(name);
            Ok(found.map(|volume| shown(name, volume)))
        };
        self.call(at(array), "show array volume", false, act).await
    }

    async fn marked_volumes(
        &self,
        array: &ArrayAccess,
        operation: &str,
    ) -> PortResult<Vec<(ArrayVolume, Mark)>> {
        let side = side(array);
        let act = |sim: &mut Sim| {
            let volumes = sim.world.arrays[side].volumes.iter();
            Ok(volumes
                .filter_map(|(name, volume)| {
                    let mark = volume.mark.as_ref().filter(|mark| mark.operation == operation)?;
                    Some((shown(name, volume), mark.clone()))
                })
                .collect())
        };
        self.call(at(array), "list marked volumes", false, act).await
    }

    async fn destroy_volume(&self, array: &ArrayAccess, name: &str) -> PortResult<()> {
        let side = side(array);
        let act = |sim: &mut Sim| {
            let Some(volume) = sim.world.arrays[side].volumes.get_mut(name) else {
                return Ok(());
            };
            if volume.writer.is_some() {
                return conflict(format!("The volume {name} is connected to hosts."));
            }
            volume.destroyed = true;
            sim.books.touched(name);
            sim.note(format!("destroy {name}"));
            Ok(())
        };
        self.call(at(array), "destroy volume", true, act).await
    }

    async fn raise_flag(&self, array: &ArrayAccess, name: &str) -> PortResult<()> {
        let side = side(array);
        let act = |sim: &mut Sim| {
            sim.world.arrays[side].flags.insert(name.to_owned());
            sim.note(format!("raise flag {name}"));
            Ok(())
        };
        self.call(at(array), "raise flag", true, act).await
    }

    async fn is_flag_up(&self, array: &ArrayAccess, name: &str) -> PortResult<bool> {
        let side = side(array);
        let act = |sim: &mut Sim| Ok(sim.world.arrays[side].flags.contains(name));
        self.call(at(array), "look for flag", false, act).await
    }

    async fn lower_flag(&self, array: &ArrayAccess, name: &str) -> PortResult<()> {
        let side = side(array);
        let act = |sim: &mut Sim| {
            sim.world.arrays[side].flags.remove(name);
            sim.note(format!("lower flag {name}"));
            Ok(())
        };
        self.call(at(array), "lower flag", true, act).await
    }
}
