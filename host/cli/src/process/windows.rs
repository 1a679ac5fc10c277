//! Processes of this command, where systems differ.

use std::process::ExitStatus;

/// Sets no limit: Windows limits memory by job objects, which only the starting process makes.
pub(crate) fn limit_memory(_bytes: u64) {}

/// What ended a process that did not exit by itself: an exception is its exit code.
pub(crate) fn crash(status: ExitStatus) -> Option<String> {
    let code = status.code()?.cast_unsigned();
    // Codes of errors (severity 3) of the system (NTSTATUS).
    (code >> 28 == 0xc).then(|| format!("exception {code:#x}{}", name_of(code)))
}

fn name_of(code: u32) -> &'static str {
    match code {
        0xc000_0005 => " (access violation)",
        0xc000_001d => " (illegal instruction)",
        0xc000_0094 => " (division by zero)",
        0xc000_00fd => " (stack overflow)",
        0xc000_0374 => " (damaged heap)",
        0xc000_0409 => " (fail-fast)",
        _ => "",
    }
}
