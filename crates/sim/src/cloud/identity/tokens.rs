//! Tokens: who gets one, what is in it, how long it is good.

use serde::Serialize;
use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Reply};
use super::super::fault::Fault;
use super::super::policy::Caller;
use super::super::world::{World, hex};
use super::{Identity, catalog};

/// An issued token. What it shows is found out when it is shown, as Keystone does.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) struct Token {
    pub user: String,
    pub project: Option<String>,
    pub methods: Vec<String>,
    pub trust: Option<String>,
    pub application_credential: Option<String>,
    pub issued: u64,
    pub expires: u64,
    pub audit: String,
}

impl Token {
    /// Whom the token stands for and with which roles; none if it is no longer good.
    fn holder(&self, world: &World) -> Option<(String, Vec<String>)> {
        let identity = &world.identity;
        if self.expires <= world.now || !Identity::enabled(&identity.users, &self.user) {
            return None;
        }
        if let Some(id) = &self.trust {
            let trust = identity.trusts.get(id)?;
            let roles = trust.roles(world).ok()?;
            return Some((trust.holder().to_owned(), roles));
        }
        if let Some(id) = &self.application_credential {
            identity.application_credentials.get(id)?;
        }
        let Some(project) = &self.project else {
            return Some((self.user.clone(), Vec::new()));
        };
        let roles = identity.roles_of(&self.user, project);
        (!roles.is_empty() && Identity::enabled(&identity.projects, project))
            .then(|| (self.user.clone(), roles))
    }

    pub fn caller(&self, world: &World) -> Option<Caller> {
        let (user_id, roles) = self.holder(world)?;
        let names = roles
            .iter()
            .filter_map(|id| world.identity.roles.get(id)?["name"].as_str().map(str::to_owned));
        let roles: Vec<String> = names.collect();
        Some(Caller {
            user_id,
            project_id: self.project.clone(),
            admin: roles.iter().any(|role| role == "admin"),
            roles,
            delegated: self.trust.is_some() || self.application_credential.is_some(),
        })
    }

    fn body(&self, world: &World, with_catalog: bool) -> Option<Value> {
        let identity = &world.identity;
        let (holder, roles) = self.holder(world)?;
        let mut token = json!({
            "methods": self.methods, "user": person(identity, &holder),
            "audit_ids": [self.audit],
            "expires_at": World::keystone_time(self.expires), "issued_at": World::keystone_time(self.issued)
        });
        token["user"]["password_expires_at"] = Value::Null;
        if let Some(project) = self.project.as_deref().and_then(|id| identity.projects.get(id)) {
            token["project"] =
                json!({"id": project["id"], "name": project["name"], "domain": domain(identity, project)});
            if self.trust.is_none() {
                token["is_domain"] = json!(false);
            }
            let roles = roles.iter().filter_map(|id| identity.roles.get(id));
            token["roles"] = roles
                .map(|role| json!({"id": role["id"], "name": role["name"]}))
                .collect();
            if with_catalog {
                token["catalog"] = catalog::catalog(world, self.project.as_deref());
            }
        }
        if let Some(trust) = self.trust.as_deref().and_then(|id| identity.trusts.get(id)) {
            token["OS-TRUST:trust"] = json!({
                "id": trust.id, "impersonation": trust.impersonation,
                "trustor_user": {"id": trust.trustor}, "trustee_user": {"id": trust.trustee}
            });
        }
        if let Some(id) = &self.application_credential {
            token["application_credential"] = json!({"id": id, "restricted": true});
        }
        Some(json!({"token": token}))
    }
}

pub(super) fn domain(identity: &Identity, item: &Value) -> Value {
    let id = item["domain_id"].as_str().unwrap_or("default");
    let name = identity
        .domains
        .get(id)
        .map_or("Default", |domain| domain["name"].as_str().unwrap_or_default());
    json!({"id": id, "name": name})
}

fn person(identity: &Identity, id: &str) -> Value {
    identity.users.get(id).map_or(
        Value::Null,
        |user| json!({"id": user["id"], "name": user["name"], "domain": domain(identity, user)}),
    )
}

/// `POST /v3/auth/tokens`: the only call that needs no token.
pub(in super::super) fn authenticate(world: &mut World, ask: &Ask) -> Reply {
    let auth = Value::Object(ask.object("auth")?.clone());
    let methods: Vec<String> = auth["identity"]["methods"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|method| method.as_str().map(str::to_owned))
        .collect();
    let mut token = Token {
        user: String::new(),
        project: None,
        methods: methods.clone(),
        trust: None,
        application_credential: None,
        issued: world.now,
        expires: world.now + world.identity.token_seconds * 1000,
        audit: hex()[..22].to_owned(),
    };
    for method in &methods {
        match method.as_str() {
            "password" => token.user = by_password(world, &auth["identity"]["password"]["user"])?,
            "application_credential" => {
                let wanted = &auth["identity"]["application_credential"];
                let found = by_application_credential(world, wanted)?;
                token.user = found["user_id"].as_str().unwrap_or_default().to_owned();
                token.project = found["project_id"].as_str().map(str::to_owned);
                token.application_credential = found["id"].as_str().map(str::to_owned);
            }
            "token" => {
                let id = auth["identity"]["token"]["id"].as_str().unwrap_or_default();
                let old = world.identity.tokens.get(id).ok_or_else(Fault::unauthorized)?;
                if old.caller(world).is_none() {
                    return Err(Fault::unauthorized());
                }
                if old.trust.is_some() || old.application_credential.is_some() {
                    return Err(Fault::forbidden(
                        "You are not authorized to perform the requested action: rescope a scoped token.",
                    ));
                }
                token.user.clone_from(&old.user);
                token.expires = old.expires;
            }
            _ => return Err(Fault::unauthorized()),
        }
    }
    if token.user.is_empty() {
        return Err(Fault::unauthorized());
    }
    scope(world, &auth["scope"], &mut token)?;
    let body = token
        .body(world, ask.query("nocatalog").is_none())
        .ok_or_else(Fault::unauthorized)?;
    let id = format!("gAAAAA{}{}", hex(), hex());
    let now = world.now;
    world.identity.tokens.retain(|_, token| token.expires > now);
    world.identity.tokens.insert(id.clone(), token);
    Ok(Answer::json(201, body).header("x-subject-token", id))
}

fn scope(world: &mut World, scope: &Value, token: &mut Token) -> Result<(), Fault> {
    if let Some(id) = scope["OS-TRUST:trust"]["id"].as_str() {
        let user = token.user.clone();
        let (project, expires) = super::trusts::claim(world, id, &user)?;
        token.project = Some(project);
        token.trust = Some(id.to_owned());
        token.expires = token.expires.min(expires.unwrap_or(u64::MAX));
        return Ok(());
    }
    if token.application_credential.is_some() {
        if scope.is_object() {
            return Err(Fault::unauthorized());
        }
        return Ok(());
    }
    let identity = &world.identity;
    if scope["project"].is_object() {
        let project = identity
            .lookup(&identity.projects, &scope["project"])
            .and_then(|project| project["id"].as_str())
            .filter(|id| Identity::enabled(&identity.projects, id))
            .ok_or_else(Fault::unauthorized)?;
        if identity.roles_of(&token.user, project).is_empty() {
            return Err(Fault::unauthorized());
        }
        token.project = Some(project.to_owned());
    } else if scope["domain"].is_object() || scope["system"].is_object() {
        return Err(Fault::unauthorized());
    } else if scope.is_null() {
        let project = identity
            .users
            .get(&token.user)
            .and_then(|user| user["default_project_id"].as_str());
        token.project = project
            .filter(|project| !identity.roles_of(&token.user, project).is_empty())
            .map(str::to_owned);
    }
    Ok(())
}

fn by_password(world: &World, wanted: &Value) -> Result<String, Fault> {
    let identity = &world.identity;
    let user = identity
        .lookup(&identity.users, wanted)
        .ok_or_else(Fault::unauthorized)?;
    let id = user["id"].as_str().unwrap_or_default();
    let known = identity.secrets.get(id).map(String::as_str);
    if user["enabled"] == false || known.is_none() || known != wanted["password"].as_str() {
        return Err(Fault::unauthorized());
    }
    Ok(id.to_owned())
}

fn by_application_credential<'a>(world: &'a World, wanted: &Value) -> Result<&'a Value, Fault> {
    let identity = &world.identity;
    let found = match wanted["id"].as_str() {
        Some(id) => identity.application_credentials.get(id),
        None => {
            let owner = identity
                .lookup(&identity.users, &wanted["user"])
                .ok_or_else(Fault::unauthorized)?;
            identity
                .application_credentials
                .iter()
                .find(|item| item["user_id"] == owner["id"] && item["name"] == wanted["name"])
        }
    };
    let found = found.ok_or_else(Fault::unauthorized)?;
    let secret = identity.secrets.get(found["id"].as_str().unwrap_or_default());
    if secret.map(String::as_str) != wanted["secret"].as_str() {
        return Err(Fault::unauthorized());
    }
    Ok(found)
}

fn no_such_token() -> Fault {
    Fault::missing("Could not find token.")
}

/// `GET /v3/auth/tokens`: what a service asks about its caller's token.
pub(super) fn validate(world: &World, ask: &Ask) -> Reply {
    let subject = ask
        .header("x-subject-token")
        .ok_or_else(|| Fault::bad("X-Subject-Token is missing"))?;
    let own = ask.header("x-auth-token") == Some(subject);
    if !(own || ask.caller.admin || ask.caller.has("service")) {
        return Err(Fault::forbidden(
            "You are not authorized to perform the requested action: identity:validate_token.",
        ));
    }
    let token = world.identity.tokens.get(subject).ok_or_else(no_such_token)?;
    let body = token
        .body(world, ask.query("nocatalog").is_none())
        .ok_or_else(no_such_token)?;
    Ok(Answer::ok(body).header("x-subject-token", subject))
}

pub(super) fn revoke(world: &mut World, ask: &Ask) -> Reply {
    let subject = ask
        .header("x-subject-token")
        .ok_or_else(|| Fault::bad("X-Subject-Token is missing"))?;
    world.identity.tokens.remove(subject).ok_or_else(no_such_token)?;
    Ok(Answer::empty(204))
}

pub(super) fn application_credentials(world: &mut World, ask: &Ask, user: &str, rest: &[&str]) -> Reply {
    if user != ask.caller.user_id && !ask.caller.admin {
        return Err(Fault::forbidden(
            "You are not authorized to perform the requested action.",
        ));
    }
    let table = &mut world.identity.application_credentials;
    let unknown = |id: &str| Fault::missing(format!("Could not find Application Credential: {id}."));
    match (ask.method.as_str(), rest) {
        ("GET", []) => {
            let own: Vec<&Value> = table.iter().filter(|item| item["user_id"] == user).collect();
            Ok(Answer::ok(json!({"application_credentials": own, "links": {}})))
        }
        ("GET", [id]) => {
            let found = table.get(id).ok_or_else(|| unknown(id))?;
            Ok(Answer::ok(json!({"application_credential": found})))
        }
        ("DELETE", [id]) => table
            .remove(id)
            .map(|_| Answer::empty(204))
            .ok_or_else(|| unknown(id)),
        ("POST", []) => {
            if ask.caller.delegated {
                return Err(Fault::forbidden(
                    "Delegated tokens cannot manage application credentials.",
                ));
            }
            let wanted = ask.object("application_credential")?;
            let secret = wanted
                .get("secret")
                .and_then(Value::as_str)
                .map_or_else(hex, str::to_owned);
            let id = hex();
            let made = json!({
                "id": id, "name": wanted.get("name"), "description": wanted.get("description"), "user_id": user,
                "project_id": ask.caller.project_id, "unrestricted": wanted.get("unrestricted").unwrap_or(&json!(false)),
                "expires_at": wanted.get("expires_at"),
                "roles": ask.caller.roles.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()
            });
            table.add(made.clone());
            world.identity.secrets.insert(id, secret.clone());
            let mut shown = made;
            shown["secret"] = json!(secret);
            Ok(Answer::json(201, json!({"application_credential": shown})))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
