//! Who calls, and what the policy files of the simulated services let them do.

use std::collections::BTreeSet;

use serde::Serialize;

use super::fault::Fault;

/// Whose token a call carries.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    pub user_id: String,
    pub project_id: Option<String>,
    pub roles: Vec<String>,
    pub admin: bool,
    /// The token was made from a trust or an application credential.
    pub delegated: bool,
}

impl Caller {
    pub fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}

/// Overrides of the policy files.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Policies {
    /// Refused to everybody.
    pub forbidden: BTreeSet<String>,
    /// Allowed to every member of a project.
    pub granted: BTreeSet<String>,
}

impl Policies {
    /// Something that stock policy keeps for admins.
    pub(super) fn admin(&self, caller: &Caller, rule: &str) -> Result<(), Fault> {
        self.check(caller.admin, rule)
    }

    /// Something that stock policy allows to every member.
    pub(super) fn member(&self, caller: &Caller, rule: &str) -> Result<(), Fault> {
        self.check(caller.admin || caller.has("member"), rule)
    }

    /// Something that stock policy allows to everybody in a project.
    pub(super) fn reader(&self, caller: &Caller, rule: &str) -> Result<(), Fault> {
        self.check(caller.project_id.is_some(), rule)
    }

    fn check(&self, stock: bool, rule: &str) -> Result<(), Fault> {
        if (stock || self.granted.contains(rule)) && !self.forbidden.contains(rule) {
            return Ok(());
        }
        Err(Fault::forbidden(format!(
            "Policy doesn't allow {rule} to be performed."
        )))
    }
}
