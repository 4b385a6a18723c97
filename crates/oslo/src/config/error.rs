//! What is told when a configuration can't be used: where it stands, which option, what was found, what is accepted.

use std::fmt;
use std::path::PathBuf;

use super::ini::IniError;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    File { path: PathBuf, line: usize },
    Environment(String),
    Default,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File { path, line } => write!(f, "{}:{line}", path.display()),
            Location::Environment(name) => write!(f, "environment variable {name}"),
            Location::Default => f.write_str("default value"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{}: the file is not UTF-8 text", path.display())]
    NotText { path: PathBuf },
    #[error(transparent)]
    Malformed(#[from] IniError),
    /// `option` is `[group] name`; `found` is quoted already, or hidden where the option is secret.
    #[error("{location}: {option} = {found} is not valid: accepted is {accepted}")]
    Invalid {
        location: Location,
        option: String,
        found: String,
        accepted: String,
    },
    #[error("{location}: {option}: {what}")]
    Substitution {
        location: Location,
        option: String,
        what: String,
    },
    #[error("[{group}] {name} is not set, but is needed: {help}")]
    Missing {
        group: String,
        name: String,
        help: String,
    },
}

/// Everything that is wrong, so that an operator needs one start and not one per mistake.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
            // A list has no single source, so each entry's cause stands with it.
            if let Some(source) = std::error::Error::source(error) {
                write!(f, ": {source}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// What oslo.config would pass over in silence: worth a line in the log, or a refusal if the service is strict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    UnknownOption {
        location: Location,
        group: String,
        name: String,
        suggestion: Option<String>,
    },
    UnknownGroup {
        location: Location,
        group: String,
        suggestion: Option<String>,
    },
    DeprecatedName {
        location: Location,
        old: String,
        new: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = |f: &mut fmt::Formatter<'_>, suggestion: &Option<String>| match suggestion {
            Some(name) => write!(f, "; did you mean {name}?"),
            None => Ok(()),
        };
        match self {
            Warning::UnknownOption {
                location,
                group,
                name,
                suggestion,
            } => {
                write!(f, "{location}: unknown option [{group}] {name}")?;
                hint(f, suggestion)
            }
            Warning::UnknownGroup {
                location,
                group,
                suggestion,
            } => {
                write!(f, "{location}: unknown section [{group}]")?;
                hint(f, suggestion)
            }
            Warning::DeprecatedName { location, old, new } => {
                write!(f, "{location}: option {old} is deprecated, use {new}")
            }
        }
    }
}
