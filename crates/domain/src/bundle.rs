//! The metadata bundle: a group's document as clients carry it, opaque to them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::document::{Document, Stamp};
use crate::ids::{GroupId, SiteId};

/// The layout of bundles that this release writes and the newest that it reads.
pub const SCHEMA_VERSION: u32 = 1;

/// SHA-256 over the canonical JSON of a document, as `sha256:<hex>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checksum(pub String);

impl Checksum {
    pub fn of(document: &Value) -> Checksum {
        let digest = Sha256::digest(canonical(document).as_bytes());
        Checksum(format!(
            "sha256:{}",
            digest
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        ))
    }
}

/// JSON that is the same text for the same content.
pub(crate) fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

/// Keys sorted by code point, no blanks, numbers and strings as JSON writes them.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_canonical(&map[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error(
        "the bundle has layout {found}, this release reads up to {SCHEMA_VERSION}: upgrade this site first"
    )]
    Schema { found: u32 },
    #[error("the bundle's checksum doesn't match its content: it was damaged or changed on the way")]
    Checksum,
    #[error("the bundle's content is not a protection group document: {0}")]
    Content(String),
    #[error("the bundle's head and its document disagree about {0}")]
    Head(&'static str),
}

/// The bundle as it travels. `document` stays untyped so that the checksum covers what was really sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    pub schema_version: u32,
    pub group_id: GroupId,
    #[serde(flatten)]
    pub stamp: Stamp,
    pub origin_site_id: SiteId,
    pub checksum: Checksum,
    pub document: Value,
    /// What the origin observes and does not version: a hint for displays.
    #[serde(default)]
    pub observations: Value,
    /// Array tokens, sealed to the receiving site's key. Not covered by the checksum: sealing twice never gives the same.
    #[serde(default)]
    pub sealed: Option<String>,
    /// By the origin's key.
    #[serde(default)]
    pub signature: Option<String>,
}

impl Bundle {
    pub fn pack(document: &Document, origin: SiteId, observations: Value) -> Result<Bundle, BundleError> {
        let value =
            serde_json::to_value(document).map_err(|error| BundleError::Content(error.to_string()))?;
        Ok(Bundle {
            schema_version: SCHEMA_VERSION,
            group_id: document.group_id,
            stamp: document.stamp,
            origin_site_id: origin,
            checksum: Checksum::of(&value),
            document: value,
            observations,
            sealed: None,
            signature: None,
        })
    }

    /// The document, if the bundle is whole.
    pub fn open(&self) -> Result<Document, BundleError> {
        if self.schema_version > SCHEMA_VERSION {
            return Err(BundleError::Schema {
                found: self.schema_version,
            });
        }
        if Checksum::of(&self.document) != self.checksum {
            return Err(BundleError::Checksum);
        }
        let document: Document = serde_json::from_value(self.document.clone())
            .map_err(|error| BundleError::Content(error.to_string()))?;
        if document.group_id != self.group_id {
            return Err(BundleError::Head("the group"));
        }
        if document.stamp != self.stamp {
            return Err(BundleError::Head("epoch and version"));
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_ignores_the_order_of_keys_and_nothing_else() {
        let a: Value = serde_json::from_str(r#"{"b":[1,{"y":2,"x":"ä"}],"a":null}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"a":null,"b":[1,{"x":"ä","y":2}]}"#).unwrap();
        let c: Value = serde_json::from_str(r#"{"a":null,"b":[1,{"x":"ä","y":3}]}"#).unwrap();
        assert_eq!(Checksum::of(&a), Checksum::of(&b));
        assert_ne!(Checksum::of(&a), Checksum::of(&c));
    }
}
