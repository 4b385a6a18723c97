//! What happens to the sites while the clients are at work: programs killed and started again, and nobody getting there.

use std::sync::atomic::Ordering;

use anyhow::Result;
use tokio::time::sleep;

use crate::lane::{Cuts, site_of};
use crate::plan::{Blow, Weather};
use protector_tests::Stack;

/// One blow after the other; each is over before the next one falls.
pub async fn blow(stack: &mut Stack, cuts: &Cuts, weather: &[Weather]) -> Result<()> {
    for one in weather {
        sleep(one.after).await;
        let site = site_of(stack, one.side);
        match one.blow {
            Blow::KillApi => {
                site.kill_api().await?;
                sleep(one.lasts).await;
                site.start_api().await?;
            }
            Blow::KillEngine => {
                if let Some(engine) = site.engine.take() {
                    engine.kill().await?;
                }
                sleep(one.lasts).await;
                site.start_engine()?;
            }
            Blow::Partition => {
                let cut = &cuts[one.side as usize];
                cut.store(true, Ordering::Relaxed);
                sleep(one.lasts).await;
                cut.store(false, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}
