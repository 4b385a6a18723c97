//! Finding the value of an option: which source wins, what `$other` stands for, and the type at the end.

use std::collections::BTreeMap;

use super::error::{ConfigError, Location, Warning};
use super::option::Declaration;
use super::schema::{Schema, same_group, same_name};
use super::sources::Parsed;
use super::value::{self, Kind, Value};

/// References may chain and multiply; beyond this a value is refused rather than grown.
const LONGEST: usize = 64 * 1024;

pub(super) struct Resolver<'a> {
    schema: &'a Schema,
    files: &'a [Parsed],
    environment: &'a BTreeMap<String, String>,
    /// The options being resolved now, to see one that refers to itself.
    path: Vec<(String, &'static str)>,
    warnings: Vec<Warning>,
}

/// The texts of an option, more than one only where it may be repeated.
struct Raw {
    texts: Vec<(String, Location)>,
}

impl<'a> Resolver<'a> {
    pub fn new(schema: &'a Schema, files: &'a [Parsed], environment: &'a BTreeMap<String, String>) -> Self {
        Resolver {
            schema,
            files,
            environment,
            path: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }

    pub fn value(
        &mut self,
        group: &str,
        option: &Declaration,
    ) -> Result<(Option<Value>, Location), ConfigError> {
        let here = (group.to_owned(), option.name);
        if self.path.contains(&here) {
            return Err(ConfigError::Substitution {
                location: Location::Default,
                option: option.shown(group),
                what: "the value refers to itself by $".to_owned(),
            });
        }
        self.path.push(here);
        let result = self.resolve(group, option);
        self.path.pop();
        result
    }

    fn resolve(
        &mut self,
        group: &str,
        option: &Declaration,
    ) -> Result<(Option<Value>, Location), ConfigError> {
        let Some(raw) = self.raw(group, option) else {
            return Ok((None, Location::Default));
        };
        let mut items = Vec::new();
        let mut last = (None, Location::Default);
        for (text, location) in raw.texts {
            let meant = self.substitute(&text, group, option, &location)?;
            let parsed = value::parse(option, &meant).map_err(|accepted| ConfigError::Invalid {
                location: location.clone(),
                option: option.shown(group),
                // As it was written: what a reference stands for may be a secret.
                found: if option.secret {
                    "(hidden)".to_owned()
                } else {
                    format!("{text:?}")
                },
                accepted,
            })?;
            match parsed {
                Some(Value::List(found)) if option.kind == Kind::Multi => {
                    items.extend(found);
                    last.1 = location;
                }
                parsed => last = (parsed, location),
            }
        }
        if option.kind == Kind::Multi {
            last.0 = Some(Value::List(items));
        }
        Ok(last)
    }

    /// The environment wins over files, a later file over an earlier one, a later line over an earlier one.
    fn raw(&mut self, group: &str, option: &Declaration) -> Option<Raw> {
        let variable = format!("OS_{}__{}", group.to_uppercase(), option.name.to_uppercase());
        if let Some(text) = self.environment.get(&variable) {
            return Some(Raw {
                texts: vec![(text.clone(), Location::Environment(variable))],
            });
        }
        let mut texts = Vec::new();
        for file in self.files {
            // Within a file the current name wins over every older one, wherever the lines stand.
            let names = std::iter::once((group, option.name)).chain(option.deprecated.iter().copied());
            for (position, (section, name)) in names.enumerate() {
                let found: Vec<_> = file
                    .entries
                    .iter()
                    .filter(|e| same_group(&e.section, section) && same_name(&e.key, name))
                    .map(|e| {
                        (
                            e.value.clone(),
                            Location::File {
                                path: file.path.clone(),
                                line: e.line,
                            },
                        )
                    })
                    .collect();
                let Some((_, location)) = found.last() else {
                    continue;
                };
                if position > 0 {
                    self.warnings.push(Warning::DeprecatedName {
                        location: location.clone(),
                        old: format!("[{section}] {name}"),
                        new: format!("[{group}] {}", option.name),
                    });
                }
                texts.extend(found);
                break;
            }
        }
        if option.kind != Kind::Multi && texts.len() > 1 {
            texts.drain(..texts.len() - 1);
        }
        if texts.is_empty() {
            texts.push((option.default?.to_owned(), Location::Default));
        }
        Some(Raw { texts })
    }

    /// `$name`, `${name}`, `${group.name}`; `$$` and `\$` are a dollar, and so is one that no name follows.
    fn substitute(
        &mut self,
        text: &str,
        group: &str,
        option: &Declaration,
        location: &Location,
    ) -> Result<String, ConfigError> {
        let wrong = |what: String| ConfigError::Substitution {
            location: location.clone(),
            option: option.shown(group),
            what,
        };
        let text = text.replace("\\$", "$$");
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
                continue;
            }
            let Some((name, after)) = reference(rest) else {
                out.push('$');
                continue;
            };
            let Some((target_group, target)) = self.target(name, group) else {
                // The name may be a piece of a password.
                let shown = if option.secret {
                    "a name".to_owned()
                } else {
                    format!("{name:?}")
                };
                return Err(wrong(format!(
                    "$ refers to {shown}, which is no option; write $$ for a plain $"
                )));
            };
            let (value, _) = match self.value(&target_group, &target) {
                Err(ConfigError::Substitution { what, .. }) => return Err(wrong(what)),
                other => other?,
            };
            out.push_str(&value.as_ref().map(value::as_text).unwrap_or_default());
            if out.len() > LONGEST {
                return Err(wrong("the value grows too long by $ references".to_owned()));
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// An option of the same group, else of `[DEFAULT]`; with a dot the group is named.
    fn target(&self, name: &str, group: &str) -> Option<(String, Declaration)> {
        let find = |group: &str, name: &str| {
            self.schema.find(group, name).map(|option| {
                let group = if option.group.ends_with('*') {
                    group
                } else {
                    option.group
                };
                (group.to_owned(), *option)
            })
        };
        match name.split_once('.') {
            Some((group, name)) => find(group, name),
            None => find(group, name).or_else(|| find("DEFAULT", name)),
        }
    }
}

/// The name at the start of the text behind a `$`, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = match text.strip_prefix('{') {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    if braced {
        after.strip_prefix('}').map(|after| (name, after))
    } else {
        Some((name, after))
    }
}
