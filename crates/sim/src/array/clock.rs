//! The fabric's own time: it runs with the real one, faster if asked, and can be moved forward.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that a test can hurry. It never runs backwards.
#[derive(Debug)]
pub(super) struct Clock {
    since: Instant,
    at: u64,
    scale: f64,
}

impl Clock {
    /// Start with the real time, or with a later one that a former run had reached.
    pub fn start(reached: u64, scale: f64) -> Self {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = millis(real).max(reached);
        Self::at(at, scale)
    }

    /// Start with this time.
    pub fn at(at: u64, scale: f64) -> Self {
        Self {
            since: Instant::now(),
            at,
            scale,
        }
    }

    /// Milliseconds since 1970.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive span of time"
    )]
    pub fn now(&self) -> u64 {
        let passed = self.since.elapsed().as_secs_f64() * self.scale * 1000.0;
        self.at.saturating_add(passed as u64)
    }

    pub fn advance(&mut self, by: Duration) {
        self.at = self.at.saturating_add(millis(by));
    }

    pub fn scale(&self) -> f64 {
        self.scale
    }

    pub fn set_scale(&mut self, scale: f64) {
        self.at = self.now();
        self.since = Instant::now();
        self.scale = scale;
    }
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
