//! The journal's time, carried on by the monotonic clock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

pub struct JournalTime {
    anchor: DateTime<Utc>,
    since: Instant,
}

impl JournalTime {
    /// Until the first line is written, a guess has to do.
    pub fn guess(now: DateTime<Utc>) -> JournalTime {
        JournalTime {
            anchor: now,
            since: Instant::now(),
        }
    }

    pub fn set(&mut self, now: DateTime<Utc>) {
        *self = JournalTime {
            anchor: now,
            since: Instant::now(),
        };
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.anchor + self.since.elapsed()
    }

    /// How long it is until then; a little longer than nothing, so that time has come when the wait is over.
    pub fn until(&self, time: DateTime<Utc>) -> Duration {
        (time - self.now()).to_std().unwrap_or_default() + Duration::from_millis(1)
    }
}
