//! How values stand in columns: ids and words as text, times as sortable text, the rest as JSON.

use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use protector_ports::{StoreError, store::StoreResult};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// RFC 3339 with six decimals: the order of the texts is the order of the times.
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

pub fn time_text(time: DateTime<Utc>) -> String {
    time.format(TIME).to_string()
}

pub fn time(text: &str) -> StoreResult<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| StoreError::Corrupt(format!("'{text}' is not a time")))
}

pub fn maybe_time(text: Option<String>) -> StoreResult<Option<DateTime<Utc>>> {
    text.as_deref().map(time).transpose()
}

pub fn id<T>(text: &str) -> StoreResult<T>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse()
        .map_err(|error: T::Err| StoreError::Corrupt(error.to_string()))
}

/// A value of an enum by its word.
pub fn word<T: DeserializeOwned>(text: &str) -> StoreResult<T> {
    serde_json::from_value(Value::String(text.to_owned()))
        .map_err(|error| StoreError::Corrupt(format!("unknown word '{text}': {error}")))
}

pub fn json_text<T: Serialize>(value: &T) -> StoreResult<String> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Corrupt(format!("not writable as JSON: {error}")))
}

pub fn json<T: DeserializeOwned>(what: &str, text: &str) -> StoreResult<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))
}

/// Counters are unsigned in the domain and signed in databases.
pub fn number(value: impl TryInto<i64>) -> StoreResult<i64> {
    value
        .try_into()
        .map_err(|_| StoreError::Corrupt("a number is too large for the database".to_owned()))
}

pub fn unsigned<T: TryFrom<i64>>(value: i64) -> StoreResult<T> {
    T::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is out of range")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_text_and_come_back_to_the_microsecond() {
        let whole = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let later = DateTime::from_timestamp(1_800_000_000, 1_000).unwrap();
        assert!(time_text(whole) < time_text(later));
        assert_eq!(time(&time_text(later)).unwrap(), later);
        assert_eq!(time_text(whole).len(), 27);
    }

    #[test]
    fn an_unknown_word_is_named() {
        let error = word::<protector_domain::GroupStatus>("sleeping").unwrap_err();
        assert!(error.to_string().contains("'sleeping'"), "{error}");
    }
}
