//! What servers are given at their first boot. It may hold secrets, so it is in no journal: it is remembered from
//! the inspection to the boot, and asked for again by an engine that didn't see it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protector_domain::MemberId;

/// So much of it is remembered for all servers together; the rest is asked for again.
const ROOM: usize = 16 << 20;

#[derive(Default)]
pub(super) struct UserData(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    of: HashMap<MemberId, Option<String>>,
    bytes: usize,
}

impl UserData {
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Also that there is none.
    pub(super) fn remember(&self, member: MemberId, text: Option<String>) {
        let mut remembered = self.lock();
        let bytes = text.as_ref().map_or(0, String::len);
        if remembered.bytes + bytes <= ROOM {
            remembered.bytes += bytes;
            remembered.of.insert(member, text);
        }
    }

    /// `None` where it isn't known.
    pub(super) fn of(&self, member: MemberId) -> Option<Option<String>> {
        self.lock().of.get(&member).cloned()
    }
}
