//! How an operation ended, against what there is: nothing lost, nothing doubled, nothing left behind.

use std::collections::BTreeMap;

use protector_domain::{FailoverOrder, GroupStatus, Member, OperationStatus, SagaId, Work};
use protector_saga::{SagaOutcome, State};

use super::follows_from_accepting;
use crate::sim::Sim;
use crate::world::{NAMES, Side, side_of};

impl Sim {
    pub fn ended(&mut self, side: Side, saga: SagaId, outcome: SagaOutcome) {
        self.books.count(match outcome {
            SagaOutcome::Completed => "completed",
            SagaOutcome::RolledBack => "rolled_back",
            SagaOutcome::Abandoned => "abandoned",
        });
        let Some(row) = self.databases[side].sagas.get(&saga) else {
            return;
        };
        let work = Work::from_parts(&row.header.kind, row.header.version, &row.header.params);
        let wrong = match (work, outcome) {
            (Ok(Work::PlannedFailover(order)), SagaOutcome::Completed) => {
                self.moved(side, saga, &order, true)
            }
            (Ok(Work::UnplannedFailover(order)), SagaOutcome::Completed) => {
                self.moved(side, saga, &order, false)
            }
            (Ok(Work::PlannedFailover(order)), SagaOutcome::RolledBack) => self
                .left(&order)
                .or_else(|| self.not_as_before(side, &order))
                .or_else(|| self.without_cause(saga)),
            // What it would have carried on is the other site's again, as that site has left it.
            (Ok(Work::UnplannedFailover(order)), SagaOutcome::RolledBack) if order.adopts.is_some() => None,
            (Ok(Work::UnplannedFailover(order)), SagaOutcome::RolledBack) => {
                self.left(&order).or_else(|| self.without_cause(saga))
            }
            // It left what the operator said may stay.
            (Ok(Work::AddMember { .. }), SagaOutcome::Abandoned) if self.books.accepted.contains(&saga) => {
                None
            }
            (Ok(Work::AddMember { group, member }), _) => {
                let done = outcome == SagaOutcome::Completed;
                self.not_in_groups(side, group, &member, done)
                    .or_else(|| if done { None } else { self.without_cause(saga) })
            }
            (Ok(Work::EstablishGroup { group }), SagaOutcome::Completed) => {
                let known = self.databases[side].groups.get(&group);
                known
                    .filter(|group| {
                        group.consistency_group.volume_groups.len() < 2
                            || group.status == GroupStatus::Creating
                    })
                    .map(|group| format!("the group is {} without its Cinder groups", group.status.as_str()))
            }
            // Each waits for the other site's group, and that may have failed.
            (Ok(Work::EstablishGroup { group }), _) => {
                self.books.ungrouped.insert((side, group));
                None
            }
            // The other site's part may have failed, for reasons of its own.
            (Ok(Work::BindArrays { .. }), SagaOutcome::RolledBack) => self.without_cause(saga),
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.violated(
                match outcome {
                    SagaOutcome::Completed => "completed means there",
                    SagaOutcome::RolledBack => "rolled back means nothing left",
                    SagaOutcome::Abandoned => "abandoned",
                },
                format!("{saga}: {wrong}"),
            );
        }
    }

    fn is_late(&self, id: &str) -> bool {
        self.books.late_things.contains(id)
    }

    /// Every server runs on the other side with its own data, and nobody writes to the old ones.
    fn moved(&self, side: Side, saga: SagaId, order: &FailoverOrder, planned: bool) -> Option<String> {
        let (source, target) = (side_of(order.source), side_of(order.target));
        let group = self.databases[side].groups.get(&order.group)?;
        let operation = self.databases[side].operations.get(&order.operation)?;
        if group.document.current_primary_site_id != order.target {
            return Some("the group's document says that it runs where it ran".to_owned());
        }
        if group.status == GroupStatus::FailingOver {
            return Some("the group is still failing over".to_owned());
        }
        if !operation.status.is_final() || operation.outcome.is_none() {
            return Some(format!("the operation's row says {}", operation.status.as_str()));
        }
        let mut alive = 0;
        for member in &order.members {
            let now = group.document.member(member.id)?;
            let failed = group.member_status(member.id) == protector_domain::MemberStatus::Error;
            if !planned && failed {
                let left = self.left_of(order, member);
                if left.is_some() {
                    return left;
                }
                continue;
            }
            alive += 1;
            let wrong = self.twin_is_wrong(source, target, order, member, now, planned);
            if wrong.is_some() {
                return wrong;
            }
            if planned
                && let Some(old) = self.world.clouds[source].servers.get(&member.instance_id)
                && !self.is_late(member.instance_id.as_str())
            {
                if old.server.status == "ACTIVE" {
                    return Some(format!("the old server {} runs", old.server.id));
                }
                if !old.server.locked && !self.books.accepted.contains(&saga) {
                    return Some(format!("the old server {} isn't locked", old.server.id));
                }
            }
        }
        if alive == 0 {
            return Some("nobody was brought over".to_owned());
        }
        if planned && operation.status != OperationStatus::Completed {
            return Some(format!("the operation's row says {}", operation.status.as_str()));
        }
        if !planned && alive < order.members.len() && self.no_cause(saga) {
            return Some("a member was given up without a cause".to_owned());
        }
        None
    }

    fn twin_is_wrong(
        &self,
        source: Side,
        target: Side,
        order: &FailoverOrder,
        was: &Member,
        now: &Member,
        planned: bool,
    ) -> Option<String> {
        let cloud = &self.world.clouds[target];
        let name = &was.instance_name;
        let Some(twin) = cloud.servers.get(&now.instance_id) else {
            return Some(format!("'{name}' has no server {} there", now.instance_id));
        };
        if twin.server.status != "ACTIVE" {
            return Some(format!("'{name}' is {}", twin.server.status));
        }
        let wanted: Vec<_> = now
            .volumes
            .iter()
            .map(|volume| volume.volume_id.clone())
            .collect();
        if twin.volumes != wanted {
            return Some(format!("'{name}' has not exactly its disks"));
        }
        let mut taken = None;
        for (old, new) in was.volumes.iter().zip(&now.volumes) {
            let Some(row) = cloud.volumes.get(&new.volume_id) else {
                return Some(format!("volume {} of '{name}' is gone", new.volume_id));
            };
            if row.project_id.as_ref() != Some(&crate::world::cloud::tenant(target)) {
                return Some(format!("volume {} of '{name}' is not the tenant's", row.id));
            }
            if row.group_id.is_none() {
                return Some(format!("volume {} of '{name}' is in no group", row.id));
            }
            let there = row
                .provider_id
                .as_ref()
                .and_then(|name| self.world.arrays[target].volumes.get(name));
            let Some(base) = there.and_then(|volume| volume.base) else {
                return Some(format!("volume {} of '{name}' has nothing on the array", row.id));
            };
            let here = &self.world.arrays[source].volumes.get(&old.array_name)?;
            if base.disk != here.data.disk {
                return Some(format!(
                    "disk {} of '{name}' holds the data of disk {}",
                    here.data.disk, base.disk
                ));
            }
            let last = here.content(self.world.now);
            if planned && base != last && !self.is_late(was.instance_id.as_str()) {
                return Some(format!(
                    "disk {} of '{name}' was written until {:?}, and came over as of {:?}",
                    base.disk, last.written, base.written
                ));
            }
            // All of one moment, unless the server stood still.
            let running = base.written;
            if !planned && taken.replace(running).is_some_and(|other| other != running) {
                return Some(format!("the disks of '{name}' are of different moments"));
            }
        }
        let _ = order;
        None
    }

    /// What the operation made and that is still there, but for what came too late for anybody to know of.
    fn left(&self, order: &FailoverOrder) -> Option<String> {
        order
            .members
            .iter()
            .find_map(|member| self.left_of(order, member))
    }

    fn left_of(&self, order: &FailoverOrder, member: &Member) -> Option<String> {
        let target = side_of(order.target);
        let cloud = &self.world.clouds[target];
        let mark = format!("dr_operation_id={} dr_member_id={} ", order.maker(), member.id);
        let (operation, id) = (order.maker().to_string(), member.id.to_string());
        let is_its = |of: &BTreeMap<String, String>| {
            of.get("dr_operation_id") == Some(&operation) && of.get("dr_member_id") == Some(&id)
        };
        // One that was found, and what it has, stays whatever comes of it.
        let mut servers = cloud.servers.values();
        if order.adopts.is_some() && servers.any(|machine| is_its(&machine.server.metadata)) {
            return None;
        }
        for machine in cloud.servers.values() {
            let of = &machine.server.metadata;
            if is_its(of) && !self.is_late(machine.server.id.as_str()) {
                return Some(format!("server {} is left", machine.server.id));
            }
        }
        for volume in cloud.volumes.values() {
            let text = volume.description.as_deref().unwrap_or_default();
            if text.starts_with(&mark) && !self.is_late(volume.id.as_str()) {
                return Some(format!("volume {} ({}) is left", volume.id, volume.status));
            }
        }
        for port in cloud.ports.values() {
            if port.description.starts_with(&mark) && !self.is_late(port.id.as_str()) {
                return Some(format!("port {} is left", port.id));
            }
        }
        for (name, volume) in &self.world.arrays[target].volumes {
            let ours = volume
                .mark
                .as_ref()
                .is_some_and(|mark| mark.operation == operation && mark.member == id);
            if ours && !volume.destroyed && !self.is_late(name) {
                return Some(format!("array volume {name} is left at {}", NAMES[target]));
            }
        }
        None
    }

    /// A rolled back failover leaves the source as it was.
    fn not_as_before(&self, side: Side, order: &FailoverOrder) -> Option<String> {
        let (source, target) = (side_of(order.source), side_of(order.target));
        let group = self.databases[side].groups.get(&order.group)?;
        if group.status != GroupStatus::Active || group.document.open_intent().is_some() {
            return Some(format!("the group is {}", group.status.as_str()));
        }
        if group.document.current_primary_site_id != order.source {
            return Some("the group's document says that it moved".to_owned());
        }
        let operation = self.databases[side].operations.get(&order.operation)?;
        if operation.status != OperationStatus::Failed
            || !matches!(
                operation.outcome,
                Some(protector_domain::Outcome::RolledBack | protector_domain::Outcome::Cancelled)
            )
        {
            return Some(format!("the operation's row says {:?}", operation.outcome));
        }
        for member in &order.members {
            let id = &member.instance_id;
            let Some(old) = self.world.clouds[source].servers.get(id) else {
                return Some(format!("the old server {id} is gone"));
            };
            if self.was_running(id) && old.server.status != "ACTIVE" && !self.is_late(id.as_str()) {
                return Some(format!("the old server {id} is {}", old.server.status));
            }
        }
        let sends = self.world.arrays[source].live(&order.array_group);
        let taken = self.world.arrays[target].incoming.get(&order.array_group);
        let runs =
            sends.is_some_and(|group| group.scheduled) && taken.is_some_and(|incoming| incoming.allowed);
        if !runs && self.books.late_effects == 0 {
            return Some("replication doesn't run".to_owned());
        }
        let suffix = format!("dr-{}", order.operation.short());
        let left = taken.and_then(|incoming| incoming.snapshots.get(&suffix));
        if left.is_some_and(|snapshot| !snapshot.destroyed) && self.books.late_effects == 0 {
            return Some(format!("snapshot {suffix} is left"));
        }
        if self.bystanders_gone() {
            return Some("a port that was nobody's of ours is gone".to_owned());
        }
        None
    }

    fn no_cause(&self, saga: SagaId) -> bool {
        let blame = self.books.blames.get(&saga);
        let grave =
            blame.is_some_and(|blame| blame.grave > 0 || blame.steps.values().any(|count| *count >= 4));
        !(grave
            || self.books.cancelled.contains(&saga)
            || self.met_what_was_late(saga)
            || self.world.broken > 0)
    }

    /// Whether it failed over something that an engine touched which had lost its lease.
    fn met_what_was_late(&self, saga: SagaId) -> bool {
        let error = self.books.state(saga).and_then(State::first_error);
        error.is_some_and(|(_, text)| self.books.late_things.iter().any(|late| text.contains(late)))
    }

    /// What no retry outlasts must have happened, or somebody must have asked for it.
    fn without_cause(&self, saga: SagaId) -> Option<String> {
        if !self.no_cause(saga) {
            return None;
        }
        let why = self
            .books
            .state(saga)
            .and_then(|state| state.first_error().map(|(step, text)| format!("{step}: {text}")));
        Some(format!(
            "it was rolled back without a cause ({})",
            why.unwrap_or_default()
        ))
    }

    /// Whether an operator is waited for without anything that he could mend.
    pub fn waits_without_cause(&self, saga: SagaId, reason: &str) -> bool {
        !(reason.contains(crate::hands::INJECTED)
            || reason.contains("did not end within")
            || reason.contains("engine stopped every time")
            || (self.books.accepted.contains(&saga) && follows_from_accepting(reason))
            || self.world.broken > 0)
    }

    fn not_in_groups(
        &self,
        side: Side,
        group: protector_domain::GroupId,
        member: &Member,
        wanted: bool,
    ) -> Option<String> {
        let group = self.databases[side].groups.get(&group)?;
        let policy = group.document.policy.as_ref()?;
        let array = self.world.arrays[side].live(&policy.pure_pg_name);
        for volume in &member.volumes {
            let row = self.world.clouds[side].volumes.get(&volume.volume_id)?;
            if row.group_id.is_some() != wanted {
                return Some(format!("volume {} in the Cinder group: {}", row.id, !wanted));
            }
            let on_array = array.is_some_and(|array| array.volumes.contains(&volume.array_name));
            if on_array != wanted {
                return Some(format!("volume {} in the array's group: {}", row.id, !wanted));
            }
        }
        None
    }
}
