//! The clouds and arrays, after every event.

use std::collections::{BTreeMap, BTreeSet};

use protector_domain::{SagaId, Work};
use protector_ports::array::Mark;

use crate::sim::{Sim, attempt};
use crate::world::array::Volume;
use crate::world::{NAMES, Side, Time};

impl Sim {
    /// After every event.
    pub fn look(&mut self) {
        if self.violation.is_some() || !std::mem::take(&mut self.books.dirty) {
            return;
        }
        let found = self
            .two_copies()
            .map(|what| ("one running copy", what))
            .or_else(|| self.managed_twice().map(|what| ("managed once", what)))
            .or_else(|| self.made_twice().map(|what| ("made once", what)))
            .or_else(|| self.two_at_once().map(|what| ("one operation", what)));
        if let Some((invariant, what)) = found {
            self.violated(invariant, what);
        }
    }

    /// Which disk a server boots from, whatever copy of it.
    fn boot_disk(&self, side: Side, volumes: &[protector_domain::VolumeId]) -> Option<u32> {
        let row = self.world.clouds[side].volumes.get(volumes.first()?)?;
        let name = row.provider_id.as_ref()?;
        Some(self.world.arrays[side].volumes.get(name)?.data.disk)
    }

    fn two_copies(&self) -> Option<String> {
        let mut running: BTreeMap<u32, String> = BTreeMap::new();
        for cloud in &self.world.clouds {
            for machine in cloud.servers.values() {
                if machine.server.status != "ACTIVE" {
                    continue;
                }
                let disk = self.boot_disk(cloud.side, &machine.volumes)?;
                let here = format!("{} at {}", machine.server.id, NAMES[cloud.side]);
                if let Some(other) = running.insert(disk, here.clone())
                    && !self.is_forced(disk)
                {
                    return Some(format!("'{}' runs as {other} and as {here}", machine.server.name));
                }
            }
        }
        None
    }

    fn is_forced(&self, disk: u32) -> bool {
        self.setup_group(disk)
            .is_some_and(|group| self.books.forced.contains(&group))
    }

    fn managed_twice(&self) -> Option<String> {
        for cloud in &self.world.clouds {
            let mut names = BTreeSet::new();
            for volume in cloud.volumes.values() {
                if let Some(name) = &volume.provider_id
                    && !names.insert(name)
                {
                    return Some(format!("{name} is managed twice at {}", NAMES[cloud.side]));
                }
            }
        }
        None
    }

    /// What a cloud would do twice without complaint.
    fn made_twice(&self) -> Option<String> {
        for cloud in &self.world.clouds {
            let mut seen = BTreeSet::new();
            for machine in cloud.servers.values() {
                let of = &machine.server.metadata;
                let (Some(operation), Some(member)) = (of.get("dr_operation_id"), of.get("dr_member_id"))
                else {
                    continue;
                };
                if !seen.insert((operation, member)) {
                    return Some(format!(
                        "operation {operation} made two servers for member {member}"
                    ));
                }
            }
            let mut seen = BTreeSet::new();
            let ports = cloud.ports.values().map(|port| &port.description);
            for port in ports.filter(|text| text.starts_with("dr_operation_id")) {
                if !seen.insert(port) {
                    return Some(format!("two ports of {port}"));
                }
            }
        }
        for array in &self.world.arrays {
            let mut seen = BTreeSet::new();
            for volume in array.volumes.values().filter(|volume| !volume.destroyed) {
                if let Some(mark) = &volume.mark
                    && !seen.insert((&mark.operation, &mark.volume))
                {
                    return Some(format!(
                        "two clones of {} for operation {}",
                        mark.volume, mark.operation
                    ));
                }
            }
        }
        None
    }

    fn two_at_once(&self) -> Option<String> {
        for database in &self.databases {
            let mut seen = BTreeSet::new();
            for saga in database.sagas.values().filter(|saga| !saga.ended) {
                if !seen.insert(&saga.header.subject) {
                    return Some(format!("group {} has two live sagas", saga.header.subject));
                }
            }
        }
        None
    }

    /// A clone is made of a whole snapshot, the same one for all volumes, behind the fence.
    pub fn watch_clone(
        &mut self,
        target: Side,
        group: &str,
        suffix: &str,
        complete: bool,
        taken: Time,
        mark: &Mark,
    ) {
        if attempt().is_none() {
            return;
        }
        if !complete {
            self.violated(
                "whole snapshot",
                format!("a clone was made of {suffix}, which has not come over yet"),
            );
        }
        let late = self.books.late;
        let incoming = &self.world.arrays[target].incoming;
        let open = incoming.get(group).is_some_and(|incoming| incoming.allowed);
        if open && !late {
            self.violated(
                "fence of the array",
                format!("a clone of {suffix} was made while {group} is still received"),
            );
        }
        // Of an operation whose clones were all taken back, who carries it on makes them anew.
        let is_its = |volume: &&Volume| {
            let of = volume.mark.as_ref().map(|one| &one.operation);
            !volume.destroyed && of == Some(&mark.operation)
        };
        let clones = self.world.arrays[target].volumes.values().filter(is_its);
        if clones.count() <= 1 {
            self.books.sources.remove(&mark.operation);
        }
        let source = self
            .books
            .sources
            .entry(mark.operation.clone())
            .or_insert_with(|| suffix.to_owned());
        if source != suffix {
            let text = format!("clones of one operation are of {source} and of {suffix}");
            self.violated("whole snapshot", text);
        }
        let newer = self.world.arrays[target]
            .incoming
            .get(group)
            .is_some_and(|incoming| {
                let mut all = incoming.snapshots.values();
                all.any(|other| !other.destroyed && other.completed.is_some() && other.created > taken)
            });
        if newer && !late && !suffix.starts_with("dr-") {
            let text = format!("a clone was made of {suffix}, and a newer snapshot is there");
            self.violated("newest snapshot", text);
        }
    }

    /// A step that is recorded as done has been done.
    pub fn done(&mut self, side: Side, saga: SagaId, step: &str) {
        let Some(row) = self.databases[side].sagas.get(&saga) else {
            return;
        };
        let work = Work::from_parts(&row.header.kind, row.header.version, &row.header.params);
        let (Ok(Work::PlannedFailover(order)), late) = (work, self.books.late_effects > 0) else {
            return;
        };
        if late {
            return;
        }
        let (kind, which) = step.split_once('/').unwrap_or((step, ""));
        let (source, target) = (
            crate::world::side_of(order.source),
            crate::world::side_of(order.target),
        );
        let wrong = match kind {
            "stop-server" => order
                .members
                .iter()
                .find(|member| member.id.to_string() == which)
                .and_then(|member| self.world.clouds[source].servers.get(&member.instance_id))
                .filter(|machine| machine.server.status != "SHUTOFF")
                .map(|machine| format!("{} is {}", machine.server.id, machine.server.status)),
            "fence-replication" => {
                let group = self.world.arrays[source].live(&order.array_group);
                let allowed = self.world.arrays[target].incoming.get(&order.array_group);
                let open = allowed.is_some_and(|incoming| incoming.allowed);
                let sends = group.is_some_and(|group| group.scheduled);
                (open || sends).then(|| format!("allowed: {open}, scheduled: {sends}"))
            }
            "final-snapshot" => {
                let suffix = format!("dr-{}", order.operation.short());
                let there = self.world.arrays[target].incoming.get(&order.array_group);
                let whole = there
                    .and_then(|incoming| incoming.snapshots.get(&suffix))
                    .is_some_and(|snapshot| snapshot.completed.is_some());
                (!whole).then(|| format!("{suffix} has not come over"))
            }
            "boot-server" => {
                let runs = self.world.clouds[target].servers.values().any(|machine| {
                    machine.server.status == "ACTIVE"
                        && machine.server.metadata.get("dr_member_id").map(String::as_str) == Some(which)
                });
                (!runs).then(|| "no server of it runs".to_owned())
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.violated(
                "journal and world",
                format!("{step} is recorded as done, and {wrong}"),
            );
        }
    }
}
