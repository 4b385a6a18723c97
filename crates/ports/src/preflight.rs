//! Looking at what an operation would find, without starting it.

use async_trait::async_trait;
use protector_domain::{Preflight, Work};

#[async_trait]
pub trait Preflights: Send + Sync {
    /// Changes nothing anywhere. What can't be asked is a finding, too.
    async fn look(&self, work: Work) -> Preflight;
}
