//! Everything in both clouds and on both arrays, at one moment, and what two moments differ in.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use crate::Stack;

/// The whole state, as paths and plain values.
#[derive(Clone, Debug)]
pub struct Picture {
    values: BTreeMap<String, Value>,
}

/// A place at which two pictures differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let show = |value: &Option<Value>| {
            value
                .as_ref()
                .map_or_else(|| "absent".to_owned(), Value::to_string)
        };
        write!(
            f,
            "{}: {} -> {}",
            self.path,
            show(&self.before),
            show(&self.after)
        )
    }
}

impl Picture {
    /// Look at both clouds and both arrays.
    pub async fn of(stack: &Stack) -> Self {
        let mut values = BTreeMap::new();
        for site in ["site-a", "site-b"] {
            let state = stack.control("GET", &format!("{site}/state"), Value::Null).await;
            flatten(&mut values, site, &state);
            let array = stack.site(site)["array"]["name"].as_str().expect("a name");
            let path = format!("arrays/{array}/state");
            let state = stack.arrays("GET", &path, Value::Null).await;
            flatten(&mut values, array, &state);
        }
        Self { values }
    }

    /// What is different in a later picture, but for the paths that one of the patterns matches.
    #[must_use]
    pub fn differences(&self, after: &Self, allowed: &[Regex]) -> Vec<Difference> {
        let mut paths: Vec<&String> = self.values.keys().chain(after.values.keys()).collect();
        paths.sort();
        paths.dedup();
        paths
            .into_iter()
            .filter(|path| self.values.get(*path) != after.values.get(*path))
            .filter(|path| !allowed.iter().any(|pattern| pattern.is_match(path)))
            .map(|path| Difference {
                path: path.clone(),
                before: self.values.get(path).cloned(),
                after: after.values.get(path).cloned(),
            })
            .collect()
    }
}

/// Elements of a list are named by their id or name where they have one: an order that changes is no change.
fn flatten(values: &mut BTreeMap<String, Value>, path: &str, value: &Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                flatten(values, &format!("{path}.{name}"), field);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (number, item) in items.iter().enumerate() {
                let name = ["id", "name"]
                    .iter()
                    .find_map(|key| item.get(key).and_then(Value::as_str))
                    .map_or_else(|| number.to_string(), str::to_owned);
                flatten(values, &format!("{path}[{name}]"), item);
            }
        }
        plain => {
            values.insert(path.to_owned(), plain.clone());
        }
    }
}
