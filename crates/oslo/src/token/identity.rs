//! What a valid token says about its bearer.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub id: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    pub user_id: String,
    pub user_name: String,
    pub user_domain_id: String,
    pub user_domain_name: String,
    /// Absent in tokens of a domain, of the system, or of no scope at all.
    pub project_id: Option<String>,
    pub project_name: Option<String>,
    pub project_domain_id: Option<String>,
    pub project_domain_name: Option<String>,
    pub domain_id: Option<String>,
    pub system_scope: bool,
    pub roles: Vec<Role>,
    pub is_admin_project: bool,
    pub expires_at: DateTime<Utc>,
    pub trust_id: Option<String>,
    pub auth_methods: Vec<String>,
    pub catalog: Value,
}

impl Identity {
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role.name.eq_ignore_ascii_case(name))
    }

    /// Whether the bearer got the token from somebody else's rights: Keystone lets such a token make no trust.
    pub fn is_delegated(&self) -> bool {
        const DELEGATING: [&str; 3] = ["application_credential", "oauth1", "ec2credential"];
        self.trust_id.is_some()
            || self
                .auth_methods
                .iter()
                .any(|method| DELEGATING.contains(&method.as_str()))
    }

    /// The credentials that policy rules look at, by the names that oslo.context gives them.
    pub fn credentials(&self) -> Value {
        json!({
            "user_id": self.user_id,
            "user_domain_id": self.user_domain_id,
            "project_id": self.project_id,
            "tenant_id": self.project_id,
            "project_domain_id": self.project_domain_id,
            "domain_id": self.domain_id,
            "system_scope": if self.system_scope { Some("all") } else { None },
            "roles": self.roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(),
            "is_admin": self.has_role("admin"),
            "is_admin_project": self.is_admin_project,
        })
    }
}

/// The body of Keystone's answer. Fields that aren't there in every scope are optional, unknown ones are ignored.
#[derive(Deserialize)]
pub(super) struct Body {
    token: Token,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Owned {
    id: String,
    #[serde(default)]
    name: String,
    domain: Option<Named>,
}

#[derive(Deserialize)]
struct Trust {
    id: String,
}

#[derive(Deserialize)]
struct Token {
    user: Owned,
    project: Option<Owned>,
    domain: Option<Named>,
    system: Option<Value>,
    #[serde(default)]
    roles: Vec<Named>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    catalog: Value,
    expires_at: DateTime<Utc>,
    /// Where no admin project is set up, every project counts as one.
    is_admin_project: Option<bool>,
    #[serde(rename = "OS-TRUST:trust")]
    trust: Option<Trust>,
}

impl From<Body> for Identity {
    fn from(Body { token }: Body) -> Self {
        let (project_id, project_name, project_domain) = match token.project {
            Some(project) => (Some(project.id), Some(project.name), project.domain),
            None => (None, None, None),
        };
        let (project_domain_id, project_domain_name) = project_domain.map(|d| (d.id, d.name)).unzip();
        let (user_domain_id, user_domain_name) =
            token.user.domain.map(|d| (d.id, d.name)).unwrap_or_default();
        Identity {
            user_id: token.user.id,
            user_name: token.user.name,
            user_domain_id,
            user_domain_name,
            project_id,
            project_name,
            project_domain_id,
            project_domain_name,
            domain_id: token.domain.map(|domain| domain.id),
            system_scope: token.system.is_some(),
            roles: token
                .roles
                .into_iter()
                .map(|role| Role {
                    id: role.id,
                    name: role.name,
                })
                .collect(),
            is_admin_project: token.is_admin_project.unwrap_or(true),
            expires_at: token.expires_at,
            trust_id: token.trust.map(|trust| trust.id),
            auth_methods: token.methods,
            catalog: token.catalog,
        }
    }
}
