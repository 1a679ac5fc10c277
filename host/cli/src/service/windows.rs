//! The state of a server. The service control manager of Windows is not spoken to: a program such as `sc` starts the
//! command through a wrapper.

/// The server accepts requests.
pub(crate) fn ready() {}

/// A reload has begun.
pub(crate) fn reloading() {}

/// The reload has ended; `failed`: the previous configuration stays in force, and why.
pub(crate) fn reloaded(_failed: Option<&str>) {}

/// The server ends, after what it still has to do.
pub(crate) fn stopping() {}
