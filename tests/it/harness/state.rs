//! Two looks at a whole world, and what they differ in.

use std::collections::BTreeMap;

use serde_json::Value;

/// A difference that is no trace of an operation, and why. A `*` stands for one part of the path.
#[derive(Clone, Copy)]
pub struct Allowed {
    pub path: &'static str,
    pub why: &'static str,
}

/// What may differ although everything was taken back.
pub const ALLOWED: &[Allowed] = &[
    Allowed {
        path: "fa-a/time",
        why: "the array's clock",
    },
    Allowed {
        path: "fa-b/time",
        why: "the array's clock",
    },
    Allowed {
        path: "fa-a/sequence",
        why: "counts the writes",
    },
    Allowed {
        path: "fa-b/sequence",
        why: "counts the writes",
    },
    Allowed {
        path: "fa-a/transfers",
        why: "the array's history of what it sent",
    },
    Allowed {
        path: "fa-b/transfers",
        why: "the array's history of what it got",
    },
    Allowed {
        path: "site-a/compute/servers/*/updated",
        why: "the server was stopped and started",
    },
    Allowed {
        path: "fa-b/hosts/site-b-compute-1",
        why: "Cinder's driver names the compute host to its array at the first attachment",
    },
];

/// What two worlds differ in, but for what is allowed: `path: before -> after`.
#[must_use]
pub fn differences(before: &Value, after: &Value, allowed: &[Allowed]) -> Vec<String> {
    let (before, after) = (flat(before), flat(after));
    let mut found = Vec::new();
    for path in before
        .keys()
        .chain(after.keys().filter(|path| !before.contains_key(*path)))
    {
        let (then, now) = (before.get(path), after.get(path));
        if then != now && !allowed.iter().any(|one| fits(one.path, path)) {
            let show = |value: Option<&String>| value.map_or("-", String::as_str).to_owned();
            found.push(format!("{}: {} -> {}", path.join("/"), show(then), show(now)));
        }
    }
    found
}

fn fits(pattern: &str, path: &[String]) -> bool {
    let parts: Vec<&str> = pattern.split('/').collect();
    parts.len() <= path.len()
        && parts
            .iter()
            .zip(path)
            .all(|(wanted, part)| *wanted == "*" || wanted == part)
}

/// Every leaf by its path. What is destroyed on an array isn't looked at: the array itself eradicates it later. An element of a list goes by what identifies it, so that order is no difference.
fn flat(value: &Value) -> BTreeMap<Vec<String>, String> {
    fn walk(value: &Value, path: &mut Vec<String>, into: &mut BTreeMap<Vec<String>, String>) {
        let mut child = |name: String, value: &Value, into: &mut BTreeMap<Vec<String>, String>| {
            path.push(name.replace('/', "|"));
            walk(value, path, into);
            path.pop();
        };
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    child(name.clone(), value, into);
                }
            }
            Value::Array(elements) if elements.iter().any(Value::is_object) => {
                let mut seen: BTreeMap<String, u32> = BTreeMap::new();
                for element in elements.iter().filter(|element| element["destroyed"] != true) {
                    let name = identity(element);
                    let count = seen.entry(name.clone()).or_default();
                    *count += 1;
                    let name = if *count == 1 {
                        name
                    } else {
                        format!("{name}#{count}")
                    };
                    child(name, element, into);
                }
            }
            // That a list has become empty is seen by what isn't in it any more.
            Value::Array(elements) if elements.is_empty() => {}
            Value::Array(elements) => {
                let mut texts: Vec<String> = elements.iter().map(Value::to_string).collect();
                texts.sort();
                into.insert(path.clone(), texts.join(", "));
            }
            leaf => {
                into.insert(path.clone(), leaf.to_string());
            }
        }
    }
    let mut into = BTreeMap::new();
    walk(value, &mut Vec::new(), &mut into);
    into
}

fn identity(element: &Value) -> String {
    let field = |name: &str| element[name].as_str().map(str::to_owned);
    match (field("host"), field("volume")) {
        (Some(host), Some(volume)) => format!("{host}={volume}"),
        _ => field("id").or_else(|| field("name")).unwrap_or_default(),
    }
}
