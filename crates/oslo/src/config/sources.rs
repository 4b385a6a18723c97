//! Where the configuration is read from: files in their order, then directories, then the environment on top.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::ini;

#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub files: Vec<PathBuf>,
    /// Every `*.conf` in them is read, sorted by name.
    pub dirs: Vec<PathBuf>,
    /// Variables of the form `OS_GROUP__OPTION`.
    pub environment: BTreeMap<String, String>,
}

/// The assignments of one file.
pub(super) struct Parsed {
    pub path: PathBuf,
    pub entries: Vec<ini::Entry>,
}

impl Sources {
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    pub fn dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.dirs.push(path.into());
        self
    }

    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Takes the process's own variables; one that isn't UTF-8 can't be an option and is left out.
    pub fn process_environment(mut self) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("OS_") && name.contains("__"));
        self.environment.extend(variables);
        self
    }

    pub(super) fn read(&self) -> Result<Vec<Parsed>, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut paths = self.files.clone();
        for dir in &self.dirs {
            match conf_files(dir) {
                Ok(found) => paths.extend(found),
                Err(source) => errors.push(ConfigError::Unreadable {
                    path: dir.clone(),
                    source,
                }),
            }
        }
        let mut parsed = Vec::new();
        for path in paths {
            match read_file(&path) {
                Ok(entries) => parsed.push(Parsed { path, entries }),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(parsed)
        } else {
            Err(errors)
        }
    }
}

fn conf_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "conf") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<Vec<ini::Entry>, ConfigError> {
    let bytes = std::fs::read(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let text = String::from_utf8(bytes).map_err(|_| ConfigError::NotText {
        path: path.to_owned(),
    })?;
    Ok(ini::parse(&text, path)?)
}
