//! Processes of this command, where systems differ.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Limits the memory of this process, and makes it leave no core. Where a limit cannot be set there is none.
pub(crate) fn limit_memory(bytes: u64) {
    let limit = |most| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    let _ = setrlimit(Resource::Data, limit(bytes));
    let _ = setrlimit(Resource::Core, limit(0));
}

/// What ended a process that did not exit by itself.
pub(crate) fn crash(status: ExitStatus) -> Option<String> {
    let signal = status.signal()?;
    Some(format!("signal {signal}{}", name_of(signal)))
}

fn name_of(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        _ => "",
    }
}
