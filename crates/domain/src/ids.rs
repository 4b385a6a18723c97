//! Identifiers. Ours are UUIDs; a cloud's are opaque text that is safe inside a URL path.
//!
//! Text that came from outside becomes an id only through a constructor that checks it, so code further in
//! can put an id into a URL or a query without asking again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text isn't an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a valid {kind} id")]
pub struct InvalidId {
    pub kind: &'static str,
    pub text: String,
}

/// As much of a foreign text as a message may repeat: nothing in it may move a cursor or end a line.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(80) {
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { kind: $kind, text: shown(text) })
            }
        }
    )*};
}

uuid_ids! {
    /// A site's own identity, made once by its database and the same on both sites.
    SiteId = "site";
    /// A protection group; the same on both sites.
    GroupId = "protection group";
    /// A member of a group; the same on both sites.
    MemberId = "member";
    /// A replication policy.
    PolicyId = "policy";
    /// The row that represents the pair of Cinder groups.
    ConsistencyGroupId = "consistency group";
    /// A disaster-recovery operation, which is also the id of its saga.
    OperationId = "operation";
    /// A journalled piece of work.
    SagaId = "saga";
    /// A secret in a site's Barbican.
    SecretId = "Barbican secret";
    /// A link between a project here and one on another site.
    TenantMappingId = "tenant mapping";
}

impl SecretId {
    /// From what users have: the secret's id, or the address by which Barbican names it. Only the id is taken from
    /// an address: which Barbican is asked, the catalog of the secret's site says and nobody else.
    pub fn from_reference(text: &str) -> Result<Self, InvalidId> {
        let whole = text.trim();
        let path = whole.trim_end_matches('/');
        let path = path.strip_suffix("/payload").unwrap_or(path);
        let id = match path.rsplit_once('/') {
            None => path,
            Some((before, id)) if before.ends_with("/secrets") => id,
            Some(_) => whole,
        };
        let refused = |_| InvalidId {
            kind: "Barbican secret",
            text: whole.chars().take(80).collect(),
        };
        id.parse().map_err(refused)
    }
}

impl From<OperationId> for SagaId {
    fn from(id: OperationId) -> Self {
        SagaId(id.0)
    }
}

impl OperationId {
    /// The eight digits by which clouds' and arrays' objects name the operation that made them.
    pub fn short(&self) -> String {
        self.0.simple().to_string().chars().take(8).collect()
    }
}

macro_rules! cloud_ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                if is_path_safe(&text) { Ok(Self(text)) } else {
                    Err(InvalidId { kind: $kind, text: shown(&text) })
                }
            }
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> { Self::new(text) }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> { Self::new(text) }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String { id.0 }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str { &self.0 }
        }
    )*};
}

cloud_ids! {
    /// A Keystone project.
    ProjectId = "project";
    /// A Keystone user.
    UserId = "user";
    /// A Nova server.
    ServerId = "server";
    /// A Cinder volume.
    VolumeId = "volume";
    /// A Cinder volume type.
    VolumeTypeId = "volume type";
    /// A generic volume group of Cinder.
    VolumeGroupId = "volume group";
    /// A Cinder volume transfer.
    TransferId = "volume transfer";
    /// A Neutron network.
    NetworkId = "network";
    /// A Neutron subnet.
    SubnetId = "subnet";
    /// A Neutron port.
    PortId = "port";
    /// A Neutron security group.
    SecurityGroupId = "security group";
    /// A Nova flavor.
    FlavorId = "flavor";
}

/// Cloud ids are UUIDs, 32 hex digits or short names; none has a slash, a question mark or a dot-only form.
fn is_path_safe(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text != "."
        && text != ".."
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_its_id_or_by_any_address_of_it() {
        let id = "0d6b9a3e-6a5e-4b8f-9f0e-3f2f6a1c9f11";
        for good in [
            id.to_owned(),
            format!(" {id}\n"),
            format!("https://barbican.example.com/v1/secrets/{id}"),
            format!("http://127.0.0.1:9311/v1/secrets/{id}/"),
            format!("https://elsewhere/key-manager/v1/secrets/{id}/payload"),
        ] {
            assert_eq!(SecretId::from_reference(&good).unwrap().to_string(), id, "{good}");
        }
        for bad in [
            "",
            "token",
            "https://b/v1/secrets/",
            &format!("https://b/v1/orders/{id}"),
            &format!("{id}/../x"),
        ] {
            assert!(SecretId::from_reference(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cloud_id_that_could_leave_its_place_in_a_url_is_refused() {
        for bad in ["", "..", "a/b", "a?x=1", "a b", "é", &"x".repeat(256)] {
            assert!(ServerId::new(bad).is_err(), "{bad}");
        }
        assert!(ServerId::new("0d6b9a3e-6a5e-4b8f-9f0e-3f2f6a1c9f11").is_ok());
        assert!(ProjectId::new("ab12".repeat(8)).is_ok());
    }

    #[test]
    fn ids_read_and_print_alike() {
        let id: GroupId = "2d0a5f1e-1f0b-4c55-9f0b-7a0c3b0e6a11".parse().unwrap();
        assert_eq!(id.to_string(), "2d0a5f1e-1f0b-4c55-9f0b-7a0c3b0e6a11");
        assert!("nonsense".parse::<GroupId>().is_err());
    }
}
