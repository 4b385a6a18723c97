//! Quotas at the target: of the tenant's project, and of the service's, in which the volumes are for a moment.

use protector_domain::Check;
use protector_ports::cloud::Room;

use super::findings::{Looked, found};
use super::plan::{MemberPlan, TargetPlan};
use super::{Failover, Target};
use crate::ImportAs;
use crate::failover::names::disks;
use crate::failure::OrFail;

/// What there is too little of.
#[derive(Default)]
struct Lacking(Vec<String>);

impl Lacking {
    fn need(&mut self, what: &str, wanted: u64, left: Option<u64>, whose: &str) {
        if let Some(left) = left.filter(|left| *left < wanted) {
            self.0.push(format!(
                "{what} of the {whose} project: {wanted} needed, {left} left"
            ));
        }
    }
}

impl Failover {
    pub(super) async fn check_room(&self, target: &Target, plan: &TargetPlan) -> Looked<()> {
        let cloud = &self.world.cloud;
        let tenant = self.tenant(self.order.target).await?;
        let members = || {
            self.order
                .members
                .iter()
                .filter(|member| plan.members.contains_key(&member.id))
        };
        let plans = || plan.members.values();
        let flavor = |plan: &MemberPlan| target.flavors.iter().find(|flavor| flavor.id == plan.flavor_id);
        let volumes: u64 = members().map(|member| member.volumes.len() as u64).sum();
        let gigabytes: u64 = members()
            .flat_map(|member| &member.volumes)
            .map(|volume| volume.size_gb)
            .sum();

        let mut lacking = Lacking::default();
        let compute = cloud.compute_room(&tenant, &target.project).await.or_fail()?;
        let cores = plans().filter_map(flavor).map(|flavor| flavor.vcpus).sum();
        let ram = plans().filter_map(flavor).map(|flavor| flavor.ram_mb).sum();
        lacking.need(
            "instances",
            plan.members.len() as u64,
            compute.instances,
            "tenant's",
        );
        lacking.need("cores", cores, compute.cores, "tenant's");
        lacking.need("RAM (MiB)", ram, compute.ram_mb, "tenant's");

        let network = cloud.network_room(&tenant, &target.project).await.or_fail()?;
        let ports = plans().map(|plan| plan.ports.len() as u64).sum();
        lacking.need("ports", ports, network.ports, "tenant's");

        let storage = cloud.volume_room(&tenant, &target.project).await.or_fail()?;
        let (kind, of_type) = (&plan.volume_type, |room: &Room| {
            let of = |map: &std::collections::BTreeMap<String, u64>| map.get(&plan.volume_type).copied();
            (of(&room.volumes_of_type), of(&room.gigabytes_of_type))
        });
        lacking.need("volumes", volumes, storage.volumes, "tenant's");
        lacking.need("gigabytes", gigabytes, storage.gigabytes, "tenant's");
        lacking.need(
            &format!("volumes of type {kind}"),
            volumes,
            of_type(&storage).0,
            "tenant's",
        );
        lacking.need(
            &format!("gigabytes of type {kind}"),
            gigabytes,
            of_type(&storage).1,
            "tenant's",
        );

        if self.world.options.import_as == ImportAs::Service {
            // They pass through a few at a time.
            let service = self.service(self.order.target).await?;
            let project = cloud.owner(&service).await.or_fail()?.project_id;
            let passing = cloud.volume_room(&service, &project).await.or_fail()?;
            let at_once = volumes.min(self.world.options.imports_at_once as u64);
            let largest = disks(&self.order)
                .map(|disk| disk.volume.size_gb)
                .max()
                .unwrap_or(0);
            lacking.need("volumes", at_once, passing.volumes, "service's");
            lacking.need("gigabytes", largest, passing.gigabytes, "service's");
        }
        if lacking.0.is_empty() {
            return Ok(());
        }
        Err(found(
            Check::Quota,
            format!(
                "Quota exceeded at site '{}': {}.",
                target.site_name,
                lacking.0.join("; ")
            ),
            "Raise it there, then start again.",
        ))
    }
}
