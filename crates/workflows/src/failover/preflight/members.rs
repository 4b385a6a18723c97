//! How the twin of one server is to be.

use std::collections::HashMap;

use protector_domain::{Check, Finding, FlavorId, Member, ServerId};
use protector_ports::cloud::{Access, Flavor, Keypair, Server};
use protector_ports::error::Absent;

use super::findings::{Findings, Looked, found};
use super::plan::MemberPlan;
use super::{Failover, Target};
use crate::failover::facts::{Known, MemberFacts};
use crate::failover::names::OPERATION_KEY;
use crate::failover::replace::may_run;
use crate::failure::{OrFail, StepResult};

impl Failover {
    /// The twin, the name of a keypair that has to be made for it, and the source's keypair; `None` where something stands in its way.
    pub(super) async fn plan_member(
        &self,
        member: &Member,
        known: &Known<'_>,
        target: &Target,
        tenant: &Access,
        findings: &mut Findings,
    ) -> StepResult<Option<(MemberPlan, Option<String>, Option<Keypair>)>> {
        let Some(of) = known.of(member)? else {
            // Of a server that could be asked it was told already why it isn't known.
            if self.manner == super::Manner::Unplanned {
                findings.0.push(Finding::blocker(
                    Check::Server,
                    format!("Nothing is recorded of server '{}', so it can't be made anew: it was protected too shortly before.", member.instance_name),
                    "Look at the site that is lost: the server may still be there when it returns.",
                ).of(member.id, &member.instance_name));
            }
            return Ok(None);
        };
        let flavor = findings.note_of(member, Check::Flavor, self.flavor(target, &of.server))?;
        let mut ports = Vec::new();
        for (index, port) in of.ports.iter().enumerate() {
            ports.extend(findings.note_of(
                member,
                Check::Network,
                self.port(target, known.surroundings(), &of, port, index),
            )?);
        }
        let looked = self.keypair(target, tenant, &of).await;
        let key = findings.note_of(member, Check::Keypair, looked)?;
        let (Some(flavor_id), Some(key)) = (flavor, key) else {
            return Ok(None);
        };
        if ports.len() < of.ports.len() {
            return Ok(None);
        }
        let missing = key
            .as_ref()
            .filter(|(_, there)| !there)
            .map(|(name, _)| name.clone());
        let availability_zone = of
            .server
            .availability_zone
            .as_ref()
            .and_then(|zone| self.order.mappings.availability_zones.get(zone))
            .cloned();
        let plan = MemberPlan {
            flavor_id,
            availability_zone,
            key_name: key.map(|(name, _)| name),
            ports,
        };
        Ok(Some((plan, missing, of.keypair.clone())))
    }

    fn flavor(&self, target: &Target, server: &Server) -> Looked<FlavorId> {
        let source = &server.flavor;
        if let Some(wanted) = self.order.mappings.flavors.get(&source.original_name) {
            return target
                .flavors
                .iter()
                .find(|flavor| flavor.name == *wanted || flavor.id.as_str() == wanted)
                .map(|flavor| flavor.id.clone())
                .ok_or_else(|| {
                    found(
                        Check::Flavor,
                        format!(
                            "Flavor '{wanted}', which the mapping names, does not exist at site '{}'.",
                            target.site_name
                        ),
                        format!(
                            "Map an existing one with --flavor-mapping {}=FLAVOR.",
                            source.original_name
                        ),
                    )
                });
        }
        let alike = |flavor: &&Flavor| flavor.vcpus == source.vcpus && flavor.ram_mb == source.ram_mb;
        target
            .flavors
            .iter()
            .find(|flavor| flavor.name == source.original_name)
            .or_else(|| {
                target
                    .flavors
                    .iter()
                    .find(|flavor| alike(flavor) && flavor.disk_gb == source.disk_gb)
            })
            .map(|flavor| flavor.id.clone())
            .ok_or_else(|| {
                found(
                    Check::Flavor,
                    format!(
                        "Site '{}' has no flavor '{}' and none with {} vCPUs and {} MiB.",
                        target.site_name, source.original_name, source.vcpus, source.ram_mb
                    ),
                    format!("Map one with --flavor-mapping {}=FLAVOR.", source.original_name),
                )
            })
    }

    /// The name of the twin's keypair, and whether the tenant has it there. Where he hasn't, it is made from what
    /// was read at the source.
    async fn keypair(
        &self,
        target: &Target,
        tenant: &Access,
        member: &MemberFacts,
    ) -> Looked<Option<(String, bool)>> {
        let Some(name) = &member.server.key_name else {
            return Ok(None);
        };
        let has = async |name: &str| -> StepResult<bool> {
            let mut known = target.keypairs.lock().await;
            if let Some(known) = known.get(name) {
                return Ok(*known);
            }
            let keypair = self.world.cloud.keypair(tenant, name, None).await;
            let there = keypair.absent().or_fail()?.is_some();
            known.insert(name.to_owned(), there);
            Ok(there)
        };
        let mapped = self.order.mappings.keypairs.get(name);
        let wanted = mapped.unwrap_or(name);
        let (server, site) = (&member.server.name, &tenant.site_name);
        match (has(wanted).await?, mapped, &member.keypair) {
            (true, _, _) => Ok(Some((wanted.clone(), true))),
            (false, None, Some(_)) => Ok(Some((name.clone(), false))),
            // Whoever asks for another key doesn't want the old one.
            (false, Some(_), _) => Err(found(
                Check::Keypair,
                format!(
                    "Keypair '{wanted}', which the mapping names for server '{server}', does not exist at site '{site}'."
                ),
                format!(
                    "Create it there as the user who gave the trust, or leave --keypair-mapping {name}= away."
                ),
            )),
            (false, None, None) => Err(found(
                Check::Keypair,
                format!(
                    "Keypair '{name}' of server '{server}' can't be read at the source and does not exist at site '{site}'."
                ),
                format!("Create it there, or map another with --keypair-mapping {name}=KEYPAIR."),
            )),
        }
    }

    /// Nova lets two servers have one name; whoever looks for his server should know.
    pub(super) async fn check_names(&self, tenant: &Access, findings: &mut Findings) -> StepResult<()> {
        let there = self.world.cloud.servers(tenant, false).await.or_fail()?;
        let left: HashMap<&ServerId, &Member> = self
            .order
            .members
            .iter()
            .filter_map(|member| Some((&self.left(member)?.instance_id, member)))
            .collect();
        for server in there.iter().filter(|server| may_run(server)) {
            if let Some(member) = left.get(&server.id) {
                findings.0.push(
                    Finding::blocker(
                        Check::Server,
                        format!(
                            "The old server '{}' ({}) at site '{}' is {}: it was left stopped there, and is replaced by the way back.",
                            server.name, server.id, tenant.site_name, server.status
                        ),
                        "Stop it: what it wrote since is not in the group's data, and goes with it.",
                    )
                    .of(member.id, &member.instance_name),
                );
            }
        }
        let others = there
            .iter()
            .filter(|server| !self.is_ours(server) && !left.contains_key(&server.id));
        let names: HashMap<&str, &Server> = others.map(|server| (server.name.as_str(), server)).collect();
        for member in &self.order.members {
            if let Some(server) = names.get(member.instance_name.as_str()) {
                findings.0.push(
                    Finding::warning(
                        Check::Server,
                        format!(
                            "Site '{}' has a server '{}' already ({}), so there will be two of that name.",
                            tenant.site_name, server.name, server.id
                        ),
                        "Rename it, or delete it, if that is not meant.",
                    )
                    .of(member.id, &member.instance_name),
                );
            }
        }
        Ok(())
    }

    /// Made by this operation, before a crash.
    fn is_ours(&self, server: &Server) -> bool {
        server.metadata.get(OPERATION_KEY) == Some(&self.order.maker().to_string())
    }
}
