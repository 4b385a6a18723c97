//! The servers: stopped here, made anew there, looked at, and the old ones locked.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use protector_domain::{Left, Member, PortId, ServerId, VolumeId};
use protector_ports::PortError;
use protector_ports::cloud::{Access, NewPort, NewServer, Server};
use protector_ports::error::{Absent, Kind};
use protector_saga::{StepContext, StepFailure};
use serde_json::{Value, json};

use super::facts::facts_of;
use super::names::{Disk, EPOCH_KEY, GROUP_KEY, MEMBER_KEY, OPERATION_KEY, port_description};
use super::replace::may_run;
use super::{Failover, Manner, ServerRecord, VolumeRecord, recorded, step};
use crate::failure::{OrFail, StepResult, While, failed, full, permanent};
use crate::polling::{Pulse, until};

impl Failover {
    /// Asks it to stop where it runs, and waits until it has. A stop that an earlier try asked for shows in its task.
    pub(super) async fn stop(&self, context: &StepContext<'_>, member: &Member) -> StepResult<Value> {
        let what = format!("stopping server '{}'", member.instance_name);
        let asked = AtomicBool::new(false);
        until(
            context,
            self.world.ticks,
            self.world.options.server_patience,
            &what,
            async || {
                let now = self.source_server(&member.instance_id).await?;
                let Some(now) = now.filter(|now| now.status != "DELETED") else {
                    return Err(permanent(format!(
                        "Server '{}' ({}) is not there any more.",
                        member.instance_name, member.instance_id
                    )));
                };
                let stopped = is_at_rest(Some(&now), "SHUTOFF", &what)?;
                if stopped.is_none() && now.task_state.is_none() && !asked.swap(true, Ordering::Relaxed) {
                    let tenant = self.tenant(self.order.source).await?;
                    let stop = self.world.cloud.stop_server(&tenant, &member.instance_id);
                    stop.await.or_fail()?;
                }
                Ok(stopped)
            },
        )
        .await?;
        Ok(Value::Null)
    }

    /// As it was before: a server that didn't run isn't started.
    pub(super) async fn start_again(&self, context: &StepContext<'_>, member: &Member) -> StepResult<()> {
        if !facts_of(context.state, member)?.was_running {
            return Ok(());
        }
        self.check_twin_is_away(context, member).await?;
        let hand = self.hand(self.order.source).await?;
        let what = format!("stopping server '{}'", member.instance_name);
        // A stop that was asked for and not yet done would win over the start.
        let status = until(
            context,
            self.world.ticks,
            self.world.options.server_patience,
            &what,
            async || {
                let now = self.server_by(&hand, &member.instance_id).await?;
                Ok(match now {
                    None => Some(String::new()),
                    Some(server) if server.task_state.is_none() => Some(server.status),
                    Some(_) => None,
                })
            },
        )
        .await?;
        match status.as_str() {
            "" | "ACTIVE" => return Ok(()),
            _ => self
                .world
                .cloud
                .start_server(&hand.access, &member.instance_id)
                .await
                .or_fail()?,
        }
        // The list that all wait for is the tenant's.
        if !hand.stands_in {
            return self.wait_source(context, member, "ACTIVE", "starting").await;
        }
        let what = format!("starting server '{}'", member.instance_name);
        until(
            context,
            self.world.ticks,
            self.world.options.server_patience,
            &what,
            async || {
                let now = self.server_by(&hand, &member.instance_id).await?;
                is_at_rest(now.map(Pulse::from).as_ref(), "ACTIVE", &what)
            },
        )
        .await
    }

    /// The operator may have gone on without the removal of the new server: then it is looked for, and while it may run
    /// the old one stays stopped.
    async fn check_twin_is_away(&self, context: &StepContext<'_>, member: &Member) -> StepResult<()> {
        let boot = context.state.step(&step::boot(member));
        if !boot.is_some_and(|boot| boot.given_up) {
            return Ok(());
        }
        let hand = self.hand(self.order.target).await?;
        match self.twin_by(&hand, member).await? {
            Some(twin) if may_run(&twin) => Err(permanent(format!(
                "Server '{}' is not started again: its new server {} at site '{}' is {} and would run beside it. Delete or stop that one \
                 there and `retry`; or `resolve` with `accept`, and the old one stays stopped.",
                member.instance_name, twin.id, hand.access.site_name, twin.status
            ))),
            _ => Ok(()),
        }
    }

    async fn wait_source(
        &self,
        context: &StepContext<'_>,
        member: &Member,
        wanted: &str,
        doing: &str,
    ) -> StepResult<()> {
        let what = format!("{doing} server '{}'", member.instance_name);
        until(
            context,
            self.world.ticks,
            self.world.options.server_patience,
            &what,
            async || {
                let now = self.source_server(&member.instance_id).await?;
                is_at_rest(now.as_ref(), wanted, &what)
            },
        )
        .await
    }

    pub(super) async fn create_ports(&self, context: &StepContext<'_>, member: &Member) -> StepResult<Value> {
        let world = &self.world;
        let tenant = self.tenant(self.order.target).await?;
        if let Some(server) = self.adopted(context.state, member) {
            return self.adopted_ports(&tenant, &server).await;
        }
        let plan = self.target_plan(context.state)?;
        let ports = &plan
            .members
            .get(&member.id)
            .ok_or_else(|| permanent("the preflight missed a member"))?
            .ports;
        let service = self.service(self.order.target).await?;
        let mut made = Vec::new();
        for (index, port) in ports.iter().enumerate() {
            let description = port_description(&self.order, member, index);
            let new = NewPort {
                network_id: Some(port.network_id.clone()),
                name: port.name.clone(),
                description,
                mac_address: Some(port.mac_address.clone()),
                fixed_ips: port.fixed_ips.clone(),
                security_groups: Some(port.security_groups.clone()),
                allowed_address_pairs: port.allowed_address_pairs.clone(),
                port_security_enabled: (!port.port_security_enabled).then_some(false),
                project_id: port.by_service.then(|| plan.project.clone()),
            };
            if let Some(found) = self.port_left(&tenant, member, &new).await? {
                made.push(found);
                continue;
            }
            if self.may_find(context)
                && let Some(found) = self.port_of(&tenant, &new).await?
            {
                made.push(found);
                continue;
            }
            let access = if port.by_service { &service } else { &tenant };
            let created = match world.cloud.create_port(access, &new).await {
                // Perhaps by an earlier try that was given up, and came through only after the look above.
                Err(error) if error.is(Kind::Conflict) => match self.port_of(&tenant, &new).await? {
                    Some(found) => Ok(found),
                    None => Err(port_refused(error)),
                },
                created => created.map_err(port_refused).map(|port| port.id),
            };
            made.push(created.during(format!("creating a port for server '{}'", member.instance_name))?);
        }
        serde_json::to_value(made).or_fail()
    }

    /// The one that an earlier try made.
    async fn port_of(&self, tenant: &Access, new: &NewPort) -> StepResult<Option<PortId>> {
        let there = self.world.cloud.ports(tenant, new.network_id.as_ref()).await;
        let mut there = there.or_fail()?.into_iter();
        let found = there.find(|candidate| candidate.description == new.description);
        Ok(found.map(|port| port.id))
    }

    pub(super) async fn delete_ports(&self, member: &Member) -> StepResult<()> {
        let service = self.service(self.order.target).await?;
        for port in self.ports_made(member).await? {
            self.world.cloud.delete_port(&service, &port).await.or_fail()?;
        }
        Ok(())
    }

    pub(super) async fn boot(&self, context: &StepContext<'_>, member: &Member) -> StepResult<Value> {
        let found = match self.may_find(context) {
            true => self.twin(member).await?,
            false => None,
        };
        let server_id = match found {
            Some(server) => {
                self.start_adopted(&server).await?;
                server.id
            }
            None => self.create_twin(context, member).await?,
        };
        let what = format!("booting server '{}'", member.instance_name);
        until(
            context,
            self.world.ticks,
            self.world.options.server_patience,
            &what,
            async || {
                let now = self.target_server(&server_id).await?;
                match now.as_ref().map(|now| now.status.as_str()) {
                    Some("ACTIVE") => Ok(Some(())),
                    Some("DELETED") => Err(permanent(format!("{what} failed: somebody deleted it"))),
                    _ => is_at_rest(now.as_ref(), "ACTIVE", &what),
                }
            },
        )
        .await?;
        serde_json::to_value(ServerRecord { server_id }).or_fail()
    }

    /// Whoever was found may have been stopped since he was made.
    async fn start_adopted(&self, server: &Server) -> StepResult<()> {
        if self.order.adopts.is_none() || server.status != "SHUTOFF" || server.task_state.is_some() {
            return Ok(());
        }
        let tenant = self.tenant(self.order.target).await?;
        self.world.cloud.start_server(&tenant, &server.id).await.or_fail()
    }

    async fn create_twin(&self, context: &StepContext<'_>, member: &Member) -> StepResult<ServerId> {
        let world = &self.world;
        let plan = self.target_plan(context.state)?;
        let original = facts_of(context.state, member)?;
        let plan = plan
            .members
            .get(&member.id)
            .ok_or_else(|| permanent("the preflight missed a member"))?;
        let ports: Vec<PortId> = recorded(context.state, &step::ports(member))?;
        let tenant = self.tenant(self.order.target).await?;
        let user_data = self.user_data(member).await?;
        let mut metadata = original.server.metadata.clone();
        metadata.insert(OPERATION_KEY.to_owned(), self.order.maker().to_string());
        metadata.insert(MEMBER_KEY.to_owned(), member.id.to_string());
        metadata.insert(GROUP_KEY.to_owned(), self.order.group.to_string());
        metadata.insert(EPOCH_KEY.to_owned(), self.order.epoch.to_string());
        let new = NewServer {
            name: original.server.name.clone(),
            flavor_id: plan.flavor_id.clone(),
            key_name: plan.key_name.clone(),
            config_drive: original.server.config_drive,
            user_data,
            availability_zone: plan.availability_zone.clone(),
            description: original
                .server
                .description
                .clone()
                .filter(|text| *text != original.server.name),
            tags: original.server.tags.clone(),
            metadata,
            ports,
            volumes: self.new_volumes(context, member)?,
        };
        world
            .cloud
            .create_server(&tenant, &new)
            .await
            .or_fail()
            .during(format!("creating server '{}'", member.instance_name))
    }

    /// Never in the journal: asked for when it is needed.
    async fn user_data(&self, member: &Member) -> StepResult<Option<String>> {
        if let Some(known) = self.user_data.of(member.id) {
            return Ok(known);
        }
        if self.manner == Manner::Unplanned {
            return self.recalled_user_data(member).await;
        }
        let service = self.service(self.order.source).await?;
        let original = self.world.cloud.server(&service, &member.instance_id).await;
        Ok(original.or_fail()?.user_data)
    }

    /// The member's new volumes, in the guest's order.
    fn new_volumes(&self, context: &StepContext<'_>, member: &Member) -> StepResult<Vec<VolumeId>> {
        self.disks_of(member)
            .map(|disk| {
                recorded::<VolumeRecord>(context.state, &step::import(disk)).map(|record| record.volume_id)
            })
            .collect()
    }

    pub(super) fn disks_of<'a>(&'a self, member: &Member) -> impl Iterator<Item = Disk<'a>> {
        self.roster.disks_of(&self.order, member.id)
    }

    /// The server that an earlier try made.
    async fn twin(&self, member: &Member) -> StepResult<Option<Server>> {
        let tenant = self.tenant(self.order.target).await?;
        let servers = self.world.cloud.servers(&tenant, false).await.or_fail()?;
        let is_ours = |server: &Server| {
            server.metadata.get(OPERATION_KEY) == Some(&self.order.maker().to_string())
                && server.metadata.get(MEMBER_KEY) == Some(&member.id.to_string())
        };
        Ok(servers.into_iter().find(is_ours))
    }

    pub(super) async fn delete_server(&self, context: &StepContext<'_>, member: &Member) -> StepResult<()> {
        let hand = self.hand(self.order.target).await?;
        let what = format!("removing the new server '{}'", member.instance_name);
        until(
            context,
            self.world.ticks,
            self.world.options.server_patience,
            &what,
            async || {
                let Some(server) = self.twin_by(&hand, member).await? else {
                    return Ok(Some(()));
                };
                if server.task_state.as_deref() != Some("deleting") {
                    self.world
                        .cloud
                        .delete_server(&hand.access, &server.id)
                        .await
                        .or_fail()?;
                }
                Ok(None)
            },
        )
        .await
    }

    /// The last look before the point of no return: every twin runs with exactly its own disks.
    pub(super) async fn verify(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let there = self.look_at_twins().await?;
        for member in &self.order.members {
            self.verify_member(context, member, &there)?;
        }
        Ok(json!({ "active": self.order.members.len() }))
    }

    /// The tenant's servers at the target, as they are now.
    pub(super) async fn look_at_twins(&self) -> StepResult<HashMap<ServerId, Server>> {
        let tenant = self.tenant(self.order.target).await?;
        let servers = self.world.cloud.servers(&tenant, false).await.or_fail()?;
        let by_id = servers.into_iter().map(|server| (server.id.clone(), server));
        Ok(by_id.collect())
    }

    pub(super) fn verify_member(
        &self,
        context: &StepContext<'_>,
        member: &Member,
        there: &HashMap<ServerId, Server>,
    ) -> StepResult<()> {
        let record: ServerRecord = recorded(context.state, &step::boot(member))?;
        let name = &member.instance_name;
        let server = there.get(&record.server_id);
        let Some(server) = server.filter(|server| server.status == "ACTIVE") else {
            return Err(permanent(format!(
                "The new server '{name}' is {} and not ACTIVE.",
                server.map_or("gone", |server| &server.status)
            )));
        };
        let has: BTreeSet<&VolumeId> = server.volumes.iter().collect();
        let wanted = self.new_volumes(context, member)?;
        let wanted: BTreeSet<&VolumeId> = wanted.iter().collect();
        // His user may have given him more since.
        let adopted = self.adopted(context.state, member).is_some();
        if has != wanted && !(adopted && has.is_superset(&wanted)) {
            return Err(permanent(format!(
                "The new server '{name}' doesn't have its {} volumes attached.",
                wanted.len()
            )));
        }
        Ok(())
    }

    /// The old server stays stopped: nobody but an administrator starts it by accident. One that is gone can't be
    /// started; one that was locked before keeps its reason.
    pub(super) async fn lock_old(&self, context: &StepContext<'_>, member: &Member) -> StepResult<Value> {
        if facts_of(context.state, member)?.server.locked {
            return Ok(Value::Null);
        }
        let service = self.service(self.order.source).await?;
        let reason = format!("failed over by protection operation {}", self.order.operation);
        self.world
            .cloud
            .lock_server(&service, &member.instance_id, &reason)
            .await
            .absent()
            .or_fail()?;
        Ok(Value::Null)
    }

    /// The members as they are now: other servers, other volumes, the same identity. Who was given up isn't among
    /// them.
    pub(super) fn moved_members(&self, state: &protector_saga::State) -> StepResult<Vec<Member>> {
        let mut all = Vec::new();
        for member in &self.order.members {
            if self.is_missing(state, member)? {
                continue;
            }
            let server: ServerRecord = recorded(state, &step::boot(member))?;
            let mut moved = member.clone();
            moved.left.remove(&self.order.target);
            let left = Left {
                instance_id: member.instance_id.clone(),
                volumes: member.volumes.clone(),
            };
            moved.left.insert(self.order.source, left);
            moved.instance_id = server.server_id;
            for (volume, disk) in moved.volumes.iter_mut().zip(self.disks_of(member)) {
                let record: VolumeRecord = recorded(state, &step::import(disk))?;
                volume.volume_id = record.volume_id;
                volume.array_name = record.array_name;
            }
            all.push(moved);
        }
        Ok(all)
    }
}

/// Whether a server has come to the wanted status.
fn is_at_rest(server: Option<&Pulse>, wanted: &str, what: &str) -> StepResult<Option<()>> {
    match server {
        Some(server) if server.status == wanted && server.task_state.is_none() => Ok(Some(())),
        Some(server) if server.status == "ERROR" => Err(permanent(format!(
            "{what} failed: Nova put it into status ERROR{}",
            fault(server)
        ))),
        _ => Ok(None),
    }
}

fn fault(server: &Pulse) -> String {
    server
        .fault
        .as_ref()
        .map_or_else(String::new, |fault| format!(": {fault}"))
}

/// An address that was free at the preflight may be taken by now.
fn port_refused(error: PortError) -> StepFailure {
    let taken = error.is(Kind::Conflict);
    let failure = failed(error);
    if !taken {
        return failure;
    }
    StepFailure {
        message: format!(
            "{} Free the address there, or map the network to another one with --network-mapping.",
            full(&failure.message)
        ),
        ..failure
    }
}
