//! What systemd is told of a service: that it is ready, that it is well, that it ends. Without systemd nobody listens,
//! and nothing of it matters.

use std::time::Duration;

use sd_notify::{NotifyState, notify};

/// Requests are served, or work is done.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// It has been asked to end.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

/// It is well. Where this isn't heard for as long as the unit's `WatchdogSec` says, systemd starts it anew.
pub fn alive() {
    tell(NotifyState::Watchdog);
}

/// How often systemd wants to hear that the service is well, if it watches it.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = notify(&[state]) {
        tracing::debug!(%error, "systemd can't be told");
    }
}
