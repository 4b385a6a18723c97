//! Keystone v3.

use chrono::{DateTime, Utc};
use protector_domain::{ProjectId, UserId};
use serde::Deserialize;

use crate::catalog::Catalog;

#[derive(Deserialize)]
pub(crate) struct TokenBody {
    pub token: Token,
}

#[derive(Deserialize)]
pub(crate) struct Token {
    pub user: User,
    pub project: Option<Project>,
    pub roles: Option<Vec<Role>>,
    pub catalog: Option<Catalog>,
    pub expires_at: DateTime<Utc>,
    pub issued_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
pub(crate) struct User {
    pub id: UserId,
}

#[derive(Deserialize)]
pub(crate) struct Project {
    pub id: ProjectId,
    pub name: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Role {
    pub name: String,
}

#[derive(Deserialize)]
pub(crate) struct RolesBody {
    pub roles: Vec<Role>,
}

#[derive(Deserialize)]
pub(crate) struct ProjectBody {
    pub project: Project,
}

#[derive(Deserialize)]
pub(crate) struct VersionBody {
    pub version: Version,
}

#[derive(Deserialize)]
pub(crate) struct Version {
    pub id: String,
}

#[derive(Deserialize)]
pub(crate) struct TrustBody {
    pub trust: Trust,
}

#[derive(Deserialize)]
pub(crate) struct Trust {
    pub id: String,
}
