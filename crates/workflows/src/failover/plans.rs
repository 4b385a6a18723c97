//! The two plans: what is done after what.

use std::time::Duration;

use protector_domain::{FailoverOrder, Phase};
use protector_saga::{Dag, DagError, Node};

use super::names::{disks, step};
use crate::Options;
use crate::plan::{Shape, compensatable, pivot, retriable};

const PREPARE: &str = Phase::Prepare.as_str();
const STORAGE: &str = Phase::StorageFailover.as_str();
const INSTANCES: &str = Phase::InstanceRecreation.as_str();
const FINISH: &str = Phase::Finalization.as_str();
const MINUTE: Duration = Duration::from_secs(60);

/// Stop, send what was written last, fence, and make it all anew on the other side.
pub(super) fn planned(options: &Options, order: &FailoverOrder) -> Result<Dag, DagError> {
    let mut nodes = vec![
        compensatable(step::RECEIPT, &[], PREPARE).within(options.receipt_patience + MINUTE),
        compensatable(step::INSPECT, &[step::RECEIPT], PREPARE),
        compensatable(step::PREFLIGHT, &[step::INSPECT], PREPARE),
    ];
    let mut stops = Vec::new();
    for member in &order.members {
        let name = step::stop(member);
        nodes.push(
            // Once its twin is gone it starts again, whatever else can't be taken back.
            compensatable(&name, &[step::PREFLIGHT], STORAGE)
                .undone_after(&[&step::boot(member)])
                .within(options.server_patience + MINUTE)
                .in_lane("stop", options.servers_at_once),
        );
        stops.push(name);
    }
    nodes.push(
        compensatable(step::SNAPSHOT, &refs(&stops), STORAGE).within(options.replication_patience + MINUTE),
    );
    nodes.push(compensatable(step::FENCE, &[step::SNAPSHOT], STORAGE));
    twins(options, order, step::FENCE, &mut nodes);
    for member in &order.members {
        nodes.push(retriable(step::lock(member), &[step::COMMIT], FINISH));
    }
    nodes.push(retriable(step::REVERSE, &[step::COMMIT], FINISH).within(Duration::from_secs(400)));
    Dag::new(nodes)
}

/// Fence first, then choose among what has come over. Nothing asks the other site.
pub(super) fn unplanned(options: &Options, order: &FailoverOrder) -> Result<Dag, DagError> {
    let mut nodes = vec![
        compensatable(step::INSPECT, &[], PREPARE),
        compensatable(step::PREFLIGHT, &[step::INSPECT], PREPARE),
        compensatable(step::FENCE, &[step::PREFLIGHT], STORAGE),
        compensatable(step::CHOICE, &[step::FENCE], STORAGE),
    ];
    twins(options, order, step::CHOICE, &mut nodes);
    for member in &order.members {
        nodes.push(
            retriable(step::give_up(member), &[step::COMMIT], FINISH)
                .within(options.server_patience * 2 + MINUTE),
        );
    }
    Dag::new(nodes)
}

/// From the clones to the servers that run, and the point of no return behind them.
fn twins(options: &Options, order: &FailoverOrder, after: &str, nodes: &mut Vec<Node>) {
    let mut handed_over = Vec::new();
    for disk in disks(order) {
        nodes.push(compensatable(step::clone(disk), &[after], STORAGE).in_lane("clone", 16));
        nodes.push(
            compensatable(step::import(disk), &[&step::clone(disk)], STORAGE)
                .within(Duration::from_secs(600))
                .in_lane("import", options.imports_at_once),
        );
        nodes.push(compensatable(
            step::hand_over(disk),
            &[&step::import(disk)],
            STORAGE,
        ));
        handed_over.push(step::hand_over(disk));
    }
    nodes.push(compensatable(step::VOLUME_GROUP, &refs(&handed_over), STORAGE));
    nodes.push(compensatable(step::KEYPAIRS, &[step::VOLUME_GROUP], INSTANCES));
    let mut booted = Vec::new();
    for member in &order.members {
        nodes.push(compensatable(
            step::ports(member),
            &[step::VOLUME_GROUP],
            INSTANCES,
        ));
        let name = step::boot(member);
        nodes.push(
            compensatable(&name, &[&step::ports(member), step::KEYPAIRS], INSTANCES)
                .within(options.server_patience + MINUTE)
                .in_lane("boot", options.servers_at_once),
        );
        booted.push(name);
    }
    nodes.push(pivot(step::COMMIT, &refs(&booted), FINISH));
}

fn refs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
