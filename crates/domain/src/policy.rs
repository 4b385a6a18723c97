//! How a group is replicated: which arrays, under which array group, how often.

use serde::{Deserialize, Serialize};

use crate::ids::{PolicyId, SecretId, SiteId};

/// One array of the pair. Its token is kept apart, sealed, and leaves the database only for the array itself; or it
/// stays where the tenant keeps it, and only the name of that place is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArraySide {
    pub site_id: SiteId,
    /// Management URL of the FlashArray.
    pub url: String,
    /// The secret in that site's own Barbican that holds the token. Absent from documents that have none, as from
    /// those of releases that didn't know it: their checksums stay what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret: Option<SecretId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub id: PolicyId,
    pub primary: ArraySide,
    pub secondary: ArraySide,
    /// The array's protection group; the same local name on either array.
    pub pure_pg_name: String,
    /// `None` for synchronous replication.
    pub replication_interval_seconds: Option<u64>,
    pub rpo_minutes: Option<u64>,
}

impl Policy {
    /// The array that stands at this site.
    pub fn side(&self, site: SiteId) -> Option<&ArraySide> {
        [&self.primary, &self.secondary]
            .into_iter()
            .find(|side| side.site_id == site)
    }
}

/// Whether the array's group has been bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyStatus {
    Applying,
    Active,
    Error,
}

impl PolicyStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Active => "active",
            Self::Error => "error",
        }
    }
}
