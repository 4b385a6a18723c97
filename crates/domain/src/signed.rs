//! What a site puts its name to: bundles, statements, receipts and tombstones, which clients carry and must not change.

use serde::Serialize;
use serde_json::Value;

use crate::bundle::{Bundle, canonical};
use crate::sync::{Receipt, Statement, Tombstone};

/// Something that a site says to the other one, with its signature (Ed25519, base64).
pub trait Signed: Serialize {
    /// What it is. Signed too, so that a signature fits nothing else that a site says.
    const WHAT: &'static str;

    fn signature(&self) -> Option<&str>;

    fn signature_mut(&mut self) -> &mut Option<String>;

    /// What is signed: its name, and the canonical JSON of all of it but the signature.
    fn words(&self) -> serde_json::Result<String> {
        let mut value = serde_json::to_value(self)?;
        if let Value::Object(fields) = &mut value {
            fields.remove("signature");
        }
        Ok(format!("protector/{}/1\n{}", Self::WHAT, canonical(&value)))
    }
}

macro_rules! signed {
    ($($kind:ty: $what:literal),* $(,)?) => {$(
        impl Signed for $kind {
            const WHAT: &'static str = $what;

            fn signature(&self) -> Option<&str> {
                self.signature.as_deref()
            }

            fn signature_mut(&mut self) -> &mut Option<String> {
                &mut self.signature
            }
        }
    )*};
}

signed! {
    Bundle: "bundle",
    Statement: "statement",
    Receipt: "receipt",
    Tombstone: "tombstone",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Stamp;
    use crate::ids::{GroupId, SiteId};

    fn tombstone() -> Tombstone {
        Tombstone {
            group_id: GroupId(uuid::Uuid::from_u128(1)),
            stamp: Stamp::FIRST,
            origin_site_id: SiteId(uuid::Uuid::from_u128(2)),
            signature: None,
        }
    }

    #[test]
    fn the_words_are_all_of_it_but_the_signature() {
        let mut said = tombstone();
        let words = said.words().unwrap();
        assert_eq!(
            words,
            "protector/tombstone/1\n{\"epoch\":1,\"group_id\":\"00000000-0000-0000-0000-000000000001\",\
             \"origin_site_id\":\"00000000-0000-0000-0000-000000000002\",\"version\":1}"
        );
        *said.signature_mut() = Some("anything".to_owned());
        assert_eq!(said.words().unwrap(), words);
        said.stamp.version += 1;
        assert_ne!(said.words().unwrap(), words);
    }

    #[test]
    fn what_was_carried_as_json_has_the_same_words() {
        let said = tombstone();
        let carried: Tombstone = serde_json::from_str(&serde_json::to_string_pretty(&said).unwrap()).unwrap();
        assert_eq!(carried.words().unwrap(), said.words().unwrap());
    }
}
