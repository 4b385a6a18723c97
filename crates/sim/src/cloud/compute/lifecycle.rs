//! What the hypervisor does after the API has answered.

use serde::Serialize;
use serde_json::json;

use super::super::world::World;
use super::super::{network, volume};
use super::Server;

/// What is to happen to a server.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) enum Work {
    Build,
    Stop,
    Start,
    Reboot,
    Delete,
    Shelve,
    Unshelve,
    Attach(String),
    Detach(String),
}

fn set(world: &mut World, id: &str, change: impl FnOnce(&mut Server)) {
    let stamp = world.stamp();
    if let Some(server) = world.compute.servers.get_mut(id) {
        change(server);
        server.updated = stamp;
    }
}

fn settle(world: &mut World, id: &str, vm_state: &str) {
    set(world, id, |server| {
        vm_state.clone_into(&mut server.vm_state);
        server.task_state = None;
    });
}

fn fail(world: &mut World, id: &str, message: &str) {
    let fault = json!({"code": 500, "created": world.stamp(), "message": message, "details": message});
    set(world, id, |server| {
        server.vm_state = "error".to_owned();
        server.task_state = None;
        server.fault = Some(fault);
    });
}

fn plug(world: &mut World, server: &Server, up: bool) {
    let host = world.compute.host.clone();
    for nic in &server.nics {
        network::bind(
            world,
            &nic.port_id,
            &server.id,
            &server.availability_zone,
            &host,
            up,
        );
    }
}

fn connect(world: &mut World, server: &Server) -> Result<(), String> {
    server
        .disks
        .iter()
        .try_for_each(|disk| volume::attach(world, &disk.volume_id, &server.id))
}

pub(in super::super) fn work(world: &mut World, id: &str, work: Work) {
    let Some(server) = world.compute.servers.get(id).cloned() else {
        return;
    };
    // A server that is being deleted is nobody else's business.
    if server.task_state.as_deref() == Some("deleting") && !matches!(work, Work::Delete) {
        return;
    }
    match work {
        Work::Build => {
            let doomed = world
                .compute
                .build_fails
                .iter()
                .find(|(part, _)| server.name.contains(part));
            if let Some((_, message)) = doomed.cloned() {
                return fail(world, id, &message);
            }
            if let Err(reason) = connect(world, &server) {
                return fail(world, id, &format!("Build of instance {id} aborted: {reason}"));
            }
            plug(world, &server, true);
            let stamp = world.stamp();
            set(world, id, |server| server.launched_at = Some(stamp));
            settle(world, id, "active");
        }
        Work::Stop => {
            settle(world, id, "stopped");
            plug(world, &server, false);
        }
        Work::Start | Work::Reboot => {
            settle(world, id, "active");
            plug(world, &server, true);
        }
        Work::Shelve => {
            for disk in &server.disks {
                volume::detach(world, &disk.volume_id, id);
                volume::reserve(world, &disk.volume_id, id, &disk.device);
            }
            plug(world, &server, false);
            settle(world, id, "shelved_offloaded");
        }
        Work::Unshelve => match connect(world, &server) {
            Ok(()) => {
                settle(world, id, "active");
                plug(world, &server, true);
            }
            Err(reason) => fail(world, id, &reason),
        },
        Work::Attach(volume_id) => {
            let attached = ["active", "stopped"].contains(&server.vm_state.as_str());
            if attached && volume::attach(world, &volume_id, id).is_err() {
                volume::unreserve(world, &volume_id, id);
                set(world, id, |server| {
                    server.disks.retain(|disk| disk.volume_id != volume_id)
                });
            }
        }
        Work::Detach(volume_id) => {
            volume::detach(world, &volume_id, id);
            set(world, id, |server| {
                server.disks.retain(|disk| disk.volume_id != volume_id)
            });
        }
        Work::Delete => {
            for disk in &server.disks {
                volume::detach(world, &disk.volume_id, id);
                if disk.delete_on_termination {
                    volume::work(world, &disk.volume_id, volume::Work::Delete);
                }
            }
            for nic in &server.nics {
                network::release(world, &nic.port_id, nic.preexisting);
            }
            for group in world.compute.server_groups.iter_mut() {
                if let Some(members) = group["members"].as_array_mut() {
                    members.retain(|member| member != id);
                }
            }
            if let Some(mut gone) = world.compute.servers.remove(id) {
                gone.vm_state = "deleted".to_owned();
                gone.task_state = None;
                gone.updated = world.stamp();
                gone.disks.clear();
                gone.nics.clear();
                gone.metadata.clear();
                gone.tags.clear();
                world.compute.gone.push(gone);
            }
        }
    }
}
