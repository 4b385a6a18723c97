//! What is asked of a server under `/action`.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::world::{Job, World};
use super::{Work, find};

/// An action that takes its time: from which states, under which task, to what end.
struct Change {
    verb: &'static str,
    from: &'static [&'static str],
    task: &'static str,
    work: Work,
}

fn change(action: &str) -> Option<Change> {
    let change = |verb, from, task, work| {
        Some(Change {
            verb,
            from,
            task,
            work,
        })
    };
    match action {
        "os-stop" => change("stop", &["active", "error"], "powering-off", Work::Stop),
        "os-start" => change("start", &["stopped"], "powering-on", Work::Start),
        "reboot" => change(
            "reboot",
            &["active", "stopped", "paused", "suspended", "error"],
            "rebooting",
            Work::Reboot,
        ),
        "shelve" => change(
            "shelve",
            &["active", "stopped", "paused", "suspended"],
            "shelving",
            Work::Shelve,
        ),
        "unshelve" => change(
            "unshelve",
            &["shelved", "shelved_offloaded"],
            "unshelving",
            Work::Unshelve,
        ),
        _ => None,
    }
}

pub(super) fn act(world: &mut World, ask: &Ask, id: &str) -> Reply {
    let body = ask
        .body
        .as_object()
        .ok_or_else(|| Fault::bad("Malformed request body"))?;
    let (action, input) = body
        .iter()
        .next()
        .ok_or_else(|| Fault::bad("There is no such action"))?;
    find(world, ask, id)?;
    match action.as_str() {
        "lock" => {
            let server = find(world, ask, id)?;
            server.locked = true;
            server.locked_reason = input["locked_reason"].as_str().map(str::to_owned);
            return Ok(Answer::empty(202));
        }
        "unlock" => {
            let server = find(world, ask, id)?;
            server.locked = false;
            server.locked_reason = None;
            return Ok(Answer::empty(202));
        }
        "os-resetState" => {
            world
                .policies
                .admin(&ask.caller, "os_compute_api:os-admin-actions:reset_state")?;
            let server = find(world, ask, id)?;
            server.vm_state = input["state"].as_str().unwrap_or("error").to_owned();
            server.task_state = None;
            return Ok(Answer::empty(202));
        }
        "forceDelete" => {
            find(world, ask, id)?.task_state = Some("deleting".to_owned());
            world.later(world.delays.delete, Job::Server(id.to_owned(), Work::Delete));
            return Ok(Answer::empty(202));
        }
        "os-getConsoleOutput" => return Ok(Answer::ok(json!({"output": ""}))),
        "addSecurityGroup" | "removeSecurityGroup" => return security_group(world, ask, id, action, input),
        _ => {}
    }
    let change = change(action).ok_or_else(|| Fault::bad(format!("There is no such action: {action}")))?;
    let admin = ask.caller.admin;
    let delay = if matches!(change.work, Work::Stop | Work::Shelve) {
        world.delays.stop
    } else {
        world.delays.start
    };
    let server = find(world, ask, id)?;
    if server.locked && !admin {
        return Err(Fault::conflict(format!("Instance {id} is locked")));
    }
    let in_state = |attribute: &str, state: &str| {
        Fault::conflict(format!(
            "Cannot '{}' instance {id} while it is in {attribute} {state}",
            change.verb
        ))
    };
    if !change.from.contains(&server.vm_state.as_str()) {
        return Err(in_state("vm_state", &server.vm_state));
    }
    if let Some(task) = &server.task_state {
        return Err(in_state("task_state", task));
    }
    server.task_state = Some(change.task.to_owned());
    world.later(delay, Job::Server(id.to_owned(), change.work));
    Ok(Answer::empty(202))
}

fn security_group(world: &mut World, ask: &Ask, id: &str, action: &str, input: &Value) -> Reply {
    let server = find(world, ask, id)?.clone();
    let name = input["name"].as_str().unwrap_or_default();
    let group = world.network.security_groups.iter().find(|group| {
        group["project_id"] == server.project_id.as_str() && (group["name"] == name || group["id"] == name)
    });
    let group = group.ok_or_else(|| {
        Fault::missing(format!(
            "Security group {name} not found for project {}.",
            server.project_id
        ))
    })?["id"]
        .clone();
    for nic in &server.nics {
        if let Some(own) = world
            .network
            .ports
            .get_mut(&nic.port_id)
            .and_then(|port| port["security_groups"].as_array_mut())
        {
            own.retain(|own| *own != group);
            if action.starts_with("add") {
                own.push(group.clone());
            }
        }
    }
    Ok(Answer::empty(202))
}
