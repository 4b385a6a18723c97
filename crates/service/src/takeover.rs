//! Starting an unplanned failover, on the site that survives.
//!
//! The other site is dead, so nothing of it is asked: no statement, no sign-in, no look at its array. The document
//! isn't changed by the start either. The engine raises its epoch when the group runs here, and that outranks
//! whatever the other site comes back with.

use protector_domain::protocol::Refusal;
use protector_domain::{
    FailoverOrder, Group, GroupId, GroupStatus, Mappings, Member, MemberStatus, Operation, OperationId,
    OperationStatus, Policy, SiteId, Work, protocol,
};
use protector_ports::Directory;
use protector_ports::store::{Along, OperationFilter, Page};

use crate::error::{Error, Result};
use crate::failover::no_policy;
use crate::operations::{not_over, pending};
use crate::refusal::refused;
use crate::{Caller, Service, saga};

/// What is to be brought here, and the epoch that it belongs to.
struct Takeover {
    members: Vec<Member>,
    epoch: u64,
    adopts: Option<OperationId>,
}

impl Service {
    pub async fn unplanned_failover(
        &self,
        caller: &Caller,
        group: GroupId,
        mappings: &Mappings,
    ) -> Result<Operation> {
        let mut group = self.own_group(caller, group).await?;
        let order = self.unplanned_order(&group, mappings).await?;
        let trust = self.renewed_trust(caller, &group).await?;
        let directory = self.directory.renewed(order.target, trust.as_ref());
        self.check_own_secret(&group, &directory).await?;
        let (operation_id, here) = (order.operation, order.target);
        let now = self.clock.now();
        group.set_status(GroupStatus::FailingOver, None)?;
        group.updated_at = now;
        let operation = pending(&order, caller.project_id.clone(), now);
        let work = Work::UnplannedFailover(order);
        let mut along = Along {
            saga: Some(saga(work, operation_id.0)?),
            operation: Some(&operation),
            entry: Some(self.entry(
                group.id(),
                "begun",
                Some(group.document.stamp),
                format!("unplanned failover {operation_id} begun"),
            )),
            ..Along::default()
        };
        if let Some(trust) = trust {
            along.trusts = vec![(here, trust)];
        }
        self.store.update_group(&group, along).await?;
        self.wake.wake();
        Ok(operation)
    }

    /// What the engine would be told, if this site can take the group over.
    pub(crate) async fn unplanned_order(&self, group: &Group, mappings: &Mappings) -> Result<FailoverOrder> {
        let announced = self.check_nothing_runs(group).await?;
        let takeover = self.takeover(group, announced)?;
        let policy = group.document.policy.as_ref().ok_or_else(no_policy)?;
        self.check_own_token(group, policy).await?;
        let here = self.local_site();
        Ok(FailoverOrder {
            operation: OperationId(uuid::Uuid::new_v4()),
            group: group.id(),
            source: group.document.peer_of(here).id,
            target: here,
            members: takeover.members,
            array_group: policy.pure_pg_name.clone(),
            replication_interval_seconds: policy.interval_seconds(),
            mappings: group.document.mappings.overridden_by(mappings),
            epoch: takeover.epoch,
            adopts: takeover.adopts,
        })
    }

    /// Refuses where this site works on the group. Answers the operation by which the other one may have begun to work
    /// here.
    async fn check_nothing_runs(&self, group: &Group) -> Result<Option<OperationId>> {
        if let Some(running) = self.running_operation(group.id()).await? {
            return Err(not_over(running.id, running.operation_type));
        }
        if let Some(saga) = self.store.live_saga(group.id()).await? {
            return Err(Error::conflict(format!(
                "Another change of protection group '{}' is still running on this site ({} {}): wait until it is over.",
                group.document.name,
                saga.kind.replace('_', " "),
                saga.id
            )));
        }
        let here = self.local_site();
        match protocol::may_take_over(group, here) {
            Ok(announced) => Ok(announced),
            // One that was brought here in part may be taken on.
            Err(Refusal::Here) => Ok(None),
            Err(refusal) => Err(refused(group, here, refusal)),
        }
    }

    async fn running_operation(&self, group: GroupId) -> Result<Option<Operation>> {
        for status in [
            OperationStatus::Pending,
            OperationStatus::Running,
            OperationStatus::RollingBack,
        ] {
            let filter = OperationFilter {
                group: Some(group),
                status: Some(status.as_str().to_owned()),
                ..OperationFilter::default()
            };
            let found = self.store.operations(&filter, &Page::default()).await?;
            if let Some(operation) = found.into_iter().next() {
                return Ok(Some(operation));
            }
        }
        Ok(None)
    }

    /// All members of a group that runs on the other site; of one that was brought here in part, those that failed.
    fn takeover(&self, group: &Group, announced: Option<OperationId>) -> Result<Takeover> {
        let document = &group.document;
        let name = &document.name;
        let here = self.local_site();
        if document.site(here).is_none() {
            return Err(Error::conflict(format!(
                "This site is not one of the two sites of protection group '{name}'."
            )));
        }
        if document.members.is_empty() {
            return Err(Error::conflict(format!(
                "Protection group '{name}' has no members."
            )));
        }
        if document.current_primary_site_id != here {
            return Ok(Takeover {
                members: document.members.clone(),
                epoch: protocol::next_epoch(document, here),
                adopts: announced,
            });
        }
        if group.status != GroupStatus::FailedOverPartial {
            return Err(refused(group, here, Refusal::Here));
        }
        let failed: Vec<Member> = document
            .members
            .iter()
            .filter(|member| group.member_status(member.id) == MemberStatus::Error)
            .cloned()
            .collect();
        if failed.is_empty() {
            return Err(Error::conflict(format!(
                "No member of protection group '{name}' is in error: there is nothing to repeat."
            )));
        }
        Ok(Takeover {
            members: failed,
            epoch: document.stamp.epoch,
            adopts: protocol::carried_on(document, document.stamp.epoch),
        })
    }

    /// Whether the own array's token can be read, where Barbican holds it.
    pub(crate) async fn check_own_secret(&self, group: &Group, directory: &Directory) -> Result<()> {
        let here = self.local_site();
        let policy = group.document.policy.as_ref().ok_or_else(no_policy)?;
        if is_elsewhere(policy, here) {
            directory.array(group, here).await?;
        }
        Ok(())
    }

    /// The token of the other site's array isn't needed: nobody answers there.
    async fn check_own_token(&self, group: &Group, policy: &Policy) -> Result<()> {
        let here = self.local_site();
        if is_elsewhere(policy, here) || self.store.array_token(group.id(), here).await?.is_some() {
            return Ok(());
        }
        let document = &group.document;
        Err(Error::conflict(format!(
            "This site doesn't hold the token of its own array. It comes with the group's metadata where site '{}' knows this \
             site's public key: register that key there, then run `openstack protector protection-group sync-force {}` while \
             that site answers.",
            document.peer_of(here).name,
            document.name
        )))
    }
}

/// Whether a site's array token isn't in the database, but in Barbican.
fn is_elsewhere(policy: &Policy, site: SiteId) -> bool {
    policy.side(site).is_some_and(|side| side.token_secret.is_some())
}
