//! Array tokens that were read from a Barbican, for the few minutes in which they are asked for again and again.
//!
//! In memory only. A token is kept for the group as whose tenant it was read: another group that names the same secret
//! has to be allowed to read it itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use protector_domain::{GroupId, SecretId, SiteId};
use secrecy::SecretString;

/// Long enough for the many calls of one operation, short enough that a secret which was taken away is soon of no use.
const KEPT: Duration = Duration::from_secs(180);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub group: GroupId,
    pub site: SiteId,
    pub secret: SecretId,
}

#[derive(Clone, Default)]
pub(crate) struct TokenCache(Arc<Mutex<HashMap<Place, (Instant, SecretString)>>>);

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}

impl TokenCache {
    pub fn get(&self, place: Place) -> Option<SecretString> {
        self.get_at(place, Instant::now())
    }

    pub fn keep(&self, place: Place, token: SecretString) {
        self.keep_at(place, token, Instant::now());
    }

    fn get_at(&self, place: Place, now: Instant) -> Option<SecretString> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, token) = kept.get(&place)?;
        (now.duration_since(*since) < KEPT).then(|| token.clone())
    }

    fn keep_at(&self, place: Place, token: SecretString, now: Instant) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever is too old leaves the memory, too; secrets are wiped when they are dropped.
        kept.retain(|_, (since, _)| now.duration_since(*since) < KEPT);
        kept.insert(place, (now, token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use uuid::Uuid;

    #[test]
    fn a_token_is_kept_for_its_group_and_not_for_long() {
        let (cache, now) = (TokenCache::default(), Instant::now());
        let place = Place {
            group: GroupId(Uuid::from_u128(1)),
            site: SiteId(Uuid::from_u128(2)),
            secret: SecretId(Uuid::from_u128(3)),
        };
        cache.keep_at(place, SecretString::from("t"), now);
        assert_eq!(cache.get_at(place, now).unwrap().expose_secret(), "t");
        let other = Place {
            group: GroupId(Uuid::from_u128(4)),
            ..place
        };
        assert!(cache.get_at(other, now).is_none());
        assert!(cache.get_at(place, now + KEPT).is_none());
        cache.keep_at(other, SecretString::from("u"), now + KEPT);
        assert_eq!(cache.0.lock().unwrap().len(), 1);
    }
}
