//! The last look at the claim before an effect, shared by the steps that need one at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::record::{Lost, check};
use crate::journal::{Claim, Journal};

/// Looks at the claim one after another. Whoever asks is told what a look has seen that began after he asked.
pub struct LastLook {
    journal: Arc<dyn Journal>,
    claim: Claim,
    begun: AtomicU64,
    /// The number of the last look that ended, and whether the claim held.
    seen: Mutex<(u64, bool)>,
}

impl LastLook {
    pub fn new(journal: Arc<dyn Journal>, claim: Claim) -> LastLook {
        LastLook {
            journal,
            claim,
            begun: AtomicU64::new(0),
            seen: Mutex::new((0, true)),
        }
    }

    pub async fn holds(&self) -> Result<(), Lost> {
        let mut wanted = self.begun.load(Ordering::SeqCst) + 1;
        if planted!(LookFromBefore) {
            wanted = wanted.saturating_sub(1).max(1);
        }
        let mut seen = self.seen.lock().await;
        if seen.0 < wanted {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let held = check(&*self.journal, &self.claim).await.is_ok();
            *seen = (number, held);
        }
        if seen.1 { Ok(()) } else { Err(Lost) }
    }
}
