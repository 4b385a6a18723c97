//! Keystone v3: who is who, tokens, trusts, the catalog.

mod assignments;
mod catalog;
mod resources;
mod tokens;
mod trusts;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::ask::{Answer, Ask, Reply};
use super::fault::Fault;
use super::table::Table;
use super::world::World;

pub(super) use resources::record;
pub(super) use tokens::{Token, authenticate};
pub(super) use trusts::Trust;

/// The identity service's state. Passwords are kept beside the users, so no view can show them.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Identity {
    pub domains: Table<Value>,
    pub regions: Table<Value>,
    pub projects: Table<Value>,
    pub users: Table<Value>,
    pub roles: Table<Value>,
    pub services: Table<Value>,
    pub endpoints: Table<Value>,
    pub application_credentials: Table<Value>,
    pub assignments: Vec<Assignment>,
    pub trusts: Table<Trust>,
    #[serde(skip)]
    pub secrets: BTreeMap<String, String>,
    #[serde(skip)]
    pub tokens: BTreeMap<String, Token>,
    /// How long tokens live, in seconds.
    pub token_seconds: u64,
}

/// A user's role in a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Assignment {
    pub user: String,
    pub project: String,
    pub role: String,
}

impl Identity {
    /// The role and everything it implies.
    pub fn implied(&self, role: &str) -> Vec<String> {
        let names: &[&str] = match self
            .roles
            .get(role)
            .map(|role| &role["name"])
            .and_then(Value::as_str)
        {
            Some("admin") => &["manager", "member", "reader"],
            Some("manager") => &["member", "reader"],
            Some("member") => &["reader"],
            _ => &[],
        };
        let implied = self
            .roles
            .iter()
            .filter(|role| names.iter().any(|name| role["name"] == *name));
        let mut ids = vec![role.to_owned()];
        ids.extend(implied.filter_map(|role| role["id"].as_str()).map(str::to_owned));
        ids
    }

    /// The roles of a user in a project, implied ones included.
    pub fn roles_of(&self, user: &str, project: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for held in &self.assignments {
            if held.user == user && held.project == project {
                for role in self.implied(&held.role) {
                    if !ids.contains(&role) {
                        ids.push(role);
                    }
                }
            }
        }
        ids
    }

    pub fn enabled(table: &Table<Value>, id: &str) -> bool {
        table.get(id).is_some_and(|item| item["enabled"] != false)
    }

    /// Find by `{"id"}` or by `{"name", "domain"}`.
    pub fn lookup<'a>(&'a self, table: &'a Table<Value>, wanted: &Value) -> Option<&'a Value> {
        if let Some(id) = wanted["id"].as_str() {
            return table.get(id);
        }
        let domain = self.domain(&wanted["domain"])?;
        table
            .iter()
            .find(|item| item["name"] == wanted["name"] && item["domain_id"] == domain)
    }

    pub fn domain(&self, wanted: &Value) -> Option<&str> {
        let found = match wanted["id"].as_str() {
            Some(id) => self.domains.get(id),
            None => {
                let name = wanted["name"].as_str()?;
                self.domains.iter().find(|domain| {
                    domain["name"]
                        .as_str()
                        .is_some_and(|own| own.eq_ignore_ascii_case(name))
                })
            }
        };
        found.and_then(|domain| domain["id"].as_str())
    }
}

pub(super) fn version(base: &str) -> Value {
    json!({
        "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{base}/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}]
    })
}

/// What `/v3/...` answers to a caller with a token.
pub(super) fn route(world: &mut World, ask: &Ask) -> Reply {
    let path = ask.segments();
    match (ask.method.as_str(), path.as_slice()) {
        ("GET" | "HEAD", ["auth", "tokens"]) => tokens::validate(world, ask),
        ("DELETE", ["auth", "tokens"]) => tokens::revoke(world, ask),
        ("GET", ["auth", "projects"]) => assignments::own_projects(world, ask, &ask.caller.user_id),
        ("GET", ["users", user, "projects"]) => assignments::own_projects(world, ask, user),
        ("GET", ["auth", "catalog"]) => {
            let services = catalog::catalog(world, ask.caller.project_id.as_deref());
            Ok(Answer::ok(
                json!({"catalog": services, "links": {"self": format!("{}/auth/catalog", ask.base)}}),
            ))
        }
        ("GET", ["auth", "domains" | "system"]) => Ok(Answer::ok(json!({path[1]: [], "links": {}}))),
        ("GET", ["role_assignments"]) => assignments::list(world, ask),
        (method, ["projects", project, "users", user, "roles", rest @ ..]) => {
            assignments::grant(world, ask, method, project, user, rest.first().copied())
        }
        (_, ["OS-TRUST", "trusts", rest @ ..]) => trusts::route(world, ask, rest),
        (_, ["users", user, "application_credentials", rest @ ..]) => {
            tokens::application_credentials(world, ask, user, rest)
        }
        (_, ["users", user, "password"]) if ask.method == "POST" => {
            resources::change_password(world, ask, user)
        }
        (_, [collection, rest @ ..]) => resources::route(world, ask, collection, rest),
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
