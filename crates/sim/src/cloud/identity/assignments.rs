//! Who has which role where.

use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::world::World;
use super::Assignment;
use super::tokens::domain;

pub(super) fn own_projects(world: &World, ask: &Ask, user: &str) -> Reply {
    if user != ask.caller.user_id && !ask.caller.admin {
        return Err(Fault::forbidden(
            "You are not authorized to perform the requested action: identity:list_user_projects.",
        ));
    }
    let identity = &world.identity;
    let projects: Vec<&Value> = identity
        .projects
        .iter()
        .filter(|project| {
            let id = project["id"].as_str().unwrap_or_default();
            identity
                .assignments
                .iter()
                .any(|held| held.user == user && held.project == id)
        })
        .collect();
    Ok(Answer::ok(
        json!({"projects": projects, "links": {"next": null, "previous": null}}),
    ))
}

pub(super) fn list(world: &World, ask: &Ask) -> Reply {
    let identity = &world.identity;
    let wanted = |key: &str, value: &str| ask.query(key).is_none_or(|wanted| wanted == value);
    if !ask.caller.admin && ask.query("user.id") != Some(&ask.caller.user_id) {
        return Err(Fault::forbidden(
            "You are not authorized to perform the requested action: identity:list_role_assignments.",
        ));
    }
    let mut found = Vec::new();
    for held in &identity.assignments {
        if !(wanted("user.id", &held.user) && wanted("scope.project.id", &held.project)) {
            continue;
        }
        let roles = if ask.query("effective").is_some() {
            identity.implied(&held.role)
        } else {
            vec![held.role.clone()]
        };
        for role in roles.into_iter().filter(|role| wanted("role.id", role)) {
            let name = |table: &super::Table<Value>, id: &str| {
                let item = table.get(id).cloned().unwrap_or_default();
                let mut shown = json!({"id": id});
                if ask.query("include_names").is_some() {
                    shown["name"] = item["name"].clone();
                    shown["domain"] = domain(identity, &item);
                }
                shown
            };
            let mut shown_role = name(&identity.roles, &role);
            if let Some(fields) = shown_role.as_object_mut() {
                fields.remove("domain");
            }
            found.push(json!({
                "user": name(&identity.users, &held.user), "role": shown_role,
                "scope": {"project": name(&identity.projects, &held.project)},
                "links": {"assignment": format!("{}/projects/{}/users/{}/roles/{role}", ask.base, held.project, held.user)}
            }));
        }
    }
    Ok(Answer::ok(
        json!({"role_assignments": found, "links": {"next": null, "previous": null}}),
    ))
}

pub(super) fn grant(
    world: &mut World,
    ask: &Ask,
    method: &str,
    project: &str,
    user: &str,
    role: Option<&str>,
) -> Reply {
    if !ask.caller.admin {
        return Err(Fault::forbidden(
            "You are not authorized to perform the requested action: identity:create_grant.",
        ));
    }
    let identity = &mut world.identity;
    for (table, id, what) in [
        (&identity.projects, project, "project"),
        (&identity.users, user, "user"),
    ] {
        if table.get(id).is_none() {
            return Err(Fault::missing(format!("Could not find {what}: {id}.")));
        }
    }
    let Some(role) = role else {
        let held = identity
            .assignments
            .iter()
            .filter(|held| held.user == user && held.project == project);
        let roles: Vec<&Value> = held.filter_map(|held| identity.roles.get(&held.role)).collect();
        return Ok(Answer::ok(json!({"roles": roles, "links": {}})));
    };
    if identity.roles.get(role).is_none() {
        return Err(Fault::missing(format!("Could not find role: {role}.")));
    }
    let wanted = Assignment {
        user: user.to_owned(),
        project: project.to_owned(),
        role: role.to_owned(),
    };
    let there = identity.assignments.contains(&wanted);
    match method {
        "PUT" => {
            if !there {
                identity.assignments.push(wanted);
            }
            Ok(Answer::empty(204))
        }
        "HEAD" | "GET" if there => Ok(Answer::empty(204)),
        "DELETE" if there => {
            identity.assignments.retain(|held| *held != wanted);
            Ok(Answer::empty(204))
        }
        _ => Err(Fault::missing(format!(
            "Could not find role assignment with role: {role}."
        ))),
    }
}
