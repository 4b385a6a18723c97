//! Who asks.

use std::fmt;

use protector_domain::{ProjectId, UserId};
use secrecy::SecretString;

/// A validated token's owner, with the token itself: trusts are made with it.
#[derive(Clone)]
pub struct Caller {
    pub user_id: UserId,
    pub user_name: String,
    pub project_id: ProjectId,
    pub project_name: String,
    pub roles: Vec<String>,
    pub token: SecretString,
    /// Made by a trust or an application credential: Keystone lets it make no trust.
    pub delegated: bool,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("user_id", &self.user_id)
            .field("project_id", &self.project_id)
            .finish_non_exhaustive()
    }
}
