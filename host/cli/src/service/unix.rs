//! The state of a server, for systemd.

use sd_notify::NotifyState;

/// The server accepts requests.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// A reload has begun.
pub(crate) fn reloading() {
    let Ok(now) = NotifyState::monotonic_usec_now() else {
        return;
    };
    notify(&[NotifyState::Reloading, now]);
}

/// The reload has ended; `failed`: the previous configuration stays in force, and why.
pub(crate) fn reloaded(failed: Option<&str>) {
    let status = match failed {
        // One line: each line of a message is a field of its own.
        Some(why) => {
            let why = why.lines().next().unwrap_or_default();
            format!("configuration not reloaded: {why}")
        }
        None => "configuration reloaded".to_owned(),
    };
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// The server ends, after what it still has to do.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Without `NOTIFY_SOCKET` nothing happens.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be notified");
    }
}
