//! What can go wrong with a simulated service, and when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Notify;

/// What happens to a call that a [`Rule`] matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// The call is held back, then goes on (other rules still apply).
    Delay {
        /// For how long.
        millis: u64,
    },
    /// Answered with this status; the service never sees the call.
    Status {
        /// The HTTP status.
        status: u16,
        /// The JSON body; none leaves the body empty.
        #[serde(default)]
        body: Option<Value>,
        /// Additional headers, for example `retry-after`.
        #[serde(default)]
        headers: Map<String, Value>,
    },
    /// Answered with this text, as what stands before a service may: a proxy's page, a wrong type, nothing.
    Page {
        /// The HTTP status.
        status: u16,
        /// The body as it is sent.
        text: String,
        /// Whether the service carries the call out before.
        #[serde(default)]
        effect: bool,
    },
    /// Answered with a success whose body doesn't come to an end; the service never sees the call.
    Endless,
    /// The service carries the call out; then the connection is dropped without an answer.
    LostAnswer,
    /// The service carries the call out; the connection stays open and nothing comes back.
    Swallow,
    /// The connection is dropped; the service never sees the call.
    Drop,
    /// Nothing happens and nothing comes back.
    Hang,
}

impl Action {
    /// A status with a JSON body.
    #[must_use]
    pub fn status(status: u16, body: Value) -> Self {
        Self::Status {
            status,
            body: Some(body),
            headers: Map::new(),
        }
    }
}

/// Which calls are disturbed, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// The method, in capitals; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A regular expression that is looked for in the path; any path if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A part of the decoded query string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The first matching call that is hit, counted from 1.
    #[serde(default = "one")]
    pub nth: u64,
    /// How many calls are hit from there on; absent means all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What happens to them.
    pub action: Action,
}

fn one() -> u64 {
    1
}

impl Rule {
    /// A rule for a method (`*` for any) and a regular expression of the path. It drops the connection until
    /// [`Rule::act`] says otherwise.
    #[must_use]
    pub fn on(method: &str, path: &str) -> Self {
        Self {
            method: (method != "*").then(|| method.to_owned()),
            path: Some(path.to_owned()),
            query: None,
            nth: 1,
            times: None,
            action: Action::Drop,
        }
    }

    /// Only calls whose decoded query contains this text.
    #[must_use]
    pub fn query(mut self, part: &str) -> Self {
        self.query = Some(part.to_owned());
        self
    }

    /// Leave the first `nth - 1` matching calls alone.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth.max(1);
        self
    }

    /// Hit no more than so many calls.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// What happens to the calls.
    #[must_use]
    pub fn act(mut self, action: Action) -> Self {
        self.action = action;
        self
    }
}

/// A rule that can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The path isn't a regular expression.
    #[error("the path of the rule is not a regular expression")]
    Path(#[source] regex::Error),
    /// The status isn't one of HTTP.
    #[error("{0} is not an HTTP status")]
    Status(u16),
}

/// A rule with what it has seen so far.
#[derive(Clone, Debug, Serialize)]
pub struct RuleState {
    /// The number to remove it by.
    pub id: u64,
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// Calls that matched.
    pub seen: u64,
    /// Calls that were hit.
    pub fired: u64,
    #[serde(skip)]
    path: Option<Regex>,
}

/// All disturbances of one service.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FaultState {
    /// The service's machine has no power. That is no fault to be cleared with the others.
    pub dark: bool,
    /// Connections are closed as soon as they are accepted.
    pub down: bool,
    /// Connections are accepted and calls never answered.
    pub hang: bool,
    /// Every call is held back for so long.
    pub latency_millis: u64,
    /// How many connections have come in so far, whatever became of them.
    pub connections: u64,
    /// The rules, in the order in which they were added.
    pub rules: Vec<RuleState>,
    #[serde(skip)]
    last_id: u64,
}

/// The handle of a service's disturbances. Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    state: Arc<Mutex<FaultState>>,
    changed: Arc<Notify>,
}

/// What is to be done with one call.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    pub delay: Duration,
    pub then: Then,
}

/// The way of a call after its delay.
#[derive(Debug, PartialEq)]
pub(super) enum Then {
    Pass,
    Act(Action),
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, FaultState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Close connections at once (`true`), or serve again.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
        self.changed.notify_waiters();
    }

    /// Take the power away (`true`): as [`Faults::set_down`], but [`Faults::clear`] doesn't give it back.
    pub fn set_dark(&self, dark: bool) {
        self.lock().dark = dark;
        self.changed.notify_waiters();
    }

    /// Accept connections and never answer (`true`), or serve again.
    pub fn set_hang(&self, hang: bool) {
        self.lock().hang = hang;
        self.changed.notify_waiters();
    }

    /// Hold every call back for so long.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency_millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
    }

    /// Add a rule. The number is for [`Faults::remove`].
    pub fn add(&self, rule: Rule) -> Result<u64, RuleError> {
        let path = rule
            .path
            .as_deref()
            .map(Regex::new)
            .transpose()
            .map_err(RuleError::Path)?;
        if let Action::Status { status, .. } | Action::Page { status, .. } = rule.action
            && !(100..1000).contains(&status)
        {
            return Err(RuleError::Status(status));
        }
        let mut state = self.lock();
        state.last_id += 1;
        let id = state.last_id;
        state.rules.push(RuleState {
            id,
            rule,
            seen: 0,
            fired: 0,
            path,
        });
        Ok(id)
    }

    /// Take a rule away; whether it was there.
    pub fn remove(&self, id: u64) -> bool {
        let mut state = self.lock();
        let before = state.rules.len();
        state.rules.retain(|rule| rule.id != id);
        self.changed.notify_waiters();
        state.rules.len() < before
    }

    /// Serve as if nothing had ever been wrong. Calls that hang lose their connection.
    pub fn clear(&self) {
        let mut state = self.lock();
        let (dark, connections, last_id) = (state.dark, state.connections, state.last_id);
        *state = FaultState {
            dark,
            connections,
            last_id,
            ..FaultState::default()
        };
        self.changed.notify_waiters();
    }

    /// The disturbances as they stand.
    #[must_use]
    pub fn state(&self) -> FaultState {
        self.lock().clone()
    }

    /// How often a rule has hit.
    #[must_use]
    pub fn fired(&self, id: u64) -> u64 {
        self.lock()
            .rules
            .iter()
            .find(|rule| rule.id == id)
            .map_or(0, |rule| rule.fired)
    }

    pub(super) fn count_connection(&self) {
        self.lock().connections += 1;
    }

    pub(super) fn is_down(&self) -> bool {
        let state = self.lock();
        state.down || state.dark
    }

    /// Wait for any change of the disturbances.
    pub(super) async fn change(&self) {
        self.changed.notified().await;
    }

    /// Decide on one call, counting it. `query` is the decoded query string.
    pub(super) fn judge(&self, method: &str, path: &str, query: &str) -> Verdict {
        let mut state = self.lock();
        let mut delay = Duration::from_millis(state.latency_millis);
        if state.down || state.dark {
            return Verdict {
                delay: Duration::ZERO,
                then: Then::Act(Action::Drop),
            };
        }
        let mut then = if state.hang {
            Then::Act(Action::Hang)
        } else {
            Then::Pass
        };
        for entry in &mut state.rules {
            if !entry.matches(method, path, query) {
                continue;
            }
            entry.seen += 1;
            let due =
                entry.seen >= entry.rule.nth && entry.rule.times.is_none_or(|times| entry.fired < times);
            if !due || then != Then::Pass {
                continue;
            }
            entry.fired += 1;
            match &entry.rule.action {
                Action::Delay { millis } => delay = delay.saturating_add(Duration::from_millis(*millis)),
                other => then = Then::Act(other.clone()),
            }
        }
        Verdict { delay, then }
    }
}

impl RuleState {
    fn matches(&self, method: &str, path: &str, query: &str) -> bool {
        self.rule
            .method
            .as_deref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_ref().is_none_or(|wanted| wanted.is_match(path))
            && self.rule.query.as_deref().is_none_or(|part| query.contains(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn then(faults: &Faults, method: &str, path: &str) -> Then {
        faults.judge(method, path, "names=a,b").then
    }

    #[test]
    fn the_nth_matching_call_is_hit_as_often_as_asked() {
        let faults = Faults::default();
        let rule = Rule::on("POST", "/volumes$")
            .query("names=a")
            .nth(2)
            .times(1)
            .act(Action::LostAnswer);
        let id = faults.add(rule).unwrap();
        assert_eq!(then(&faults, "GET", "/api/2.26/volumes"), Then::Pass);
        assert_eq!(then(&faults, "POST", "/api/2.26/volumes/tags"), Then::Pass);
        assert_eq!(then(&faults, "POST", "/api/2.26/volumes"), Then::Pass);
        assert_eq!(
            then(&faults, "POST", "/api/2.26/volumes"),
            Then::Act(Action::LostAnswer)
        );
        assert_eq!(then(&faults, "POST", "/api/2.26/volumes"), Then::Pass);
        assert_eq!(faults.fired(id), 1);
        assert!(faults.remove(id));
    }

    #[test]
    fn delays_add_up_and_the_first_other_rule_wins() {
        let faults = Faults::default();
        faults.set_latency(Duration::from_millis(5));
        faults
            .add(Rule::on("*", ".").act(Action::Delay { millis: 7 }))
            .unwrap();
        faults
            .add(Rule::on("GET", "x").act(Action::status(503, Value::Null)))
            .unwrap();
        faults.add(Rule::on("GET", "x").act(Action::Hang)).unwrap();
        let verdict = faults.judge("GET", "/x", "");
        assert_eq!(verdict.delay, Duration::from_millis(12));
        assert_eq!(verdict.then, Then::Act(Action::status(503, Value::Null)));
    }

    #[test]
    fn a_rule_reads_as_json_and_a_bad_one_is_refused() {
        let faults = Faults::default();
        let page = r#"{"path":"/x$","times":1,"action":{"kind":"page","status":502,"text":"<html>"}}"#;
        faults.add(serde_json::from_str(page).unwrap()).unwrap();
        assert!(matches!(
            then(&faults, "GET", "/x"),
            Then::Act(Action::Page { effect: false, .. })
        ));
        let rule = r#"{"path":"/login$","times":2,"action":{"kind":"status","status":429,"headers":{"retry-after":"1"}}}"#;
        faults.add(serde_json::from_str(rule).unwrap()).unwrap();
        assert!(matches!(
            then(&faults, "POST", "/api/2.4/login"),
            Then::Act(Action::Status { status: 429, .. })
        ));
        assert!(faults.add(Rule::on("GET", "(")).is_err());
        assert!(
            faults
                .add(Rule::on("GET", ".").act(Action::status(7, Value::Null)))
                .is_err()
        );
    }
}
