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
    /// How often the volumes are sent; synchronous groups are sent back as often as that, once they run elsewhere.
    pub fn interval_seconds(&self) -> u64 {
        self.replication_interval_seconds.unwrap_or(300)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// What was written by releases that knew no secrets reads and writes as it did, so checksums stay.
    #[test]
    fn a_side_without_a_secret_is_written_as_ever() {
        let old: Value = json!({"site_id": "0d6b9a3e-6a5e-4b8f-9f0e-3f2f6a1c9f11", "url": "https://fa"});
        let mut side: ArraySide = serde_json::from_value(old.clone()).unwrap();
        assert_eq!(side.token_secret, None);
        assert_eq!(serde_json::to_value(&side).unwrap(), old);
        side.token_secret = Some(SecretId(uuid::Uuid::from_u128(7)));
        let new = serde_json::to_value(&side).unwrap();
        assert_eq!(new["token_secret"], "00000000-0000-0000-0000-000000000007");
        assert_eq!(serde_json::from_value::<ArraySide>(new).unwrap(), side);
    }
}
