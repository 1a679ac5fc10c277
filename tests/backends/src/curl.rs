//! The look from outside: another program, and time.

use std::process::Command;
use std::time::{Duration, Instant};

/// Waits for what another process is about to do.
///
/// # Panics
///
/// When it does not within so many seconds.
pub fn eventually(seconds: u64, what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(seconds);
    while !done() {
        assert!(Instant::now() < until, "{what}: not within {seconds} s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A request by `curl`: the status, and what came back.
///
/// # Panics
///
/// When there is no answer, or no `curl`.
pub fn curl(arguments: &[&str], url: &str) -> (String, String) {
    let done = Command::new("curl")
        .args(["-s", "-w", "\n%{http_code}"])
        .args(arguments)
        .arg(url)
        .output();
    let done = done.unwrap_or_else(|cause| panic!("curl: {cause}"));
    let text = String::from_utf8_lossy(&done.stdout);
    match text.rsplit_once('\n') {
        Some((body, status)) => (status.to_owned(), body.to_owned()),
        None => panic!("curl: {}", String::from_utf8_lossy(&done.stderr)),
    }
}
