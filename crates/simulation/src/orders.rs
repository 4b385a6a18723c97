//! What users ask for, written into a database as the service writes it: one change, its saga and its row together.

use protector_domain::protocol::{self, Refusal};
use protector_domain::*;
use protector_ports::store::Along;
use protector_saga::NewSaga;

use crate::sim::Sim;
use crate::weather::Place;
use crate::world::cloud::tenant;
use crate::world::{Side, date, site_id};

fn saga(work: Work, id: uuid::Uuid) -> Option<NewSaga> {
    let subject = work.group().to_string();
    let (kind, version, params) = work.into_parts().ok()?;
    Some(NewSaga {
        id: SagaId(id),
        kind,
        version,
        subject,
        params: params.into(),
    })
}

impl Sim {
    fn ready(&self, side: Side, group: GroupId) -> Option<Group> {
        let database = &self.databases[side];
        let out = self.is_out_of_reach(Place::Database(side));
        if out || database.live_saga(group).is_some() {
            return None;
        }
        database.groups.get(&group).cloned()
    }

    fn write(
        &mut self,
        side: Side,
        group: &Group,
        work: Work,
        id: uuid::Uuid,
        row: Option<&Operation>,
    ) -> bool {
        let now = self.world.now;
        let along = Along {
            saga: saga(work, id),
            operation: row,
            ..Along::default()
        };
        let written = self.databases[side].update_group(group, along, now);
        let told = match &written {
            Ok(_) => "begun".to_owned(),
            Err(error) => error.to_string(),
        };
        self.note(format!("order {id} at {side}: {told}"));
        self.books.dirty = true;
        written.is_ok()
    }

    pub fn establish(&mut self, group: GroupId) -> bool {
        for side in [1, 0] {
            let Some(found) = self.ready(side, group) else {
                return false;
            };
            let id = self.chance.uuid();
            self.write(side, &found, Work::EstablishGroup { group }, id, None);
        }
        true
    }

    pub fn bind(&mut self, group: GroupId) -> bool {
        let Some(found) = self.ready(0, group) else {
            return false;
        };
        if found.status != GroupStatus::Active || found.sync.status != SyncStatus::Synced {
            return false;
        }
        let id = self.chance.uuid();
        self.write(0, &found, Work::BindArrays { group }, id, None)
    }

    pub fn add_member(&mut self, group: GroupId, member: &Member) -> bool {
        let Some(mut found) = self.ready(0, group) else {
            return false;
        };
        let bound = found.policy_status == Some(PolicyStatus::Active);
        if found.status != GroupStatus::Active || found.sync.status != SyncStatus::Synced || !bound {
            return false;
        }
        let now = date(self.world.now);
        found.document.members.push(member.clone());
        found.document.touch(now);
        found.sync.status = SyncStatus::Pending;
        found.set_member(member.id, MemberStatus::Protecting, None, now);
        let id = self.chance.uuid();
        let work = Work::AddMember {
            group,
            member: member.clone(),
        };
        self.write(0, &found, work, id, None)
    }

    /// None where the service would refuse.
    pub fn fail_over(&mut self, group: GroupId) -> Option<OperationId> {
        let mut found = self.ready(0, group)?;
        let document = &found.document;
        let all_protected = document
            .members
            .iter()
            .all(|member| found.member_status(member.id) == MemberStatus::Protected);
        let fit = found.status == GroupStatus::Active
            && found.sync.status == SyncStatus::Synced
            && found.policy_status == Some(PolicyStatus::Active)
            && document.current_primary_site_id == site_id(0)
            && !document.members.is_empty()
            && all_protected;
        if !fit {
            return None;
        }
        let order = self.order(&found, 0, found.document.stamp.epoch + 1)?;
        let operation = order.operation;
        found.document.open(Intent {
            operation_id: operation,
            kind: OperationKind::Failover,
            reserved_epoch: order.epoch,
            state: IntentState::Open,
            adopts: None,
        });
        found.document.touch(date(self.world.now));
        found.sync.status = SyncStatus::Pending;
        found.set_status(GroupStatus::FailingOver, None).ok()?;
        let row = self.pending(&order);
        // Nobody at this site knows yet that the other one has no Cinder group for it.
        if self.books.ungrouped.contains(&(1, group)) {
            self.books.excuse(SagaId(operation.0));
        }
        let begun = self.write(0, &found, Work::PlannedFailover(order), operation.0, Some(&row));
        begun.then_some(operation)
    }

    /// On the second site, with the first one given up for dead.
    pub fn take_over(&mut self, group: GroupId) -> Option<OperationId> {
        let mut found = self.ready(1, group)?;
        let document = &found.document;
        if document.members.is_empty() {
            return None;
        }
        let partial = found.status == GroupStatus::FailedOverPartial;
        let (epoch, adopts) = match protocol::may_take_over(&found, site_id(1)) {
            Ok(announced) => (protocol::next_epoch(document, site_id(1)), announced),
            Err(Refusal::Here) if partial => (
                document.stamp.epoch,
                protocol::carried_on(document, document.stamp.epoch),
            ),
            Err(_) => return None,
        };
        let mut order = FailoverOrder {
            adopts,
            ..self.order(&found, 0, epoch)?
        };
        if partial {
            order
                .members
                .retain(|member| found.member_status(member.id) == MemberStatus::Error);
        }
        let operation = order.operation;
        found.set_status(GroupStatus::FailingOver, None).ok()?;
        let row = self.pending(&order);
        self.books.forced.insert(group);
        if !self.is_prepared(group) || self.books.ungrouped.contains(&(1, group)) {
            self.books.excuse(SagaId(operation.0));
        }
        let adopts = order.adopts.is_some();
        let begun = self.write(1, &found, Work::UnplannedFailover(order), operation.0, Some(&row));
        if begun && adopts {
            self.books.count("adoptions");
        }
        begun.then_some(operation)
    }

    fn order(&mut self, group: &Group, source: Side, epoch: u64) -> Option<FailoverOrder> {
        let policy = group.document.policy.as_ref()?;
        Some(FailoverOrder {
            operation: OperationId(self.chance.uuid()),
            group: group.id(),
            source: site_id(source),
            target: site_id(1 - source),
            members: group.document.members.clone(),
            array_group: policy.pure_pg_name.clone(),
            replication_interval_seconds: policy.replication_interval_seconds?,
            mappings: Mappings::default(),
            epoch,
            adopts: None,
        })
    }

    fn pending(&self, order: &FailoverOrder) -> Operation {
        Operation {
            id: order.operation,
            group_id: order.group,
            project_id: tenant(0),
            operation_type: OperationKind::Failover,
            status: OperationStatus::Pending,
            outcome: None,
            waiting_for: None,
            progress: 0,
            current_step: None,
            source_site_id: order.source,
            target_site_id: order.target,
            created_at: date(self.world.now),
            started_at: None,
            completed_at: None,
            error_message: None,
            steps_completed: Vec::new(),
            steps_failed: Vec::new(),
            steps: Vec::new(),
            result_data: serde_json::json!({}),
        }
    }

    /// A client carries the newer document over, and the receipt back.
    pub fn relay(&mut self, group: GroupId) {
        if (0..2).any(|side| self.is_out_of_reach(Place::Database(side))) {
            return;
        }
        let [first, second] = &self.databases;
        let (Some(a), Some(b)) = (first.groups.get(&group), second.groups.get(&group)) else {
            return;
        };
        let (from, to) = match a.document.stamp.cmp(&b.document.stamp) {
            std::cmp::Ordering::Greater => (a.clone(), b.clone()),
            std::cmp::Ordering::Less => (b.clone(), a.clone()),
            std::cmp::Ordering::Equal => return,
        };
        let newer_at = usize::from(a.document.stamp < b.document.stamp);
        let now = date(self.world.now);
        let stamp = from.document.stamp;
        let before = to.document.current_primary_site_id;
        let mut here = to;
        here.document = from.document.clone();
        here.sync = SyncState {
            status: SyncStatus::Synced,
            peer: Some(stamp),
            last_sync_at: Some(now),
        };
        // As the service's import has it.
        let moved = here.document.current_primary_site_id != before;
        if here.document.open_intent().is_some() {
            here.status = GroupStatus::FailingOver;
        } else if moved || matches!(here.status, GroupStatus::FailingOver | GroupStatus::FailingBack) {
            here.status = here.resting_status();
        }
        let mut there = from;
        there.sync = here.sync.clone();
        let at = self.world.now;
        for (side, group) in [(1 - newer_at, &here), (newer_at, &there)] {
            let _ = self.databases[side].update_group(group, Along::default(), at);
            self.watch_group(side, group);
            self.books.relayed.insert((side, group.id()), stamp);
        }
        self.note(format!("document {stamp:?} is relayed"));
    }
}
