//! What the services send, as far as it is read. Unknown fields are skipped, all but identity may be missing.

pub mod compute;
pub mod identity;
pub mod network;
pub mod volume;

use std::collections::BTreeMap;

use serde_json::Value;

/// Metadata with every value as text: users can write what isn't.
pub(crate) fn texts(map: Option<BTreeMap<String, Value>>) -> BTreeMap<String, String> {
    map.unwrap_or_default()
        .into_iter()
        .map(|(key, value)| (key, text(value)))
        .collect()
}

pub(crate) fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `true`, `"true"`, `"True"`.
pub(crate) fn truth(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(truth)) => *truth,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// A number, where older releases send text (`swap` is `""` for none).
pub(crate) fn count(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::Number(number)) => number.as_u64().unwrap_or_default(),
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        _ => 0,
    }
}

/// One entry of a quota with its use. Negative limits are none.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(crate) struct Quota {
    limit: Option<i64>,
    /// Neutron says `used`.
    #[serde(alias = "used")]
    in_use: Option<i64>,
    reserved: Option<Value>,
}

impl Quota {
    pub fn left(&self) -> Option<u64> {
        let limit = u64::try_from(self.limit?).ok()?;
        let part = |number: Option<i64>| u64::try_from(number.unwrap_or_default()).unwrap_or_default();
        // Old Neutrons list the reservations instead of counting them.
        let reserved = part(self.reserved.as_ref().and_then(Value::as_i64));
        Some(limit.saturating_sub(part(self.in_use)).saturating_sub(reserved))
    }
}

/// `limits.absolute`: what a project may always read about itself.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct LimitsBody {
    pub limits: Limits,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Limits {
    #[serde(default)]
    pub absolute: BTreeMap<String, Value>,
}

impl Limits {
    pub fn left(&self, limit: &str, used: &str) -> Option<u64> {
        let limit = u64::try_from(self.absolute.get(limit)?.as_i64()?).ok()?;
        Some(limit.saturating_sub(count(self.absolute.get(used))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_of_a_quota() {
        let left = |value| serde_json::from_value::<Quota>(value).unwrap().left();
        assert_eq!(left(json!({"limit": 10, "in_use": 3, "reserved": 1})), Some(6));
        assert_eq!(left(json!({"limit": 10, "used": 30, "reserved": []})), Some(0));
        assert_eq!(left(json!({"limit": -1, "in_use": 3})), None);
        assert_eq!(left(json!({})), None);
    }

    #[test]
    fn metadata_is_text_whatever_was_sent() {
        let map = serde_json::from_value(json!({"a": "x", "b": 1, "c": true, "d": null})).unwrap();
        assert_eq!(
            texts(Some(map)).into_values().collect::<Vec<_>>(),
            ["x", "1", "true", ""]
        );
        assert!(truth(Some(&json!("True"))) && truth(Some(&json!(true))) && !truth(Some(&json!(""))));
        assert_eq!(
            (
                count(Some(&json!(""))),
                count(Some(&json!(7))),
                count(Some(&json!("9")))
            ),
            (0, 7, 9)
        );
    }
}
