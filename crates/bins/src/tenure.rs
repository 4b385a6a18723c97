//! Which engine of this host worked before, and that it is dead.
//!
//! An engine that was killed leaves its work claimed until the lease ends. Its successor on the same host needn't wait for
//! that: each engine holds the lock of a file below `state_path` for as long as its process lives, and has its name in it.
//! Whoever gets the lock knows that those who are named there are no more.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use protector_saga::engine::Waker;
use protector_saga::{Journal, Owner};

/// So many engines share a state directory.
const ENGINES: usize = 16;
/// What a dead engine had asked clouds and arrays for has been answered by then, to nobody, and can be found.
const SILENCE: Duration = Duration::from_secs(3);

/// Held for as long as the process lives.
pub struct Tenure {
    file: File,
    owner: Owner,
    dead: Vec<Owner>,
}

impl Tenure {
    /// Takes the first file that no living engine holds. `None` where all are held.
    pub fn begin(state: &Path, owner: Owner) -> Result<Option<Tenure>> {
        fs::create_dir_all(state).with_context(|| format!("{} can't be made", state.display()))?;
        for number in 0..ENGINES {
            let path = state.join(format!("engine-{number}.lock"));
            let opened = File::options().read(true).append(true).create(true).open(&path);
            let mut file = opened.with_context(|| format!("{} can't be opened", path.display()))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("{} can't be locked", path.display()));
                }
            }
            let mut names = String::new();
            file.read_to_string(&mut names)
                .with_context(|| format!("{} can't be read", path.display()))?;
            // Added and not replaced: whoever is still named when this one dies has not been relieved yet.
            writeln!(file, "{owner}").with_context(|| format!("{} can't be written", path.display()))?;
            let dead = names.lines().map(|name| Owner(name.to_owned())).collect();
            return Ok(Some(Tenure { file, owner, dead }));
        }
        Ok(None)
    }

    /// Gives back what the dead have left claimed, and looks for it at once.
    pub async fn relieve(mut self, journal: Arc<dyn Journal>, waker: Waker) {
        if !self.dead.is_empty() {
            tokio::time::sleep(SILENCE).await;
        }
        for dead in std::mem::take(&mut self.dead) {
            match journal.release(&dead).await {
                Ok(()) => tracing::info!(%dead, "what an engine that is dead had claimed is free"),
                Err(error) => {
                    // Its lease ends all the same; the next engine of this host finds its name again.
                    tracing::warn!(%error, %dead, "what an engine that is dead had claimed waits for the end of its lease");
                    self.dead.push(dead);
                }
            }
        }
        waker.wake();
        if self.dead.is_empty()
            && let Err(error) = self.name_alone()
        {
            tracing::warn!(%error, "the names of dead engines can't be removed from the lock file");
        }
        std::future::pending::<()>().await;
    }

    fn name_alone(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{}", self.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Owner {
        Owner(name.to_owned())
    }

    fn begin(state: &Path, name: &str) -> Tenure {
        Tenure::begin(state, owner(name)).unwrap().unwrap()
    }

    #[test]
    fn who_lives_is_never_taken_for_dead() {
        let state = tempfile::tempdir().unwrap();
        let first = begin(state.path(), "first");
        let second = begin(state.path(), "second");
        assert!(first.dead.is_empty() && second.dead.is_empty());
        drop(first);
        let third = begin(state.path(), "third");
        assert_eq!(third.dead, [owner("first")]);
        assert!(begin(state.path(), "fourth").dead.is_empty());
        drop(second);
    }

    #[test]
    fn the_dead_are_named_until_they_are_relieved() {
        let state = tempfile::tempdir().unwrap();
        drop(begin(state.path(), "first"));
        drop(begin(state.path(), "second"));
        let mut third = begin(state.path(), "third");
        assert_eq!(third.dead, [owner("first"), owner("second")]);
        third.name_alone().unwrap();
        drop(third);
        assert_eq!(begin(state.path(), "fourth").dead, [owner("third")]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let state = tempfile::tempdir().unwrap();
        let all: Vec<Tenure> = (0..ENGINES)
            .map(|number| begin(state.path(), &number.to_string()))
            .collect();
        assert!(Tenure::begin(state.path(), owner("one more")).unwrap().is_none());
        drop(all);
    }
}
