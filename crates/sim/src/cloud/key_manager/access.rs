//! Who may do what with a secret: Barbican's policy, and the access list of the secret itself.

use serde::Serialize;
use serde_json::json;

use super::{Secret, reached, reference};
use crate::cloud::ask::{Answer, Ask, Reply};
use crate::cloud::fault::Fault;
use crate::cloud::policy::Caller;
use crate::cloud::world::World;

/// A secret's own list: who else may read it, and whether its project may.
#[derive(Clone, Serialize)]
pub(super) struct Acl {
    users: Vec<String>,
    project: bool,
}

impl Default for Acl {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            project: true,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Post,
    List,
    Get,
    Decrypt,
    Delete,
    GetAcl,
    PutAcl,
    DeleteAcl,
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Self::Post => "secrets:post",
            Self::List => "secrets:get",
            Self::Get => "secret:get",
            Self::Decrypt => "secret:decrypt",
            Self::Delete => "secret:delete",
            Self::GetAcl => "secret_acls:get",
            Self::PutAcl => "secret_acls:put_patch",
            Self::DeleteAcl => "secret_acls:delete",
        }
    }

    /// The words with which Barbican says what isn't allowed.
    fn what(self) -> &'static str {
        match self {
            Self::Post => "Secret creation",
            Self::List => "Secret(s) retrieval",
            Self::Get => "Secret retrieval",
            Self::Decrypt => "Secret payload retrieval",
            Self::Delete => "Secret deletion",
            Self::GetAcl => "SecretACL retrieval",
            Self::PutAcl => "SecretACL(s) Update",
            Self::DeleteAcl => "SecretACL(s) deletion",
        }
    }

    pub fn check(self, world: &World, caller: &Caller, secret: Option<&Secret>) -> Result<(), Fault> {
        let own = secret.is_none_or(|secret| Some(&secret.project) == caller.project_id.as_ref());
        let creator = secret.is_none_or(|secret| secret.creator == caller.user_id);
        let open = secret.is_none_or(|secret| secret.acl.project);
        let admin = own && caller.has("admin");
        let listed = secret.is_some_and(|secret| secret.acl.users.contains(&caller.user_id));
        let stock = match self {
            Self::Post => caller.has("admin") || caller.has("creator"),
            Self::List => caller.has("admin") || caller.has("creator") || caller.has("observer"),
            Self::Get | Self::Decrypt => {
                admin
                    || listed
                    || own && open && (caller.has("creator") || caller.has("observer"))
                    || own && creator && caller.has("creator")
            }
            Self::Delete | Self::GetAcl | Self::PutAcl | Self::DeleteAcl => {
                admin || own && caller.has("creator") && (creator || open)
            }
        };
        let granted = world.policies.granted.contains(self.name());
        let member = own && (open || creator) && caller.has("member");
        if (stock || granted && member) && !world.policies.forbidden.contains(self.name()) {
            return Ok(());
        }
        Err(Fault::forbidden(format!(
            "{} attempt not allowed - please review your user/project privileges",
            self.what()
        )))
    }
}

pub(super) fn route(world: &mut World, ask: &Ask, id: &str) -> Reply {
    match ask.method.as_str() {
        "GET" => {
            let acl = &reached(world, ask, id, Rule::GetAcl)?.acl;
            let mut read = json!({"project-access": acl.project});
            if !acl.users.is_empty() {
                read["users"] = json!(acl.users);
            }
            Ok(Answer::ok(json!({ "read": read })))
        }
        "PUT" => {
            reached(world, ask, id, Rule::PutAcl)?;
            let read = ask.body["read"].as_object().cloned().unwrap_or_default();
            let users = read.get("users").and_then(|users| users.as_array());
            let users = users.into_iter().flatten().filter_map(|user| user.as_str());
            let acl = Acl {
                users: users.map(str::to_owned).collect(),
                project: read
                    .get("project-access")
                    .and_then(|open| open.as_bool())
                    .unwrap_or(true),
            };
            if let Some(secret) = world.key_manager.secrets.get_mut(id) {
                secret.acl = acl;
            }
            Ok(Answer::ok(
                json!({"acl_ref": format!("{}/acl", reference(ask, id))}),
            ))
        }
        "DELETE" => {
            reached(world, ask, id, Rule::DeleteAcl)?;
            if let Some(secret) = world.key_manager.secrets.get_mut(id) {
                secret.acl = Acl::default();
            }
            Ok(Answer::ok(json!(null)))
        }
        _ => Err(Fault::missing("")),
    }
}
