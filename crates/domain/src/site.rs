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

impl Site {
    /// Whether both sites are regions of one Keystone, which knows the same projects and users at either.
    pub fn shares_keystone_with(&self, other: &Site) -> bool {
        keystone(&self.auth_url) == keystone(&other.auth_url)
    }

    /// Whether both are the same place for all that the address book says.
    pub fn is_same_place_as(&self, other: &Site) -> bool {
        let region = |site: &Self| site.region_name.clone();
        let differ = region(self).is_some() && region(other).is_some() && region(self) != region(other);
        self.shares_keystone_with(other) && !differ
    }
}

/// A Keystone's address in a form in which equal means the same: with or without `/v3`, and the usual port.
fn keystone(auth_url: &str) -> String {
    let text = auth_url.trim().trim_end_matches('/');
    let text = text.strip_suffix("/v3").unwrap_or(text).trim_end_matches('/');
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (scheme, host) = (scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(usual).unwrap_or(&host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::keystone;

    #[test]
    fn a_keystone_is_the_same_however_it_is_written() {
        let plain = keystone("https://k.example.com/identity");
        for same in [
            "https://k.example.com/identity/v3",
            "https://K.example.com:443/identity/v3/",
            " HTTPS://k.example.com/identity/",
        ] {
            assert_eq!(keystone(same), plain, "{same}");
        }
        for other in [
            "http://k.example.com/identity",
            "https://k.example.com:5000/identity",
            "https://k.example.com",
            "https://k2.example.com/identity",
        ] {
            assert_ne!(keystone(other), plain, "{other}");
        }
        assert_eq!(keystone("http://k:80/v3"), keystone("http://k"));
    }
}
