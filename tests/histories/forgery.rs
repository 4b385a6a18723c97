//! What a dishonest client makes of a paper.

use serde_json::{Value, json};

use crate::scene::{Paper, PaperKind};

pub struct Forgery {
    pub how: &'static str,
    pub value: Value,
    /// Where it isn't JSON any more.
    pub bytes: Option<Vec<u8>>,
}

/// Says something else than the paper, without the signature that it would need.
pub fn of(paper: &Paper, how: u64, sites: &[String; 2]) -> Forgery {
    let other = json!(sites[paper.by.other() as usize]);
    let ways: &[(&'static str, &'static str, Value)] = match paper.kind {
        PaperKind::Bundle => &[
            ("another description", "/document/description", json!("forged")),
            (
                "another primary",
                "/document/current_primary_site_id",
                other.clone(),
            ),
            ("another version", "/version", json!(99)),
            ("another epoch", "/epoch", json!(99)),
            ("another origin", "/origin_site_id", other),
            (
                "other observations",
                "/observations/backend_name",
                json!("forged"),
            ),
            ("no signature", "/signature", Value::Null),
            ("a made up signature", "/signature", json!("AAAA")),
        ],
        PaperKind::Receipt => &[
            ("another version", "/stamp/version", json!(99)),
            ("another trust", "/trust_id", json!("forged")),
            ("another checksum", "/checksum", json!("sha256:00")),
            ("no signature", "/signature", Value::Null),
        ],
        PaperKind::Statement => &[
            ("another version", "/stamp/version", json!(99)),
            ("another nonce", "/nonce", json!("forged")),
            ("no signature", "/signature", Value::Null),
        ],
        PaperKind::Tombstone => &[("no signature", "/signature", Value::Null)],
    };
    let place = usize::try_from(how % (ways.len() as u64 + 1)).unwrap_or_default();
    let mut value = paper.value.clone();
    match ways.get(place) {
        Some((how, pointer, new)) => {
            if let Some(old) = value.pointer_mut(pointer) {
                *old = new.clone();
            }
            Forgery {
                how,
                value,
                bytes: None,
            }
        }
        None => {
            let mut bytes = match paper.kind {
                PaperKind::Bundle => json!({"bundle": value}),
                PaperKind::Receipt => json!({"receipt": value}),
                PaperKind::Statement | PaperKind::Tombstone => value.clone(),
            }
            .to_string()
            .into_bytes();
            bytes.truncate(bytes.len() * 2 / 3);
            Forgery {
                how: "its end missing",
                value,
                bytes: Some(bytes),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Side;

    #[test]
    fn a_forgery_never_says_what_the_site_said() {
        let sites = ["a".to_owned(), "b".to_owned()];
        let paper = Paper {
            group: 0,
            by: Side::A,
            kind: PaperKind::Bundle,
            value: json!({
                "epoch": 1, "version": 2, "origin_site_id": "a", "signature": "s", "observations": {"backend_name": null},
                "document": {"description": "", "current_primary_site_id": "a"}
            }),
        };
        for how in 0..9 {
            let forged = of(&paper, how, &sites);
            assert!(
                forged.value != paper.value || forged.bytes.is_some(),
                "{}",
                forged.how
            );
        }
    }
}
