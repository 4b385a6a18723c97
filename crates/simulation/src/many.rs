//! Seeds on all cores: each thread has runs of its own, and they share nothing but the next number.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use protector_simulation::{Bug, Report, run};

#[derive(Default)]
pub struct Found {
    pub seeds: u64,
    pub events: u64,
    pub counts: BTreeMap<&'static str, u64>,
    /// By seed.
    pub violations: Vec<Report>,
}

/// Runs so many seeds, or until the first find, or until the time is up.
pub fn search(
    from: u64,
    seeds: u64,
    bug: Option<Bug>,
    first: bool,
    limit: Option<Duration>,
) -> std::io::Result<Found> {
    let (next, over, began) = (AtomicU64::new(from), AtomicBool::new(false), Instant::now());
    let found = Mutex::new(Found::default());
    let work = || -> std::io::Result<()> {
        while !over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds || limit.is_some_and(|limit| began.elapsed() > limit) {
                break;
            }
            let report = run(seed, bug, false)?;
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.seeds += 1;
            found.events += report.events;
            for (what, count) in &report.counts {
                *found.counts.entry(what).or_default() += count;
            }
            if found.seeds.is_multiple_of(1000) && !first {
                let (seeds, bad) = (found.seeds, found.violations.len());
                eprintln!(
                    "{seeds} seeds, {bad} violations, {:.0} s",
                    began.elapsed().as_secs_f64()
                );
            }
            if let Some(violation) = &report.violation {
                if !first {
                    eprintln!("seed {seed}: {violation}");
                }
                over.fetch_or(first, Ordering::Relaxed);
                found.violations.push(report);
            }
        }
        Ok(())
    };
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread
                .join()
                .unwrap_or_else(|_| Err(std::io::Error::other("a run panicked")))?;
        }
        Ok::<(), std::io::Error>(())
    })?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.violations.sort_by_key(|report| report.seed);
    Ok(found)
}
