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
/// So many calls that are answered at once are under way at a time.
const CALLS_AT_ONCE: usize = 16;
const MINUTE: Duration = Duration::from_secs(60);

/// Stop, send what was written last, fence, and make it all anew on the other side.
pub(crate) fn planned(options: &Options, order: &FailoverOrder) -> Result<Dag, DagError> {
    let mut nodes = vec![
        compensatable(step::RECEIPT, &[], PREPARE).within(options.receipt_patience + MINUTE),
        compensatable(step::INSPECT, &[step::RECEIPT], PREPARE),
    ];
    inspections(order, &mut nodes);
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
        nodes.push(
            retriable(step::lock(member), &[step::COMMIT], FINISH).in_lane("lock", options.servers_at_once),
        );
    }
    nodes.push(retriable(step::REVERSE, &[step::COMMIT], FINISH).within(Duration::from_secs(400)));
    Dag::new(nodes)
}

/// Fence first, then choose among what has come over. Nothing asks the other site.
pub(crate) fn unplanned(options: &Options, order: &FailoverOrder) -> Result<Dag, DagError> {
    let mut nodes = Vec::new();
    let mut before = Vec::new();
    if order.adopts.is_some() {
        nodes.push(compensatable(step::ADOPT, &[], PREPARE));
        before.push(step::ADOPT);
    }
    nodes.push(compensatable(step::INSPECT, &before, PREPARE));
    inspections(order, &mut nodes);
    nodes.push(compensatable(step::FENCE, &[step::PREFLIGHT], STORAGE));
    nodes.push(compensatable(step::CHOICE, &[step::FENCE], STORAGE));
    twins(options, order, step::CHOICE, &mut nodes);
    for member in &order.members {
        nodes.push(
            retriable(step::give_up(member), &[step::COMMIT], FINISH)
                .within(options.server_patience * 2 + MINUTE),
        );
    }
    Dag::new(nodes)
}

/// One look at all, a record of each, and what follows from all of them. A record of each, because one of thousands
/// would be too large for a line of the journal.
fn inspections(order: &FailoverOrder, nodes: &mut Vec<Node>) {
    let mut inspected = Vec::new();
    for member in &order.members {
        let name = step::inspect(member);
        nodes.push(compensatable(&name, &[step::INSPECT], PREPARE).in_lane("inspect", 64));
        inspected.push(name);
    }
    nodes.push(compensatable(step::PREFLIGHT, &refs(&inspected), PREPARE));
}

/// From the clones to the servers that run, and the point of no return behind them. A server boots as soon as it has
/// its own disks: the cloud's slowest work, importing and booting, overlaps.
fn twins(options: &Options, order: &FailoverOrder, after: &str, nodes: &mut Vec<Node>) {
    nodes.push(compensatable(step::KEYPAIRS, &[after], INSTANCES));
    let mut booted = Vec::new();
    let mut disks = disks(order).peekable();
    for member in &order.members {
        let mut needs = vec![step::KEYPAIRS.to_owned()];
        while let Some(disk) = disks.next_if(|disk| disk.member.id == member.id) {
            nodes.push(compensatable(step::clone(disk), &[after], STORAGE).in_lane("clone", CALLS_AT_ONCE));
            nodes.push(
                compensatable(step::import(disk), &[&step::clone(disk)], STORAGE)
                    .within(Duration::from_secs(600))
                    .in_lane("import", options.imports_at_once),
            );
            nodes.push(
                compensatable(step::hand_over(disk), &[&step::import(disk)], STORAGE)
                    .in_lane("hand-over", CALLS_AT_ONCE),
            );
            needs.push(step::hand_over(disk));
        }
        // As late as can be: of all that comes before the pivot it alone can't be taken back. The old server was stopped for
        // good, and all that it had stays.
        if member.left.contains_key(&order.target) {
            nodes.push(
                compensatable(step::replace(member), &refs(&needs), INSTANCES)
                    .within(options.server_patience + MINUTE)
                    .in_lane("replace", options.servers_at_once),
            );
            needs = vec![step::replace(member)];
        }
        nodes.push(
            compensatable(step::ports(member), &refs(&needs), INSTANCES).in_lane("ports", CALLS_AT_ONCE),
        );
        let name = step::boot(member);
        nodes.push(
            compensatable(&name, &[&step::ports(member)], INSTANCES)
                .within(options.server_patience + MINUTE)
                .in_lane("boot", options.servers_at_once),
        );
        booted.push(name);
    }
    // Cinder takes volumes that are free or in use into a group, and none that are on their way between the two.
    nodes.push(compensatable(step::VOLUME_GROUP, &refs(&booted), INSTANCES));
    nodes.push(pivot(step::COMMIT, &[step::VOLUME_GROUP], FINISH));
}

fn refs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
