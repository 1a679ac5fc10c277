//! Rights that a process has beyond its caller's.

/// Returns false: Windows starts no program with more rights than its caller without asking a person
/// (User Account Control), and the new process has an environment of its own then.
pub fn are_raised() -> bool {
    false
}
