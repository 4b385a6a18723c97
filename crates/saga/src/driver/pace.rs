//! How often progress is shown: it is for people, and drawing it takes longer the more steps there are.

use std::time::Duration;

use tokio::time::Instant;

/// Showing may take this part of the time.
const SHARE: u32 = 100;
/// Nobody waits longer for news than this.
const LONGEST: Duration = Duration::from_secs(5);

/// When progress is shown next. What was written meanwhile is owed, and shown when the time comes.
pub struct Pace {
    owed: bool,
    next: Instant,
}

impl Pace {
    pub fn new() -> Pace {
        Pace {
            owed: false,
            next: Instant::now(),
        }
    }

    pub fn owe(&mut self) {
        self.owed = true;
    }

    pub fn is_due(&self) -> bool {
        self.owed && self.next <= Instant::now()
    }

    pub fn shown(&mut self, took: Duration) {
        self.owed = false;
        self.next = Instant::now() + took.saturating_mul(SHARE).min(LONGEST);
    }

    /// The moment in which it is due; never, where nothing is owed.
    pub async fn due(&self) {
        match self.owed {
            true => tokio::time::sleep_until(self.next).await,
            false => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_owed_is_shown_in_the_end_and_costs_a_small_share() {
        let mut pace = Pace::new();
        assert!(!pace.is_due());
        pace.owe();
        assert!(pace.is_due());
        pace.shown(Duration::from_millis(10));
        pace.owe();
        assert!(!pace.is_due());
        let begun = Instant::now();
        pace.due().await;
        assert_eq!(begun.elapsed().as_millis(), 1000);
        assert!(pace.is_due());
        pace.shown(Duration::from_secs(100));
        pace.owe();
        pace.due().await;
        assert_eq!(begun.elapsed().as_millis(), 6000);
    }
}
