//! Configuration as OpenStack operators know it: files in oslo.config's format, `OS_GROUP__OPTION` in the
//! environment, options declared once with type, default and help.
//!
//! oslo.config reads an option when it is first used, so a typing error may show after a week. Here everything is
//! read and checked at start, and all that is wrong is told at once, each with file and line.
//!
//! ```
//! use protector_oslo::config::{Opt, Schema, Sources};
//!
//! const BIND_PORT: Opt<u16> = Opt::port("api", "bind_port").default("8788").help("Port to listen on.");
//!
//! let schema = Schema::new().with(&BIND_PORT);
//! let config = schema.load(&Sources::default()).unwrap();
//! assert_eq!(config.get(&BIND_PORT), 8788);
//! ```

mod error;
pub mod ini;
mod option;
mod resolve;
mod sample;
mod schema;
mod sources;
mod value;

use std::collections::BTreeMap;

pub use error::{ConfigError, ConfigErrors, Location, Warning};
pub use option::{Answer, Declaration, Opt};
pub use schema::Schema;
pub use sources::Sources;
pub use value::{Kind, Value};

/// What was read: every option of the schema has been resolved and checked.
#[derive(Debug)]
pub struct Config {
    values: BTreeMap<(String, &'static str), (Option<Value>, Location)>,
    warnings: Vec<Warning>,
    sections: Vec<String>,
}

impl Config {
    /// The value of an option.
    ///
    /// # Panics
    /// If the option isn't in the schema that was loaded: a mistake of the program, never of its input.
    pub fn get<T: Answer>(&self, option: &Opt<T>) -> T {
        self.get_in(option.declaration().group, option)
    }

    /// The value of an option whose group ends with `*`, in one of the sections that it stands for.
    ///
    /// # Panics
    /// As [`get`](Self::get), and if there is no such section: take the names from [`groups`](Self::groups).
    pub fn get_in<T: Answer>(&self, group: &str, option: &Opt<T>) -> T {
        let name = option.declaration().name;
        let value = self
            .values
            .get(&(group.to_owned(), name))
            .map(|(value, _)| value.as_ref());
        match value.and_then(T::answer) {
            Some(answer) => answer,
            None => panic!("option [{group}] {name} is not in the schema that was loaded"),
        }
    }

    /// Where the value came from, for messages about a value that is well-formed but doesn't work.
    pub fn location(&self, group: &str, name: &str) -> Option<&Location> {
        self.values
            .iter()
            .find(|((g, n), _)| g == group && *n == name)
            .map(|(_, (_, location))| location)
    }

    /// The sections that a group such as `site:*` stands for here, in the order of the files.
    pub fn groups(&self, pattern: &str) -> Vec<&str> {
        self.sections
            .iter()
            .map(String::as_str)
            .filter(|name| schema::stands_for(pattern, name))
            .collect()
    }

    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

#[cfg(test)]
mod tests;
