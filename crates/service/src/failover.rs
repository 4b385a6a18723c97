//! Starting a failover: the intent is a modification like any other, so both sites know before anything moves.

use protector_domain::{
    FailoverOrder, Fence, Group, GroupId, GroupStatus, Mappings, MemberStatus, Operation, OperationId,
    OperationKind, PolicyStatus, Statement, Work, protocol,
};
use protector_ports::Directory;
use protector_ports::store::Along;

use crate::error::{Error, Result};
use crate::operations::pending;
use crate::{Caller, Service, saga};

impl Service {
    pub async fn planned_failover(
        &self,
        caller: &Caller,
        group: GroupId,
        mappings: &Mappings,
        statement: &Statement,
    ) -> Result<Operation> {
        let mut group = self.modifiable(caller, group, statement).await?;
        self.check_fenced(&group).await?;
        let order = self.planned_order(&group, mappings)?;
        let trust = self.renewed_trust(caller, &group).await?;
        let directory = self.directory.renewed(order.source, trust.as_ref());
        self.check_access(&group, &directory).await?;
        let (operation_id, source) = (order.operation, order.source);
        let now = self.clock.now();
        protocol::announce(
            &mut group,
            operation_id,
            OperationKind::Failover,
            order.epoch,
            now,
        );
        group.set_status(GroupStatus::FailingOver, None)?;
        let operation = pending(&order, caller.project_id.clone(), now);
        let work = Work::PlannedFailover(order);
        let mut along = Along {
            saga: Some(saga(work, operation_id.0)?),
            operation: Some(&operation),
            ..self.along(
                &group,
                statement,
                format!("planned failover {operation_id} announced"),
            )
        };
        if let Some(trust) = trust {
            along.trusts = vec![(source, trust)];
        }
        self.store.update_group(&group, along).await?;
        self.wake.wake();
        Ok(operation)
    }

    /// What the engine would be told, if the group as it is here can be failed over.
    pub(crate) fn planned_order(&self, group: &Group, mappings: &Mappings) -> Result<FailoverOrder> {
        self.check_ready(group)?;
        let source = self.local_site();
        let target = group.document.peer_of(source).id;
        let policy = group.document.policy.as_ref().ok_or_else(no_policy)?;
        Ok(FailoverOrder {
            operation: OperationId(uuid::Uuid::new_v4()),
            group: group.id(),
            source,
            target,
            members: group.document.members.clone(),
            array_group: policy.pure_pg_name.clone(),
            replication_interval_seconds: policy.interval_seconds(),
            mappings: self.mappings(group).overridden_by(mappings),
            epoch: protocol::planned_epoch(&group.document),
            adopts: None,
        })
    }

    /// Whether this site may go wherever a planned failover has to.
    pub(crate) async fn check_access(&self, group: &Group, directory: &Directory) -> Result<()> {
        let source = self.local_site();
        let target = group.document.peer_of(source).id;
        directory.service(target).await?;
        directory.tenant(target, group).await?;
        directory.arrays(group, source).await?;
        Ok(())
    }

    /// The group's mappings lead from its primary site to its secondary one; the way back turns them around.
    fn mappings(&self, group: &Group) -> Mappings {
        let document = &group.document;
        match self.local_site() == document.secondary_site.id {
            true => document.mappings.inverted(),
            false => document.mappings.clone(),
        }
    }

    /// The latest takeover's, whichever site it keeps away.
    pub async fn fence(&self, group: &Group) -> Result<Option<Fence>> {
        Ok(self.store.fence(group.id()).await?)
    }

    /// Nothing goes to a site where the servers of before may still run.
    pub(crate) async fn check_fenced(&self, group: &Group) -> Result<()> {
        let Some(fence) = self.store.fence(group.id()).await? else {
            return Ok(());
        };
        if fence.is_closed() || fence.site_id == self.local_site() {
            return Ok(());
        }
        let document = &group.document;
        let site = &document.peer_of(self.local_site()).name;
        Err(Error::conflict(format!(
            "Site '{site}' is not fenced yet: it is not certain that the old servers of protection group '{}' are stopped there{}. \
             protector-engine goes on trying by itself; start the failover again when `openstack protector protection-group show {}` \
             tells that the site is fenced.",
            document.name,
            fence.trouble.map_or_else(String::new, |trouble| format!(
                " ({})",
                trouble.trim_end_matches('.')
            )),
            document.name
        )))
    }

    fn check_ready(&self, group: &Group) -> Result<()> {
        let name = &group.document.name;
        if group.document.policy.is_none() {
            return Err(no_policy());
        }
        if group.policy_status != Some(PolicyStatus::Active) {
            return Err(Error::conflict(format!(
                "The replication policy of protection group '{name}' is {}{}",
                group.policy_status.map_or("unknown", PolicyStatus::as_str),
                group
                    .policy_reason
                    .as_ref()
                    .map_or_else(|| ".".to_owned(), |reason| format!(": {reason}"))
            )));
        }
        // After a rollback that left nothing the group is active again; an error says what is left.
        if !matches!(group.status, GroupStatus::Active | GroupStatus::FailedOver) {
            return Err(Error::conflict(format!(
                "Protection group '{name}' is {}{}",
                group.status.as_str(),
                group
                    .status_reason
                    .as_ref()
                    .map_or_else(|| ".".to_owned(), |reason| format!(": {reason}"))
            )));
        }
        if group.document.members.is_empty() {
            return Err(Error::conflict(format!(
                "Protection group '{name}' has no members."
            )));
        }
        let unready: Vec<String> = group
            .document
            .members
            .iter()
            .filter(|member| group.member_status(member.id) != MemberStatus::Protected)
            .map(|member| {
                format!(
                    "{} is {}",
                    member.instance_name,
                    group.member_status(member.id).as_str()
                )
            })
            .collect();
        if !unready.is_empty() {
            return Err(Error::conflict(format!(
                "A planned failover needs every member protected: {}.",
                unready.join(", ")
            )));
        }
        Ok(())
    }
}

pub(crate) fn no_policy() -> Error {
    Error::conflict(
        "The protection group has no replication policy, so it can't fail over: attach one with `openstack protector protection-group policy-create`.",
    )
}
