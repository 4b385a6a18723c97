//! Keeping the arrays' state in a file, so that a restarted fabric is the same one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::world::World;

/// Why a fabric's state can't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the state of the arrays in {path} can't be read or written")]
pub struct PersistError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl PersistError {
    pub(super) fn new(path: &Path, source: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            source,
        }
    }
}

/// The file of a fabric's state.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
}

impl Store {
    pub fn open(dir: &Path) -> Result<Self, PersistError> {
        fs::create_dir_all(dir).map_err(|e| PersistError::new(dir, e))?;
        Ok(Self {
            path: dir.join("arrays.json"),
        })
    }

    pub fn load(&self) -> Result<Option<World>, PersistError> {
        let fails = |e: io::Error| PersistError::new(&self.path, e);
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| fails(e.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fails(error)),
        }
    }

    /// Replace the file in one step; a crash leaves the old one.
    pub fn save(&self, world: &World) -> Result<(), PersistError> {
        let fails = |e: io::Error| PersistError::new(&self.path, e);
        let bytes = serde_json::to_vec(world).map_err(|e| fails(e.into()))?;
        let new = self.path.with_extension("json.new");
        File::create(&new)
            .and_then(|mut file| file.write_all(&bytes))
            .map_err(fails)?;
        fs::rename(&new, &self.path).map_err(fails)
    }
}
