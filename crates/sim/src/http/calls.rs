//! The audit log of a simulated service: which calls came, and how they were answered.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Calls kept in memory; older ones are forgotten (the file keeps them all).
const KEPT: usize = 20_000;

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Counts from 1 over all services that share the log.
    pub number: u64,
    /// Arrival, in milliseconds since 1970.
    pub time: u64,
    /// The service's name, for example that of the array.
    pub service: String,
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The decoded query.
    pub query: Vec<(String, String)>,
    /// The body, if it was JSON; secrets in it are blanked.
    pub body: Option<Value>,
    /// The status of the answer; none if no answer was sent.
    pub status: Option<u16>,
    /// What the answer said, if it was an error.
    pub error: Option<Value>,
    /// How long the answer took.
    pub millis: u64,
    /// The name the client gave itself.
    pub agent: Option<String>,
}

/// Which calls are wanted.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CallFilter {
    /// Of this service.
    pub service: Option<String>,
    /// With this method.
    pub method: Option<String>,
    /// Whose path contains this text.
    pub path: Option<String>,
    /// Later than the call of this number.
    pub after: Option<u64>,
    /// Not more than so many, the newest ones.
    pub limit: Option<usize>,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    calls: VecDeque<Call>,
    file: Option<File>,
}

/// The log. Clones share their state; several services may write to one log.
#[derive(Clone, Debug, Default)]
pub struct CallLog {
    inner: Arc<Mutex<Inner>>,
}

impl CallLog {
    /// A log that also appends every call to a file, one JSON object a line.
    pub fn with_file(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self {
            inner: Arc::new(Mutex::new(Inner {
                file: Some(file),
                ..Inner::default()
            })),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Write a call down. Its number is given here.
    pub fn record(&self, mut call: Call) {
        if let Some(body) = &mut call.body {
            blank_secrets(body);
        }
        let mut inner = self.lock();
        inner.last += 1;
        call.number = inner.last;
        if let Some(file) = &mut inner.file {
            let written = serde_json::to_vec(&call)
                .map_err(io::Error::other)
                .and_then(|mut line| {
                    line.push(b'\n');
                    file.write_all(&line)
                });
            if let Err(error) = written {
                tracing::warn!(%error, "the log of calls can't be written");
            }
        }
        if inner.calls.len() == KEPT {
            inner.calls.pop_front();
        }
        inner.calls.push_back(call);
    }

    /// The calls that fit, oldest first.
    #[must_use]
    pub fn calls(&self, filter: &CallFilter) -> Vec<Call> {
        let inner = self.lock();
        let fits = |call: &&Call| {
            filter
                .service
                .as_deref()
                .is_none_or(|wanted| call.service == wanted)
                && filter
                    .method
                    .as_deref()
                    .is_none_or(|wanted| call.method.eq_ignore_ascii_case(wanted))
                && filter.path.as_deref().is_none_or(|part| call.path.contains(part))
                && filter.after.is_none_or(|number| call.number > number)
        };
        let mut calls: Vec<Call> = inner
            .calls
            .iter()
            .rev()
            .filter(fits)
            .take(filter.limit.unwrap_or(usize::MAX))
            .cloned()
            .collect();
        calls.reverse();
        calls
    }

    /// The number of the newest call; a mark for [`CallFilter::after`].
    #[must_use]
    pub fn last(&self) -> u64 {
        self.lock().last
    }

    /// Forget what is in memory. Numbers go on.
    pub fn clear(&self) {
        self.lock().calls.clear();
    }
}

pub(super) fn now_millis() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// Logs of calls are passed around; passwords and tokens have no place in them.
fn blank_secrets(value: &mut Value) {
    const SECRET: [&str; 5] = ["pass", "secret", "token", "auth_key", "connection_key"];
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let lower = name.to_lowercase();
                if field.is_string() && SECRET.iter().any(|word| lower.contains(word)) {
                    *field = Value::from("***");
                } else {
                    blank_secrets(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blank_secrets),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(service: &str, method: &str, path: &str) -> Call {
        Call {
            number: 0,
            time: 0,
            service: service.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            body: Some(json!({"auth": {"password": "p", "user": "u"}})),
            status: Some(200),
            error: None,
            millis: 0,
            agent: None,
        }
    }

    #[test]
    fn calls_are_found_by_service_method_path_and_number() {
        let log = CallLog::default();
        log.record(call("fa-a", "GET", "/api/2.26/volumes"));
        log.record(call("fa-b", "POST", "/api/2.26/volumes"));
        log.record(call("fa-b", "POST", "/api/2.26/hosts"));
        let filter = CallFilter {
            service: Some("fa-b".into()),
            after: Some(2),
            ..CallFilter::default()
        };
        let found = log.calls(&filter);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "/api/2.26/hosts");
        assert_eq!(
            log.calls(&CallFilter {
                limit: Some(2),
                ..CallFilter::default()
            })[0]
                .number,
            2
        );
    }

    #[test]
    fn secrets_are_blanked_in_memory_and_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("calls.jsonl");
        let log = CallLog::with_file(&path).unwrap();
        log.record(call("keystone", "POST", "/v3/auth/tokens"));
        let line = std::fs::read_to_string(&path).unwrap();
        assert!(line.contains(r#"{"password":"***","user":"u"}"#), "{line}");
        assert_eq!(
            log.calls(&CallFilter::default())[0].body,
            Some(json!({"auth": {"password": "***", "user": "u"}}))
        );
    }
}
