//! Which calls the engine made, by what they are for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protector_sim::http::{Call, CallFilter, CallLog};
use tokio::task::JoinHandle;

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A change of one volume, at Cinder or at the array.
    Volume,
    /// A change of one server.
    Server,
    Port,
    /// Everything for all together: lists, sessions, the group.
    All,
}

#[derive(Debug, Clone, Default)]
pub struct Tally(BTreeMap<(About, String), u64>);

impl Tally {
    pub fn of(&self, about: About) -> u64 {
        self.0
            .iter()
            .filter(|((of, _), _)| *of == about)
            .map(|(_, count)| count)
            .sum()
    }

    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// The most frequent ones.
    pub fn told(&self) -> String {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let shown = all
            .iter()
            .take(24)
            .map(|((about, what), count)| format!("    {count:>7} {about:?}: {what}\n"));
        shown.collect()
    }
}

/// Reads the logs while calls come in: they keep the last ones only.
pub struct Counter {
    tally: Arc<Mutex<Tally>>,
    reader: JoinHandle<()>,
}

impl Counter {
    pub fn start(logs: Vec<CallLog>) -> Self {
        let tally = Arc::<Mutex<Tally>>::default();
        let into = tally.clone();
        let mut last: Vec<u64> = logs.iter().map(CallLog::last).collect();
        let reader = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(300)).await;
                for (log, last) in logs.iter().zip(&mut last) {
                    let filter = CallFilter {
                        after: Some(*last),
                        ..CallFilter::default()
                    };
                    let calls = log.calls(&filter);
                    *last = calls.iter().map(|call| call.number).max().unwrap_or(*last);
                    let mut tally = into.lock().unwrap_or_else(PoisonError::into_inner);
                    for call in &calls {
                        let about = about(call);
                        *tally.0.entry((about, shape(call))).or_default() += 1;
                    }
                }
            }
        });
        Self { tally, reader }
    }

    pub async fn end(self) -> Tally {
        tokio::time::sleep(Duration::from_millis(700)).await;
        self.reader.abort();
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.clone()
    }
}

/// The path without what names one thing.
fn shape(call: &Call) -> String {
    let is_id = |part: &&str| part.len() >= 32 || part.starts_with("2.");
    let parts: Vec<&str> = call
        .path
        .split('/')
        .map(|part| if is_id(&part) { "*" } else { part })
        .collect();
    let action = call
        .body
        .as_ref()
        .filter(|_| call.path.ends_with("/action"))
        .and_then(|body| body.as_object()?.keys().next().cloned())
        .map_or_else(String::new, |action| format!(" {action}"));
    format!("{} {}{action}", call.method, parts.join("/"))
}

fn about(call: &Call) -> About {
    let path = call.path.as_str();
    let is_array = call.service.starts_with("fa-");
    let changes = call.method != "GET";
    let one_volume = path.contains("/volumes")
        || path.contains("volume-transfer")
        || path.contains("manageable_volumes")
        || path.contains("os-volume-manage");
    match () {
        () if is_array && changes && path.contains("/volumes") && !path.contains("/protection-groups") => {
            About::Volume
        }
        () if is_array => About::All,
        () if one_volume && (changes || !path.contains("detail")) => About::Volume,
        () if path.contains("/servers/") && !path.ends_with("/detail") => About::Server,
        () if changes && path.ends_with("/servers") => About::Server,
        () if path.contains("/ports")
            && (changes || path.split('/').next_back().is_some_and(|it| it.len() > 30)) =>
        {
            About::Port
        }
        () => About::All,
    }
}
