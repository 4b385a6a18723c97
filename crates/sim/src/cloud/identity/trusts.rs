//! OS-TRUST: a user lends roles in a project to another user.

use chrono::{DateTime, NaiveDateTime};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::table::Record;
use super::super::world::{World, hex};
use super::Identity;

/// A trust.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) struct Trust {
    pub id: String,
    pub trustor: String,
    pub trustee: String,
    pub project: String,
    pub impersonation: bool,
    pub role_ids: Vec<String>,
    pub expires: Option<u64>,
    pub remaining_uses: Option<u64>,
}

impl Record for Trust {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Trust {
    /// Whom a token of this trust stands for.
    pub fn holder(&self) -> &str {
        if self.impersonation {
            &self.trustor
        } else {
            &self.trustee
        }
    }

    /// The lent roles with what they imply, if the trustor still holds them.
    pub fn roles(&self, world: &World) -> Result<Vec<String>, Fault> {
        let identity = &world.identity;
        if self.expires.is_some_and(|expires| expires <= world.now) {
            return Err(Fault::unauthorized());
        }
        if !Identity::enabled(&identity.users, &self.trustor) {
            return Err(Fault::forbidden("Trustor is disabled."));
        }
        let held = identity.roles_of(&self.trustor, &self.project);
        let mut roles = Vec::new();
        for role in &self.role_ids {
            if !held.contains(role) {
                return Err(Fault::forbidden(
                    "You are not authorized to perform the requested action.",
                ));
            }
            for implied in identity.implied(role) {
                if !roles.contains(&implied) {
                    roles.push(implied);
                }
            }
        }
        Ok(roles)
    }

    fn view(&self, world: &World, base: &str) -> Value {
        let roles = self.role_ids.iter().filter_map(|id| world.identity.roles.get(id));
        let expires = self.expires.map(World::keystone_time);
        json!({
            "id": self.id, "trustor_user_id": self.trustor, "trustee_user_id": self.trustee, "project_id": self.project,
            "impersonation": self.impersonation, "expires_at": expires, "deleted_at": null,
            "remaining_uses": self.remaining_uses, "redelegation_count": 0,
            "roles": roles.map(|role| json!({"id": role["id"], "name": role["name"], "domain_id": null})).collect::<Vec<_>>(),
            "roles_links": {"self": format!("{base}/OS-TRUST/trusts/{}/roles", self.id), "next": null, "previous": null},
            "links": {"self": format!("{base}/OS-TRUST/trusts/{}", self.id)}
        })
    }
}

/// Use a trust for a new token. Gives the project and the moment at which the trust ends.
pub(super) fn claim(world: &mut World, id: &str, user: &str) -> Result<(String, Option<u64>), Fault> {
    let trust = world
        .identity
        .trusts
        .get(id)
        .cloned()
        .ok_or_else(Fault::unauthorized)?;
    if trust.trustee != user {
        return Err(Fault::forbidden(
            "You are not authorized to perform the requested action.",
        ));
    }
    trust.roles(world)?;
    if let Some(trust) = world.identity.trusts.get_mut(id) {
        match trust.remaining_uses {
            Some(0) => return Err(Fault::unauthorized()),
            Some(uses) => trust.remaining_uses = Some(uses - 1),
            None => {}
        }
    }
    Ok((trust.project, trust.expires))
}

pub(super) fn route(world: &mut World, ask: &Ask, rest: &[&str]) -> Reply {
    if ask.caller.delegated && ask.method != "GET" {
        return Err(Fault::forbidden("Delegated tokens cannot manage trusts"));
    }
    let unknown = |id: &str| Fault::missing(format!("Could not find trust: {id}."));
    let own = |trust: &Trust| trust.trustor == ask.caller.user_id || trust.trustee == ask.caller.user_id;
    match (ask.method.as_str(), rest) {
        ("GET", []) => {
            let asked = |key: &str, value: &str| ask.query(key).is_none_or(|wanted| wanted == value);
            let filtered = ask.query("trustor_user_id").is_some() || ask.query("trustee_user_id").is_some();
            if !ask.caller.admin && !filtered {
                return Err(Fault::forbidden(
                    "You are not authorized to perform the requested action: identity:list_trusts.",
                ));
            }
            let trusts = world.identity.trusts.iter().filter(|trust| {
                (ask.caller.admin || own(trust))
                    && asked("trustor_user_id", &trust.trustor)
                    && asked("trustee_user_id", &trust.trustee)
            });
            let mut trusts: Vec<Value> = trusts.map(|trust| trust.view(world, &ask.base)).collect();
            for trust in &mut trusts {
                // A list doesn't say which roles.
                if let Some(fields) = trust.as_object_mut() {
                    fields.remove("roles");
                    fields.remove("roles_links");
                }
            }
            let links =
                json!({"self": format!("{}/OS-TRUST/trusts", ask.base), "next": null, "previous": null});
            Ok(Answer::ok(json!({"trusts": trusts, "links": links})))
        }
        ("POST", []) => create(world, ask),
        ("GET" | "HEAD", [id]) => {
            let trust = world.identity.trusts.get(id).ok_or_else(|| unknown(id))?;
            if !(own(trust) || ask.caller.admin) {
                return Err(Fault::forbidden(
                    "You are not authorized to perform the requested action: identity:get_trust.",
                ));
            }
            Ok(Answer::ok(json!({"trust": trust.view(world, &ask.base)})))
        }
        ("GET", [id, "roles"]) => {
            let trust = world.identity.trusts.get(id).ok_or_else(|| unknown(id))?;
            Ok(Answer::ok(
                json!({"roles": trust.view(world, &ask.base)["roles"], "links": {}}),
            ))
        }
        ("DELETE", [id]) => {
            let trust = world.identity.trusts.get(id).ok_or_else(|| unknown(id))?;
            if trust.trustor != ask.caller.user_id && !ask.caller.admin {
                return Err(Fault::forbidden("Only admin or trustor can delete a trust"));
            }
            world.identity.trusts.remove(id);
            world
                .identity
                .tokens
                .retain(|_, token| token.trust.as_deref() != Some(*id));
            Ok(Answer::empty(204))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}

fn create(world: &mut World, ask: &Ask) -> Reply {
    let wanted = Value::Object(ask.object("trust")?.clone());
    let field = |key: &str| {
        wanted[key]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Fault::bad(format!("'{key}' is a required property")))
    };
    let (trustor, trustee) = (field("trustor_user_id")?, field("trustee_user_id")?);
    let impersonation = wanted["impersonation"]
        .as_bool()
        .ok_or_else(|| Fault::bad("'impersonation' is a required property"))?;
    if trustor != ask.caller.user_id {
        return Err(Fault::forbidden(
            "You are not authorized to perform the requested action: The authenticated user should match the trustor",
        ));
    }
    let identity = &world.identity;
    if identity.users.get(&trustee).is_none() {
        return Err(Fault::missing(format!("Could not find user: {trustee}.")));
    }
    let project = field("project_id")?;
    let asked = wanted["roles"]
        .as_array()
        .filter(|roles| !roles.is_empty())
        .ok_or_else(|| Fault::forbidden("At least one role should be specified"))?;
    let held = identity.roles_of(&trustor, &project);
    let mut role_ids = Vec::new();
    for role in asked {
        let found = match (role["id"].as_str(), role["name"].as_str()) {
            (Some(id), None) => identity.roles.get(id),
            (None, Some(name)) => identity.roles.iter().find(|role| role["name"] == name),
            _ => return Err(Fault::bad("A role has either an id or a name")),
        };
        let id = found
            .and_then(|role| role["id"].as_str())
            .filter(|id| held.iter().any(|own| own == id));
        let shown = role["id"].as_str().or(role["name"].as_str()).unwrap_or_default();
        role_ids.push(
            id.ok_or_else(|| Fault::missing(format!("Could not find role: {shown}.")))?
                .to_owned(),
        );
    }
    let expires = match wanted["expires_at"].as_str() {
        Some(text) => Some(moment(text).filter(|at| *at > world.now).ok_or_else(|| {
            Fault::bad("The 'expires_at' must not be before now. The server could not comply with the request since it is either malformed or otherwise incorrect.")
        })?),
        None => None,
    };
    let trust = Trust {
        id: hex(),
        trustor,
        trustee,
        project,
        impersonation,
        role_ids,
        expires,
        remaining_uses: wanted["remaining_uses"].as_u64(),
    };
    let view = trust.view(world, &ask.base);
    world.identity.trusts.add(trust);
    Ok(Answer::json(201, json!({"trust": view})))
}

fn moment(text: &str) -> Option<u64> {
    let at = DateTime::parse_from_rfc3339(text)
        .map(|at| at.timestamp_millis())
        .or_else(|_| {
            NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), "%Y-%m-%dT%H:%M:%S%.f")
                .map(|at| at.and_utc().timestamp_millis())
        });
    at.ok().and_then(|at| u64::try_from(at).ok())
}
