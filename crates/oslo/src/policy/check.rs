//! A parsed rule, and what it says about a request.

use std::fmt;

use serde_json::{Map, Value};

/// Rules refer to rules; a chain longer than any real one is a circle and denies.
const DEEPEST: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    True,
    False,
    Not(Box<Check>),
    And(Vec<Check>),
    Or(Vec<Check>),
    Rule(String),
    Role(String),
    /// `kind:match`, where `kind` is a literal or a path into the credentials.
    Generic {
        kind: String,
        matches: String,
    },
}

/// In the language itself, so that a sample file and a message show what was understood.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, checks: &[Check], word: &str| {
            let texts: Vec<String> = checks.iter().map(ToString::to_string).collect();
            write!(f, "({})", texts.join(word))
        };
        match self {
            Check::True => f.write_str("@"),
            Check::False => f.write_str("!"),
            Check::Not(check) => write!(f, "not {check}"),
            Check::And(checks) => joined(f, checks, " and "),
            Check::Or(checks) => joined(f, checks, " or "),
            Check::Rule(name) => write!(f, "rule:{name}"),
            Check::Role(name) => write!(f, "role:{name}"),
            Check::Generic { kind, matches } => write!(f, "{kind}:{matches}"),
        }
    }
}

/// What a check is made against.
pub(super) struct Request<'a> {
    pub target: &'a Map<String, Value>,
    pub credentials: &'a Value,
    /// The check of a rule's name, the default rule included.
    pub rules: &'a dyn Fn(&str) -> Option<&'a Check>,
}

impl Check {
    pub(super) fn allows(&self, request: &Request<'_>) -> bool {
        self.decide(request, 0).unwrap_or(false)
    }

    /// `None`: the rules run in a circle. It denies as a whole, since a `not` around it would turn it into a yes.
    fn decide(&self, request: &Request<'_>, depth: usize) -> Option<bool> {
        if depth > DEEPEST {
            return None;
        }
        Some(match self {
            Check::True => true,
            Check::False => false,
            Check::Not(check) => !check.decide(request, depth)?,
            Check::And(checks) => {
                for check in checks {
                    if !check.decide(request, depth)? {
                        return Some(false);
                    }
                }
                true
            }
            Check::Or(checks) => {
                for check in checks {
                    if check.decide(request, depth)? {
                        return Some(true);
                    }
                }
                false
            }
            Check::Rule(name) => match (request.rules)(name) {
                Some(check) => check.decide(request, depth + 1)?,
                None => false,
            },
            Check::Role(name) => {
                let Some(wanted) = fill(name, request.target) else {
                    return Some(false);
                };
                let wanted = wanted.to_lowercase();
                request
                    .credentials
                    .get("roles")
                    .and_then(Value::as_array)
                    .is_some_and(|roles| {
                        roles
                            .iter()
                            .filter_map(Value::as_str)
                            .any(|role| role.to_lowercase() == wanted)
                    })
            }
            Check::Generic { kind, matches } => {
                let Some(wanted) = fill(matches, request.target) else {
                    return Some(false);
                };
                match literal(kind) {
                    Some(text) => text == wanted,
                    None => {
                        let path: Vec<&str> = kind.split('.').collect();
                        holds(request.credentials, &path, &wanted)
                    }
                }
            }
        })
    }

    /// The names of all rules that this one refers to.
    pub(super) fn references<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Check::Rule(name) => found.push(name),
            Check::Not(check) => check.references(found),
            Check::And(checks) | Check::Or(checks) => checks.iter().for_each(|check| check.references(found)),
            _ => {}
        }
    }
}

/// Puts values of the target into `%(name)s`; `None` where the target lacks one, or the format is another.
fn fill(pattern: &str, target: &Map<String, Value>) -> Option<String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (name, after) = rest.strip_prefix('(')?.split_once(')')?;
        out.push_str(&text(target.get(name)?));
        rest = after.strip_prefix('s')?;
    }
    out.push_str(rest);
    Some(out)
}

/// A value as Python's `str()` would write it: policy files say `is_admin:True`.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The left side where it is a literal of Python: a quoted string, a word constant, a whole number.
fn literal(kind: &str) -> Option<String> {
    for quote in ['\'', '"'] {
        if kind.len() >= 2
            && let Some(inner) = kind.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote))
        {
            return (!inner.contains([quote, '\\'])).then(|| inner.to_owned());
        }
    }
    if matches!(kind, "True" | "False" | "None") {
        return Some(kind.to_owned());
    }
    let digits = kind.strip_prefix('-').unwrap_or(kind);
    let number = digits == "0" || (!digits.starts_with('0') && !digits.is_empty());
    (number && digits.bytes().all(|b| b.is_ascii_digit())).then(|| {
        if digits == "0" {
            "0".to_owned()
        } else {
            kind.to_owned()
        }
    })
}

/// Follows a path into the credentials; of a list any element may hold the value.
fn holds(value: &Value, path: &[&str], wanted: &str) -> bool {
    let Some((key, path)) = path.split_first() else {
        return text(value) == wanted;
    };
    match value.get(key) {
        Some(Value::Array(items)) => items.iter().any(|item| holds(item, path, wanted)),
        Some(value) => holds(value, path, wanted),
        None => false,
    }
}
