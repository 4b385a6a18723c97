//! The rules in force: defaults in code, what an operator wrote over them, and the question itself.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use serde_yaml_ng::Value as Yaml;

use super::check::{Check, Request};
use super::parser;
use crate::config::{Declaration, Opt};

/// The rule that stands for names that no rule has.
const DEFAULT_RULE: &str = "default";

pub const POLICY_FILE: Opt<String> = Opt::string("oslo_policy", "policy_file")
    .default("policy.yaml")
    .deprecated(&[("DEFAULT", "policy_file")])
    .help("The file with the rules that differ from the defaults, in YAML or JSON.");

pub const OPTIONS: &[Declaration] = &[*POLICY_FILE.declaration()];

/// A request that a rule guards, for the sample file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
}

/// A rule as the code has it.
#[derive(Debug, Clone, Copy)]
pub struct RuleDefault {
    pub name: &'static str,
    pub check: &'static str,
    pub description: &'static str,
    pub operations: &'static [Operation],
}

#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("cannot read the policy file {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{}: the policy file is neither YAML nor JSON", path.display())]
    Malformed {
        path: PathBuf,
        source: serde_yaml_ng::Error,
    },
    #[error("{}: the policy file must be a mapping of rule names to rules", path.display())]
    NoMapping { path: PathBuf },
    #[error("{}: rule {rule:?}: {what}", path.display())]
    Rule {
        path: PathBuf,
        rule: String,
        what: &'static str,
    },
    #[error("policy rules refer to each other in a circle: {}", .0.join(" -> "))]
    Circle(Vec<String>),
}

/// The answer no, in the words that every OpenStack service uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Policy doesn't allow {rule} to be performed.")]
pub struct Denied {
    pub rule: String,
}

#[derive(Debug)]
pub struct Enforcer {
    defaults: Vec<RuleDefault>,
    rules: HashMap<String, Check>,
}

impl Enforcer {
    /// The defaults, with the rules of `file` over them. A file that isn't there is no error: services run without.
    pub fn load(defaults: &[RuleDefault], file: Option<&Path>) -> Result<Self, PolicyError> {
        let mut rules: HashMap<String, Check> = defaults
            .iter()
            .map(|rule| (rule.name.to_owned(), parser::parse(rule.check)))
            .collect();
        if let Some(path) = file {
            match std::fs::read_to_string(path) {
                Ok(text) => rules.extend(read(&text, path)?),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    tracing::debug!(target: "oslo_policy.policy", "no policy file {}: defaults apply", path.display());
                }
                Err(source) => {
                    return Err(PolicyError::Unreadable {
                        path: path.to_owned(),
                        source,
                    });
                }
            }
        }
        let enforcer = Enforcer {
            defaults: defaults.to_vec(),
            rules,
        };
        if let Some(circle) = enforcer.circle() {
            return Err(PolicyError::Circle(circle));
        }
        for (from, to) in enforcer.dangling() {
            tracing::warn!(target: "oslo_policy.policy", "Policy {from} refers to rule {to}, which is not defined: it denies");
        }
        Ok(enforcer)
    }

    /// Whether the rule lets somebody with these credentials act on this target.
    pub fn authorize(
        &self,
        rule: &str,
        target: &Map<String, Value>,
        credentials: &Value,
    ) -> Result<(), Denied> {
        let find = |name: &str| self.find(name);
        let request = Request {
            target,
            credentials,
            rules: &find,
        };
        match self.find(rule) {
            Some(check) if check.allows(&request) => Ok(()),
            _ => Err(Denied {
                rule: rule.to_owned(),
            }),
        }
    }

    /// The names that the code declares, for tests that every route has a rule.
    pub fn declared(&self) -> impl Iterator<Item = &RuleDefault> {
        self.defaults.iter()
    }

    /// The check in force under a name, the default rule's if there is no other.
    pub fn find(&self, name: &str) -> Option<&Check> {
        self.rules.get(name).or_else(|| self.rules.get(DEFAULT_RULE))
    }

    fn dangling(&self) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        for (name, check) in &self.rules {
            let mut references = Vec::new();
            check.references(&mut references);
            found.extend(
                references
                    .into_iter()
                    .filter(|to| self.find(to).is_none())
                    .map(|to| (name.as_str(), to)),
            );
        }
        found.sort_unstable();
        found
    }

    /// The first circle of references, if any.
    fn circle(&self) -> Option<Vec<String>> {
        let ordered: BTreeMap<&str, &Check> = self
            .rules
            .iter()
            .map(|(name, check)| (name.as_str(), check))
            .collect();
        let mut done = Vec::new();
        ordered
            .keys()
            .find_map(|name| self.walk(name, &mut Vec::new(), &mut done))
    }

    fn walk<'a>(
        &'a self,
        name: &'a str,
        path: &mut Vec<&'a str>,
        done: &mut Vec<&'a str>,
    ) -> Option<Vec<String>> {
        if done.contains(&name) {
            return None;
        }
        if let Some(start) = path.iter().position(|seen| *seen == name) {
            return Some(
                path[start..]
                    .iter()
                    .chain([&name])
                    .map(ToString::to_string)
                    .collect(),
            );
        }
        path.push(name);
        let mut references = Vec::new();
        if let Some(check) = self.find(name) {
            check.references(&mut references);
        }
        let found = references
            .into_iter()
            .find_map(|next| self.walk(next, path, done));
        path.pop();
        done.push(name);
        found
    }

    /// A sample policy file: every declared rule, commented out.
    pub fn sample(defaults: &[RuleDefault]) -> String {
        let mut out = String::new();
        for rule in defaults {
            for line in rule.description.lines() {
                let _ = writeln!(out, "# {line}");
            }
            for operation in rule.operations {
                let _ = writeln!(out, "# {}  {}", operation.method, operation.path);
            }
            let quoted = |text: &str| Value::from(text).to_string();
            let _ = writeln!(out, "#{}: {}\n", quoted(rule.name), quoted(rule.check));
        }
        out
    }
}

fn read(text: &str, path: &Path) -> Result<Vec<(String, Check)>, PolicyError> {
    let parsed: Yaml = serde_yaml_ng::from_str(text).map_err(|source| PolicyError::Malformed {
        path: path.to_owned(),
        source,
    })?;
    let mapping = match parsed {
        // A file with nothing but comments.
        Yaml::Null => return Ok(Vec::new()),
        Yaml::Mapping(mapping) => mapping,
        _ => {
            return Err(PolicyError::NoMapping {
                path: path.to_owned(),
            });
        }
    };
    let mut rules = Vec::new();
    for (name, rule) in mapping {
        let Yaml::String(name) = name else {
            return Err(PolicyError::NoMapping {
                path: path.to_owned(),
            });
        };
        match parser::parse_value(&rule) {
            Ok(check) => rules.push((name, check)),
            Err(what) => {
                return Err(PolicyError::Rule {
                    path: path.to_owned(),
                    rule: name,
                    what,
                });
            }
        }
    }
    Ok(rules)
}

/// A target with its nested values under dotted names, which is how `%(group.project_id)s` finds them.
pub fn flatten(value: &Value) -> Map<String, Value> {
    fn add(prefix: &str, value: &Value, out: &mut Map<String, Value>) {
        if let Value::Object(fields) = value {
            for (name, value) in fields {
                let name = if prefix.is_empty() {
                    name.clone()
                } else {
                    format!("{prefix}.{name}")
                };
                add(&name, value, out);
                out.insert(name, value.clone());
            }
        }
    }
    let mut out = Map::new();
    add("", value, &mut out);
    out
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
