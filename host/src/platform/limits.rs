//! Limits of the process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard limit. Returns the limit that is in force, `None`
/// for no limit.
///
/// The usual soft limit of 1024 is for programs that call `select`; a server needs one descriptor for
/// each connection and more for each transfer.
pub fn raise_open_files() -> Option<u64> {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        ..before
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => before.maximum,
        Err(_) => before.current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_limit() {
        let limit = raise_open_files();
        let after = getrlimit(Resource::Nofile);
        assert_eq!((limit, after.current), (after.maximum, after.maximum));
    }
}
