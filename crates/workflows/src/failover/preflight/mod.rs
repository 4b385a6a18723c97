//! Whether the group can be brought over, asked before anything is changed. All that stands in the way is told at
//! once, each with its reason and its remedy; what is found out otherwise is the plan of the twins: flavors,
//! networks, addresses, security groups, the place for the volumes.
//!
//! The same eyes look for an operation and for the call that only wants to know.

mod findings;
mod members;
mod plan;
mod ports;
mod room;
mod storage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use protector_domain::{Check, Finding, Group, Preflight, ProjectId, Severity, SiteId, Work};
use protector_ports::Preflights;
use protector_ports::cloud::{Access, Flavor, Network, SecurityGroup, Subnet};
use protector_saga::{DagError, FailureClass, State, StepContext};
use serde_json::Value;
use tokio::sync::Mutex;

pub(super) use self::findings::{Findings, Looked, Obstacle, found};
pub(super) use self::plan::TargetPlan;
use super::facts::Known;
use super::{Failover, Manner};
use crate::failure::{OrFail, StepResult, failed, permanent};
use crate::world::World;

/// What the target cloud has to choose from.
struct Target {
    networks: Vec<Network>,
    subnets: Vec<Subnet>,
    security_groups: Vec<SecurityGroup>,
    flavors: Vec<Flavor>,
    /// Whether the tenant has a keypair of this name: many servers share one.
    keypairs: Mutex<BTreeMap<String, bool>>,
    project: ProjectId,
    site_name: String,
}

impl Failover {
    pub(super) async fn preflight(&self, context: &StepContext<'_>) -> StepResult<Value> {
        let mut findings = Findings::default();
        // What was read of the servers is in the journal by now.
        self.survey.lock().await.take();
        self.recording.lock().await.take();
        self.found_before(context.state, &mut findings)?;
        let known = Known::from(context.state)?;
        if self.manner == Manner::Planned {
            let looked = self.check_arrays().await;
            findings.note(looked)?;
        }
        let Some((mut plan, target)) = self.plan(&known, &mut findings).await? else {
            findings.refuse()?;
            return Err(permanent("the target can't be looked at"));
        };
        match self.manner {
            // In need as many are brought up as there is room for; each create tells for itself.
            Manner::Unplanned => self.block(context.state, &mut plan, &findings)?,
            Manner::Planned => {
                let looked = self.check_room(&target, &plan).await;
                findings.note(looked)?;
                findings.refuse()?;
            }
        }
        plan.warnings = findings.warnings();
        serde_json::to_value(plan).or_fail()
    }

    /// Nobody waits for one who can't be brought up; what holds up everybody ends it.
    fn block(&self, state: &State, plan: &mut TargetPlan, findings: &Findings) -> StepResult<()> {
        for finding in findings.blockers() {
            match &finding.member {
                None => return findings.refuse(),
                Some((member, _)) => {
                    plan.members.remove(member);
                    plan.blocked.entry(*member).or_insert_with(|| finding.told());
                }
            }
        }
        let mut members = self.order.members.iter();
        match plan.members.is_empty() && !members.any(|member| self.adopted(state, member).is_some()) {
            true => findings.refuse(),
            false => Ok(()),
        }
    }

    /// The plan for all who can be brought over; `None` where not even that can be told.
    async fn plan(
        &self,
        known: &Known<'_>,
        findings: &mut Findings,
    ) -> StepResult<Option<(TargetPlan, Target)>> {
        let world = &self.world;
        let group = self.group().await?;
        let looked = self.trusted(self.order.target, &group).await;
        let Some(tenant) = findings.note(looked)? else {
            return Ok(None);
        };
        let service = self.service(self.order.target).await?;
        let project = group
            .project(self.order.target)
            .cloned()
            .ok_or_else(|| permanent("the group has no project at the target site"))?;
        let (networks, subnets, security_groups, flavors) = tokio::try_join!(
            world.cloud.networks(&tenant),
            world.cloud.subnets(&tenant),
            world.cloud.security_groups(&tenant),
            world.cloud.flavors(&tenant),
        )
        .or_fail()?;
        let target = Target {
            networks,
            subnets,
            security_groups,
            flavors,
            keypairs: Mutex::default(),
            project: project.clone(),
            site_name: tenant.site_name.clone(),
        };
        let wanted = group
            .document
            .volume_types
            .get(&self.order.target)
            .ok_or_else(|| permanent("the group has no volume type at the target site"))?;
        let looked = self.check_type_is_visible(&tenant, &wanted.name).await;
        findings.note(looked)?;
        let looked = self.volume_host(&service, &wanted.name).await;
        let volume_host = findings.note(looked)?.unwrap_or_default();

        let mut plan = TargetPlan {
            members: BTreeMap::new(),
            blocked: BTreeMap::new(),
            project,
            volume_host,
            volume_type: wanted.name.clone(),
            missing_keypairs: BTreeSet::new(),
            keypairs: BTreeMap::new(),
            warnings: Vec::new(),
        };
        for member in &self.order.members {
            let planned = self
                .plan_member(member, known, &target, &tenant, findings)
                .await?;
            if let Some((of, key, original)) = planned {
                plan.missing_keypairs.extend(key);
                plan.keypairs.extend(of.key_name.clone().zip(original));
                plan.members.insert(member.id, of);
            }
        }
        self.check_addresses(&service, &plan, findings).await?;
        self.check_names(&tenant, findings).await?;
        Ok(Some((plan, target)))
    }

    /// The tenant at a site, if his trust still gives a token there.
    pub(super) async fn trusted(&self, site: SiteId, group: &Group) -> Looked<Access> {
        let remedy = format!(
            "Any member of the project renews it by acting on the group, for example with `openstack protector protection-group sync-force {}`, signed in with a password or by single sign-on.",
            group.document.name
        );
        let access = match self.world.directory.tenant(site, group).await {
            Err(error @ protector_ports::AccessError::NoTrust { .. }) => {
                return Err(found(Check::Trust, sentence(&error.to_string()), ""));
            }
            other => other.or_fail()?,
        };
        match self.world.cloud.owner(&access).await {
            Ok(_) => Ok(access),
            Err(error) if error.class == protector_ports::Class::Permanent => Err(found(
                Check::Trust,
                format!(
                    "The tenant's trust at site '{}' gives no token any more ({}): the user who gave it, or his role in the project, is gone.",
                    access.site_name,
                    error.message.trim_end_matches('.')
                ),
                remedy,
            )),
            Err(error) => Err(failed(error).into()),
        }
    }

    /// Everything that an operation would find, and what only matters to those who prepare for one.
    async fn look(&self, report: &mut Preflight, findings: &mut Findings) -> StepResult<()> {
        let unplanned = self.manner == Manner::Unplanned;
        if unplanned {
            let looked = self.look_at_snapshots(findings).await?;
            report.snapshot = looked;
        } else {
            let looked = self.check_arrays().await;
            findings.note(looked)?;
            self.look_at_replication(findings).await?;
        }
        let facts = match self.manner {
            Manner::Planned => self.look_at_servers(findings).await?,
            Manner::Unplanned => self.look_at_records(report, findings).await?,
        };
        let Some(facts) = facts else { return Ok(()) };
        if let Some((plan, target)) = self.plan(&Known::Read(facts), findings).await? {
            match self.check_room(&target, &plan).await {
                // In need it is tried all the same.
                Err(Obstacle::Found(finding)) if unplanned => findings.0.push(Finding {
                    severity: Severity::Warning,
                    ..finding
                }),
                looked => {
                    findings.note(looked)?;
                }
            }
        }
        Ok(())
    }
}

/// An error's words as the beginning of a message.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters
        .next()
        .map(|c| c.to_uppercase().collect())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// The preflight as a call of its own.
pub struct Looker {
    world: Arc<World>,
}

impl Looker {
    pub fn of(workflows: &crate::Workflows) -> Self {
        Self {
            world: workflows.world.clone(),
        }
    }

    fn failover(&self, work: Work) -> Result<Option<Failover>, DagError> {
        match work {
            Work::PlannedFailover(order) => Failover::planned(self.world.clone(), order).map(Some),
            Work::UnplannedFailover(order) => Failover::unplanned(self.world.clone(), order).map(Some),
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl Preflights for Looker {
    async fn look(&self, work: Work) -> Preflight {
        let mut report = Preflight::default();
        let mut findings = Findings::default();
        match self.failover(work) {
            Ok(Some(failover)) => {
                if let Err(failure) = failover.look(&mut report, &mut findings).await {
                    let remedy = match failure.class {
                        FailureClass::Permanent => "",
                        _ => "Look again when it answers.",
                    };
                    findings
                        .0
                        .push(Finding::blocker(Check::Site, failure.message, remedy));
                }
            }
            Ok(None) => {}
            Err(error) => findings
                .0
                .push(Finding::blocker(Check::Group, error.to_string(), "")),
        }
        report.findings = findings.0;
        report
    }
}
