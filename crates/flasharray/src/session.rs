//! Sessions: one for each array and token, opened when needed and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::version::Version;

/// More arrays and tokens than that at a time are a mistake; the longest unused session makes room.
const MAX_SESSIONS: usize = 512;

/// What a login gave.
#[derive(Clone)]
pub(crate) struct Session {
    pub version: Version,
    pub token: SecretString,
}

/// The token stands in it as a digest only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub origin: String,
    token: [u8; 32],
}

impl Key {
    pub fn new(origin: &str, token: &SecretString) -> Self {
        Self {
            origin: origin.to_owned(),
            token: Sha256::digest(token.expose_secret().as_bytes()).into(),
        }
    }
}

/// Where the session of one key is, or will be; its lock makes callers wait for one login instead of making many.
pub(crate) type Place = Arc<tokio::sync::Mutex<Option<Session>>>;

#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Key, (Place, Instant)>>);

impl Sessions {
    pub fn place(&self, key: &Key) -> Place {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !places.contains_key(key) && places.len() >= MAX_SESSIONS {
            let oldest = places
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                places.remove(&oldest);
            }
        }
        let (place, used) = places
            .entry(key.clone())
            .or_insert_with(|| (Place::default(), Instant::now()));
        *used = Instant::now();
        place.clone()
    }

    /// Gives all of them away.
    pub fn take_all(&self) -> Vec<(Key, Place)> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.drain().map(|(key, (place, _))| (key, place)).collect()
    }
}
