//! The registry of options, and the reading of all of them.

use super::Config;
use super::error::{ConfigError, ConfigErrors, Location, Warning};
use super::option::{Declaration, Opt};
use super::resolve::Resolver;
use super::sources::{Parsed, Sources};

/// All options of a program, in the order in which its sample file shows them.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    pub(super) options: Vec<Declaration>,
}

impl Schema {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with<T>(self, option: &Opt<T>) -> Self {
        self.with_all(&[*option.declaration()])
    }

    /// Adds what a module declares; an option that is there already is not added twice.
    pub fn with_all(mut self, declarations: &[Declaration]) -> Self {
        for declaration in declarations {
            let known = |o: &Declaration| o.group == declaration.group && o.name == declaration.name;
            if !self.options.iter().any(known) {
                self.options.push(*declaration);
            }
        }
        self
    }

    /// Reads and checks everything.
    pub fn load(&self, sources: &Sources) -> Result<Config, ConfigErrors> {
        let files = sources.read().map_err(ConfigErrors)?;
        let mut sections = Vec::new();
        for entry in files.iter().flat_map(|file| &file.entries) {
            if !sections.contains(&entry.section) {
                sections.push(entry.section.clone());
            }
        }

        let mut warnings = self.unknown(&files);
        let mut resolver = Resolver::new(self, &files, &sources.environment);
        let mut values = std::collections::BTreeMap::new();
        let mut errors = Vec::new();
        for option in &self.options {
            let groups: Vec<String> = match option.group.ends_with('*') {
                true => sections
                    .iter()
                    .filter(|name| stands_for(option.group, name))
                    .cloned()
                    .collect(),
                false => vec![option.group.to_owned()],
            };
            for group in groups {
                match resolver.value(&group, option) {
                    Ok((None, _)) if option.required => errors.push(missing(&group, option)),
                    // An option with a default has always a value: one emptied by hand is an error.
                    Ok((None, location)) if option.default.is_some() => errors.push(ConfigError::Invalid {
                        location,
                        option: option.shown(&group),
                        found: "''".to_owned(),
                        accepted: option.kind.label().to_owned(),
                    }),
                    Ok(value) => {
                        values.insert((group, option.name), value);
                    }
                    Err(error) => errors.push(error),
                }
            }
        }
        warnings.extend(resolver.into_warnings());
        if errors.is_empty() {
            Ok(Config {
                values,
                warnings,
                sections,
            })
        } else {
            Err(ConfigErrors(errors))
        }
    }

    pub(super) fn find(&self, group: &str, name: &str) -> Option<&Declaration> {
        self.options
            .iter()
            .find(|o| stands_for(o.group, group) && same_name(o.name, name))
    }

    fn unknown(&self, files: &[Parsed]) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut told_groups: Vec<&str> = Vec::new();
        for (file, entry) in files
            .iter()
            .flat_map(|file| file.entries.iter().map(move |entry| (file, entry)))
        {
            let location = Location::File {
                path: file.path.clone(),
                line: entry.line,
            };
            let group_known = self.options.iter().any(|o| {
                stands_for(o.group, &entry.section)
                    || o.deprecated.iter().any(|d| same_group(d.0, &entry.section))
            });
            if !group_known {
                if !told_groups.contains(&entry.section.as_str()) {
                    told_groups.push(&entry.section);
                    let suggestion = nearest(&entry.section, self.options.iter().map(|o| o.group));
                    warnings.push(Warning::UnknownGroup {
                        location,
                        group: entry.section.clone(),
                        suggestion,
                    });
                }
                continue;
            }
            let deprecated = |o: &Declaration| {
                o.deprecated
                    .iter()
                    .any(|d| same_group(d.0, &entry.section) && same_name(d.1, &entry.key))
            };
            if self.find(&entry.section, &entry.key).is_none() && !self.options.iter().any(deprecated) {
                let here = self
                    .options
                    .iter()
                    .filter(|o| stands_for(o.group, &entry.section))
                    .map(|o| o.name);
                warnings.push(Warning::UnknownOption {
                    location,
                    group: entry.section.clone(),
                    name: entry.key.clone(),
                    suggestion: nearest(&entry.key, here),
                });
            }
        }
        warnings
    }
}

fn missing(group: &str, option: &Declaration) -> ConfigError {
    ConfigError::Missing {
        group: group.to_owned(),
        name: option.name.to_owned(),
        help: option.help.to_owned(),
    }
}

/// Whether the section `name` belongs to the declared group `pattern`.
pub(super) fn stands_for(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => {
            name.get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
                && name.len() > prefix.len()
        }
        None => same_group(pattern, name),
    }
}

/// Section names differ by case alone in old files; `[DEFAULT]` in capitals is the only one that counts.
pub(super) fn same_group(a: &str, b: &str) -> bool {
    if a == "DEFAULT" || b == "DEFAULT" {
        a == b
    } else {
        a.eq_ignore_ascii_case(b)
    }
}

pub(super) fn same_name(a: &str, b: &str) -> bool {
    let plain = |c: char| if c == '-' { '_' } else { c };
    a.chars().map(plain).eq(b.chars().map(plain))
}

/// The declared name that a typing error most likely meant.
fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let typed = typed.to_ascii_lowercase().replace('-', "_");
    names
        .map(|name| (distance(&typed, &name.to_ascii_lowercase()), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

/// Levenshtein's distance; names longer than any option are no typing error of one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > 100 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
