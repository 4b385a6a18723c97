//! A site: one OpenStack cloud (or one region of it) with a protector of its own.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::SiteId;

/// What an administrator calls the site. It says nothing about where a group runs: that is per group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteType {
    Primary,
    Secondary,
}

/// What the last look at the site found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteStatus {
    Active,
    Unreachable,
    Error,
}

impl SiteType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

impl SiteStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Unreachable => "unreachable",
            Self::Error => "error",
        }
    }
}

/// A registered site. Its service credentials are kept apart, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    pub id: SiteId,
    pub name: String,
    pub description: String,
    pub site_type: SiteType,
    /// Keystone, version 3.
    pub auth_url: String,
    pub region_name: Option<String>,
    /// Base64 of the site's public key, as its protector shows it.
    pub public_key: Option<String>,
    pub status: SiteStatus,
    pub status_reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}
